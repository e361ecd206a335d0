"""scipy, by the protocol of Besiroglu et al. 2024 (arXiv 2404.10102): a grid of starts, then a pairs bootstrap.

Parameters are in the order of their notebook: a = ln A, b = ln B, e = ln E, alpha, beta.
"""

from collections.abc import Callable
from itertools import product

import numpy as np
from shared import DELTA, PUBLISHED, Draws, Method, Outcome, Task, main

STARTS = (*[np.arange(0, 30, 5.0)] * 2, np.arange(-1, 1.5, 0.5), *[np.arange(0, 2.5, 0.5)] * 2)
Runs = tuple[np.ndarray, np.ndarray, np.ndarray]
"""ln params, ln tokens and ln loss, each (run,)."""


def shares(p: np.ndarray, runs: Runs) -> tuple[np.ndarray, np.ndarray]:
    """ln law less ln loss, (run,), and the share of each of the law's three terms in it, (3, run)."""
    n, d, log_loss = runs
    terms = np.stack([p[0] - p[3] * n, p[1] - p[4] * d, np.full_like(n, p[2])])
    top = terms.max(axis=0)
    weights = np.exp(terms - top)
    total = weights.sum(axis=0)
    return top + np.log(total) - log_loss, weights / total


def objective(p: np.ndarray, *runs: np.ndarray) -> float:
    """Sum of Huber's loss of the residuals."""
    size = np.abs(shares(p, runs)[0])
    return np.where(size <= DELTA, size**2 / 2, DELTA * (size - DELTA / 2)).sum()


def gradient(p: np.ndarray, *runs: np.ndarray) -> np.ndarray:
    """Of `objective`, by hand."""
    residual, (in_n, in_d, in_e) = shares(p, runs)
    pull = np.clip(residual, -DELTA, DELTA)
    n, d, _ = runs
    return np.array([pull @ in_n, pull @ in_d, pull @ in_e, -(pull * in_n) @ n, -(pull * in_d) @ d])


def traced() -> Callable[..., np.ndarray]:
    """The gradient that autograd makes of the objective in their notebook's form, as their bootstrap takes it."""
    import autograd.numpy as anp
    from autograd import grad

    def by_notebook(p: np.ndarray, n: np.ndarray, d: np.ndarray, log_loss: np.ndarray) -> float:
        law = anp.log(anp.exp(p[0] - p[3] * n) + anp.exp(p[1] - p[4] * d) + anp.exp(p[2]))
        size = anp.abs(law - log_loss)
        return anp.sum(anp.where(size <= DELTA, size**2 / 2, DELTA * (size - DELTA / 2)))

    return grad(by_notebook)


def grid(task: Task, jac: Callable | None = None) -> Outcome:
    """The best of 4,500 searches."""
    from scipy.optimize import minimize

    runs = (task.params, task.tokens, task.loss)
    task.done("setup")
    ends = [minimize(objective, np.array(p), args=runs, jac=jac, method="L-BFGS-B") for p in product(*STARTS)]
    best = min((end for end in ends if end.success), key=lambda end: end.fun)
    task.done("run")
    return Outcome(_named(best.x), notes=f"{sum(end.success for end in ends):,} of {len(ends):,} searches converged")


def bootstrap(task: Task, make_jac: Callable[[], Callable | None]) -> Outcome:
    """Refit tables of runs drawn with replacement, each from the optimum of the full table."""
    from scipy.optimize import minimize

    jac, runs = make_jac(), np.stack([task.params, task.tokens, task.loss])
    start = [np.log(PUBLISHED[k]) for k in ("A", "B", "E")] + [PUBLISHED["alpha"], PUBLISHED["beta"]]
    start = minimize(objective, start, args=tuple(runs), jac=gradient, method="BFGS").x
    drawn = resampled(runs.shape[1], task.resamples)
    task.done("setup")
    ends = [minimize(objective, start, args=tuple(runs[:, rows]), jac=jac, method="BFGS") for rows in drawn]
    task.done("run")
    failed = sum(not end.success for end in ends)
    notes = f"{failed:,} of {len(ends):,} searches report that they did not converge"
    return Outcome(_named(np.stack([e.x for e in ends], axis=1)), objectives=[e.fun for e in ends], notes=notes)


def resampled(runs: int, resamples: int) -> np.ndarray:
    """Rows of every resampled table, (resample, run); the first of a longer list are those of a shorter one."""
    return np.random.default_rng(0).integers(0, runs, (resamples, runs))


def _named(p: np.ndarray) -> Draws:
    return {"A": np.exp(p[0]), "B": np.exp(p[1]), "E": np.exp(p[2]), "alpha": p[3], "beta": p[4]}


HUBER = "sum of Huber(1e-3) of ln loss"
REFITS = f"pairs bootstrap of {HUBER}; BFGS from the optimum of the full table"
METHODS = {
    "4,500 starts": Method(
        "point", f"{HUBER}; L-BFGS-B, gradient by differences, as published", lambda task: grid(task)
    ),
    "4,500 starts, gradient": Method(
        "point", f"{HUBER}; L-BFGS-B, gradient by hand", lambda task: grid(task, gradient)
    ),
    "bootstrap": Method("bootstrap", f"{REFITS}, gradient by differences", lambda task: bootstrap(task, lambda: None)),
    "bootstrap, autograd": Method(
        "bootstrap", f"{REFITS}, gradient by autograd, as published", lambda task: bootstrap(task, traced)
    ),
    "bootstrap, gradient": Method(
        "bootstrap", f"{REFITS}, gradient by hand", lambda task: bootstrap(task, lambda: gradient)
    ),
}

if __name__ == "__main__":
    main(__file__, METHODS, ("scipy", "numpy", "autograd"))
