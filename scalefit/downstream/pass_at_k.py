"""fit_pass_at_k: pass@k from a distribution of success probabilities over problems.

One problem's failures fall exponentially in the number of attempts k; a benchmark's -ln pass@k falls as k^-b because
some problems are nearly hopeless. With p ~ scale * Beta(a, b) over problems, 1 - pass@k ~ k^-a: b of the power law is
the Beta's a.

References
----------
Schaeffer et al. 2025 (arXiv 2502.17578).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from scalefit._intervals import interval
from scalefit._quantities import ranged, write
from scalefit._results import PROB, Result
from scalefit._tables import Table, draws_table
from scalefit.diagnostics.checks import Health
from scalefit.diagnostics.convergence import chain_table, known_stats
from scalefit.diagnostics.health import assess_chains
from scalefit.downstream._density import sample_density
from scalefit.downstream.scaled_beta import ScaledBeta, mean_pass_at_k
from scalefit.errors import DataError, OptionError
from scalefit.units import percent

if TYPE_CHECKING:
    import pandas as pd

MOST_TRIALS = 2000  # for an inferred scale, whose likelihood is a sum over the attempts
ROWS = 128  # distinct problems are padded to a multiple, so that tables share compiled programs


@dataclass(frozen=True, eq=False, repr=False)
class PassAtK(Result):
    """A posterior of the distribution of success probabilities over problems.

    Parameters
    ----------
    draws
        a, b and scale -> draws (chain, draw).
    health
        Whether the draws can be trusted.
    successes, trials
        The table, (problem,).
    seed
        What repeats the draws.
    """

    draws: dict[str, Float[np.ndarray, "chain draw"]]
    health: Health
    successes: Float[np.ndarray, " problem"]
    trials: Float[np.ndarray, " problem"]
    seed: int

    def headline(self, prob: float = PROB) -> str:
        """The exponent of -ln pass@k in the number of attempts, and the health."""
        slope = ranged(interval(self.slope.reshape(-1), prob), write)
        return (
            f"Over {len(self.trials)} problems -ln pass@k falls as k^-b with b = {slope} for many attempts "
            f"({percent(prob)} interval), and the health of the fit is {self.health.verdict}."
        )

    def _table(self, prob: float) -> Table:
        return draws_table({name: values.reshape(-1) for name, values in self.draws.items()}, prob)

    @property
    def slope(self) -> Float[np.ndarray, "chain draw"]:
        """The b of -ln pass@k ~ k^-b for many attempts, (chain, draw), which is the Beta's a."""
        return self.draws["a"]

    def predict(self, k: Any, noise: bool = False, seed: int | None = None) -> Float[np.ndarray, "draw k"]:
        """Draws of pass@k.

        Parameters
        ----------
        k
            Numbers of attempts, one or (k,).
        noise
            False for all problems of the kind, True for a new benchmark of as many problems as the table has.
        seed
            Of the new benchmark; the fit's own by default.

        Returns
        -------
        array (draw, k)
            pass@k, shares.

        Raises
        ------
        DataError
            A number of attempts is below 1.
        """
        attempts = np.atleast_1d(np.asarray(k, dtype=float))
        if not (np.isfinite(attempts) & (attempts >= 1)).all():
            raise DataError("a number of attempts k is out of range. Give numbers of 1 or more.")
        theta = {name: values.reshape(-1) for name, values in self.draws.items()}
        if not noise:
            return np.stack([mean_pass_at_k(theta, one) for one in attempts], axis=1)
        rng = np.random.default_rng(self.seed if seed is None else seed)
        shape = (len(theta["a"]), len(self.trials))
        p = theta["scale"][:, None] * rng.beta(theta["a"][:, None], theta["b"][:, None], shape)
        log_failure = np.log1p(-np.minimum(p, 1 - 1e-16))
        return np.stack([-np.expm1(one * log_failure).mean(axis=1) for one in attempts], axis=1)

    def summary(self, prob: float = 0.9) -> "pd.DataFrame":
        """Intervals of the parameters, and how well the chains mixed.

        Parameters
        ----------
        prob
            Probability of every interval, equal-tailed.

        Returns
        -------
        pandas.DataFrame
            Rows: parameters. Columns: median, lower, upper, ess_bulk, ess_tail, r_hat, mcse_median.
        """
        return chain_table(self.draws, prob, known_stats(self.health))


