"""scalefit itself, in the same run and on the same table. One more engine is one more entry of `METHODS`."""

import numpy as np
from shared import Method, Outcome, Task, main


def posterior(task: Task) -> Outcome:
    """`sf.fit` on the shipped table, twice: the second time, with another seed, everything is compiled."""
    import scalefit as sf

    runs = sf.datasets.load("chinchilla")
    assert np.allclose(np.log(runs.loss), task.loss)
    fit = task.twice(lambda seed: sf.fit(runs, seed=seed))
    return Outcome(dict(fit.draws), notes=f"health: {fit.health.verdict}")


METHODS = {
    "NUTS": Method(
        "posterior",
        "the Chinchilla law with Student-t noise, default priors; `sf.fit(runs)`: 4 vectorized chains of 1,000 draws, "
        "500 warm-up, whitened at the mode",
        posterior,
    )
}

if __name__ == "__main__":
    main(__file__, METHODS, ("scalefit", "numpyro", "jax"))
