"""scalefit itself, in the same run and on the same table. One more engine is one more entry of `METHODS`."""

import numpy as np
from shared import DELTA, Method, Outcome, Task, main


def posterior(task: Task, engine: str) -> Outcome:
    """`sf.fit` on the shipped table, twice: the second time, with another seed, everything is compiled."""
    import scalefit as sf

    runs = sf.datasets.load("chinchilla")
    assert np.allclose(np.log(runs.loss), task.loss)
    fit = task.twice(lambda seed: sf.fit(runs, engine=engine, seed=seed))
    return Outcome(dict(fit.draws), notes=f"health: {fit.health.verdict}")


def point(task: Task, starts: str) -> Outcome:
    """Huber(1e-3) from projected starts or from the grid of 4,500; twice, the second time compiled."""
    import scalefit as sf

    runs = sf.datasets.load("chinchilla")
    fit = task.twice(lambda seed: sf.fit(runs, engine=sf.Huber(starts=starts), seed=seed))
    return Outcome({name: values[0, 0] for name, values in fit.draws.items()})


def bootstrap(task: Task) -> Outcome:
    """Huber(1e-3) on the resamples that SciPy refits, all in one compiled program; the noise is refitted too."""
    from peer_scipy import resampled

    import scalefit as sf
    from scalefit.infer.bootstrap import refit

    rows = resampled(len(task.loss), task.resamples)
    counts = np.stack([np.bincount(row, minlength=len(task.loss)) for row in rows]).astype(float)
    bound = sf.Model().bind(sf.datasets.load("chinchilla"))

    def once(_: int) -> dict[str, np.ndarray]:
        with sf.precision():
            return bound.to_raw(refit(sf.Bootstrap(resamples=task.resamples), bound, counts, lambda *_: None))

    draws = {name: values[0] for name, values in task.twice(once).items()}
    objectives = [_objective(task, {k: v[i] for k, v in draws.items()}, counts[i]) for i in range(task.resamples)]
    return Outcome(draws, objectives=np.array(objectives))


def _objective(task: Task, theta: dict[str, float], weight: np.ndarray) -> float:
    terms = theta["A"] * np.exp(-theta["alpha"] * task.params) + theta["B"] * np.exp(-theta["beta"] * task.tokens)
    size = np.abs(np.log(theta["E"] + terms) - task.loss)
    return float((weight * np.where(size <= DELTA, size**2 / 2, DELTA * (size - DELTA / 2))).sum())


HUBER = "sum of Huber(1e-3) of ln loss; Levenberg-Marquardt"
MODEL = "the Chinchilla law with Student-t noise, default priors"
METHODS = {
    "default (AIS)": Method(
        "posterior",
        f"{MODEL}; `sf.fit(runs)`: adaptive importance sampling, 8,000 proposals, 4,000 kept; binding, "
        "R-hat, ESS and health are in its time",
        lambda task: posterior(task, "auto"),
    ),
    "NUTS": Method(
        "posterior",
        f"{MODEL}; 4 vectorized chains of 1,000 draws, 500 warm-up, whitened at the mode; health likewise",
        lambda task: posterior(task, "nuts"),
    ),
    "Huber": Method("point", f"{HUBER} from projected starts", lambda task: point(task, "projection")),
    "Huber, 4,500 starts": Method(
        "point",
        f"{HUBER}, ten steps from each of 4,500 starts, the best 32 to the end",
        lambda task: point(task, "grid"),
    ),
    "bootstrap": Method("bootstrap", f"pairs bootstrap of {HUBER} from the optimum of the full table", bootstrap),
}

if __name__ == "__main__":
    main(__file__, METHODS, ("scalefit", "numpyro", "jax"))