def fit_pass_at_k(successes: Any, trials: Any, *, scale: float | None = 1.0, seed: int = 0) -> PassAtK:
    """Fit the distribution of success probabilities over the problems of a benchmark.

    Parameters
    ----------
    successes
        Of each problem, (problem,).
    trials
        Of each problem, one number or (problem,).
    scale
        Success probability of the easiest problems; None infers it, for at most 2,000 trials a problem.
    seed
        Of the draws.

    Returns
    -------
    PassAtK
        The posterior.

    Raises
    ------
    DataError
        The successes and trials are not counts.
    OptionError
        The scale is not a probability, or there are too many trials for it.
    """
    y, n = _counts(successes, trials)
    if scale is not None and not 0 < scale <= 1:
        raise OptionError(f"a scale of {scale:g} is out of range. Give a probability above 0 and at most 1.")
    if scale != 1.0 and n.max() > MOST_TRIALS:
        raise OptionError(f"{n.max():g} trials of a problem are too many for a scale below 1. Use scale=1.")
    model = ScaledBeta(scale, 0 if scale == 1.0 else int(n.max()))
    draws, stats = sample_density(model, _tally(y, n), seed)
    health = assess_chains(draws, stats)
    return PassAtK({"scale": np.full_like(draws["a"], scale or 1.0), **draws}, health, y, n, seed)


def _tally(y: Float[np.ndarray, " problem"], n: Float[np.ndarray, " problem"]) -> dict[str, np.ndarray]:
    """Distinct problems and how often each occurs, with rows that occur 0 times up to a multiple of `ROWS`."""
    (y, n), times = np.unique(np.stack([y, n]), axis=1, return_counts=True)
    pad = (0, -len(times) % ROWS)
    return {"successes": np.pad(y, pad), "trials": np.pad(n, pad, constant_values=1), "times": np.pad(times, pad)}


def observed_pass_at_k(successes: Any, trials: Any, k: int) -> float:
    """The unbiased estimate of pass@k from counts: the mean over problems of 1 - C(n - y, k) / C(n, k).

    Parameters
    ----------
    successes
        y of each problem, (problem,).
    trials
        n of each problem, one number or (problem,).
    k
        Number of attempts.

    Returns
    -------
    float
        pass@k, a share.

    Raises
    ------
    DataError
        k exceeds the trials of a problem, or the successes and trials are not counts.

    References
    ----------
    Chen et al. 2021 (arXiv 2107.03374).
    """
    from scipy.special import gammaln

    y, n = _counts(successes, trials)
    if not 1 <= k <= n.min():
        raise DataError(f"pass@{k} cannot be counted from {n.min():g} trials. Predict it with fit_pass_at_k.")
    failed = n - y
    enough = np.maximum(failed - k, 0)
    log_none = gammaln(failed + 1) - gammaln(enough + 1) - gammaln(n + 1) + gammaln(n - k + 1)
    return float(np.mean(np.where(failed >= k, -np.expm1(log_none), 1.0)))


def _counts(successes: Any, trials: Any) -> tuple[Float[np.ndarray, " problem"], Float[np.ndarray, " problem"]]:
    """Successes and trials of every problem; one number of trials holds for all."""
    y = np.atleast_1d(np.asarray(successes, dtype=float))
    n = np.asarray(trials, dtype=float)
    if n.ndim == 0:
        n = np.full(y.shape, n)
    if y.ndim != 1 or y.shape != n.shape or len(y) < 2:
        raise DataError(
            f"successes {y.shape} and trials {n.shape} have the wrong shape. "
            "Give one number of each for every problem, of two problems or more."
        )
    bad = ~(np.isfinite(y) & np.isfinite(n)) | (y != np.round(y)) | (n != np.round(n)) | (y < 0) | (n < 1) | (y > n)
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise DataError(f"problem {i + 1}: {y[i]:g} successes in {n[i]:g} trials are impossible. Give whole counts.")
    return y, n
