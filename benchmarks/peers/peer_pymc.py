"""PyMC with nutpie's sampler: scalefit's model, written by hand in centred coordinates as an expert would."""

import numpy as np
from shared import Method, Outcome, Task, main

NAMES = ("E", "A", "B", "alpha", "beta", "sigma", "nu")


def build(task: Task):
    """Student-t noise on ln loss; scalefit's priors, in units of the table's geometric means."""
    import pymc as pm

    n, d, log_loss = task.centred()
    with pm.Model() as model:
        level = pm.LogNormal("E", np.log(0.6), 0.4)
        a, b = (pm.LogNormal(name, np.log(0.2), 1.0) for name in ("A", "B"))
        alpha, beta = (pm.LogNormal(name, np.log(0.3), 0.5) for name in ("alpha", "beta"))
        sigma, nu = pm.HalfNormal("sigma", 0.05), pm.Gamma("nu", 2.0, 0.1)
        law = level + a * pm.math.exp(-alpha * n) + b * pm.math.exp(-beta * d)
        pm.StudentT("log_loss", nu=nu, mu=pm.math.log(law), sigma=sigma, observed=log_loss)
    return model


def sample(task: Task, **options: object) -> Outcome:
    """Four chains of 1,000 draws after nutpie's default warm-up."""
    import nutpie

    compiled = nutpie.compile_pymc_model(build(task))
    task.done("setup")
    trace = nutpie.sample(compiled, chains=4, draws=1000, seed=1, progress_bar=False, **options)
    task.done("run")
    diverging = int(trace.sample_stats["diverging"].sum())
    draws = task.to_raw({name: trace.posterior[name].values for name in NAMES})
    warmup = trace.warmup_posterior.sizes["draw"]
    return Outcome(draws, notes=f"{diverging} divergences; {warmup} warm-up draws a chain")


MODEL = "scalefit's model and priors, centred by hand; nutpie, numba, 4 chains of 1,000 draws, default warm-up"
METHODS = {
    "nutpie": Method("posterior", f"{MODEL}; default, diagonal metric", sample),
    "nutpie, low rank": Method(
        "posterior",
        f"{MODEL}; low-rank metric, for correlated posteriors",
        lambda task: sample(task, low_rank_modified_mass_matrix=True),
    ),
}

if __name__ == "__main__":
    main(__file__, METHODS, ("pymc", "nutpie", "pytensor", "numba"))
