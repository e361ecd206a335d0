"""Power laws in one variable, as in Kaplan et al. 2020 (arXiv 2001.08361), with intervals by a bootstrap of runs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from scalefit._quantities import ranged, write
from scalefit._results import PROB, Result
from scalefit._tables import Table, estimate, estimate_table
from scalefit.errors import DataError, TooFewRunsError
from scalefit.units import percent

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class SingleVariableFit(Result):
    """A power law in one variable: L = E + (scale / x)^alpha.

    Parameters
    ----------
    E, scale, alpha
        (1 + resample,), the estimate and then its bootstrap resamples.
    """

    E: np.ndarray
    scale: np.ndarray
    alpha: np.ndarray

    def predict(self, x: Any) -> np.ndarray:
        """Loss at each x, (1 + resample, x)."""
        x = np.atleast_1d(np.asarray(x, dtype=float))
        return self.E[:, None] + (self.scale[:, None] / x) ** self.alpha[:, None]

    def headline(self, prob: float = PROB) -> str:
        """The exponent and the irreducible loss."""
        alpha, level = (ranged(estimate(values, prob), write) for values in (self.alpha, self.E))
        return (
            f"The power law has the exponent alpha = {alpha} and the irreducible loss E = {level} "
            f"({percent(prob)} bootstrap intervals)."
        )

    def summary(self, prob: float = PROB) -> "pd.DataFrame":
        """Rows: E, scale, alpha. Columns: estimate, lower, upper of the equal-tailed interval."""
        return self._table(prob).frame()

    def _table(self, prob: float) -> Table:
        return estimate_table({"E": self.E, "scale": self.scale, "alpha": self.alpha}, prob).in_units({"E": "1"})


def power_law(x: Any, loss: Any, offset: bool = True, resamples: int = 200, seed: int = 0) -> SingleVariableFit:
    """Kaplan et al.'s L(N), L(D) or L(C), by least squares on ln loss.

    Parameters
    ----------
    x
        Parameters, tokens or compute of each run, positive.
    loss
        Of each run, positive.
    offset
        Whether there is an irreducible loss E.
    resamples
        Number of bootstrap resamples of the runs.
    seed
        The same seed, the same resamples.

    Returns
    -------
    SingleVariableFit
        Without an offset, E is 0.

    Raises
    ------
    DataError
        x and loss are not positive numbers, one each for every run.
    TooFewRunsError
        There are fewer different x than parameters.

    References
    ----------
    Kaplan et al. 2020 (arXiv 2001.08361), equations 1.1 to 1.3.
    """
    x, loss = np.asarray(x, dtype=float), np.asarray(loss, dtype=float)
    if x.shape != loss.shape or x.ndim != 1 or not (np.isfinite([x, loss]) & (np.array([x, loss]) > 0)).all():
        raise DataError("a power law is fitted to positive numbers, an x and a loss for every run.")
    if len(np.unique(x)) < (3 if offset else 2):
        raise TooFewRunsError(f"a power law needs {3 if offset else 2} different x at least. Add runs.")
    solve = _with_offset if offset else _without_offset
    rng = np.random.default_rng(seed)
    found = [solve(np.log(x), np.log(loss))]
    while len(found) <= resamples:
        drawn = rng.integers(0, len(x), len(x))
        if len(np.unique(x[drawn])) >= (3 if offset else 2):
            found.append(solve(np.log(x[drawn]), np.log(loss[drawn])))
    return SingleVariableFit(*np.array(found).T)


def _without_offset(
    log_x: Float[np.ndarray, " run"], log_loss: Float[np.ndarray, " run"]
) -> tuple[float, float, float]:
    slope, intercept = np.polyfit(log_x, log_loss, 1)
    return 0.0, float(np.exp(-intercept / slope)), float(-slope)


def _with_offset(log_x: Float[np.ndarray, " run"], log_loss: Float[np.ndarray, " run"]) -> tuple[float, float, float]:
    from scipy.optimize import least_squares

    centre, least = log_x.mean(), np.exp(log_loss.min())

    def misfit(p: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " run"]:
        return np.logaddexp(p[0], p[1] - np.exp(p[2]) * (log_x - centre)) - log_loss

    starts = [(np.log(share * least), np.log((1 - share) * least), np.log(0.3)) for share in (0.1, 0.5, 0.9)]
    fits = [least_squares(misfit, start, x_scale="jac", xtol=1e-12, ftol=1e-12, gtol=1e-12) for start in starts]
    e, k, log_alpha = min(fits, key=lambda fit: fit.cost).x
    alpha = np.exp(log_alpha)
    return float(np.exp(e)), float(np.exp(centre + k / alpha)), float(alpha)
