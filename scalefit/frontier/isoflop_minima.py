"""Best sizes that runs show by themselves: the minima of isoFLOP curves, with errors, and those of a fit's losses."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from scalefit.counting.compute import ISOFLOP_WIDTH
from scalefit.runs import Runs

LEAST_NOISE = 5e-4  # of ln loss
TINY = 1e-12  # curvature of a parabola that opens downwards: its least value is at an end


class IsoflopMinimum(NamedTuple):
    """Where the loss of runs of one budget is least.

    Parameters
    ----------
    flops
        The budget.
    log_params
        ln N of the vertex of a parabola.
    error
        Its standard error.
    rows
        The runs that the parabola goes through, (run,), from 0.
    """

    flops: float
    log_params: float
    error: float
    rows: Int[np.ndarray, " run"]


def isoflop_minima(runs: Runs) -> list[IsoflopMinimum]:
    """The best size of every budget whose runs show one.

    By a parabola of ln loss in ln N through the runs within a factor 8 of the best, whose residuals, taken as 5e-4 at
    least, give its error.

    Parameters
    ----------
    runs
        The table.

    Returns
    -------
    list of IsoflopMinimum
        By compute. Left out: fewer than five runs, curvature within two errors of none, a minimum outside the runs or
        known to half an e-fold only.
    """
    line = np.round(np.log(runs.flops) / ISOFLOP_WIDTH)
    found = (_minimum(runs, np.flatnonzero(line == budget)) for budget in np.unique(line))
    return [each for each in found if each is not None]


def _minimum(runs: Runs, rows: Int[np.ndarray, " run"]) -> IsoflopMinimum | None:
    x, y = np.log(runs.params[rows]), np.log(runs.loss[rows])
    near = np.abs(x - x[y.argmin()]) < np.log(8)
    if near.sum() < 5 or len(np.unique(x[near])) < 3:
        return None
    x, y, centre = x[near], y[near], x[near].mean()
    (curve, slope, level), cov = np.polyfit(x - centre, y, 2, cov="unscaled")
    left = y - np.polyval((curve, slope, level), x - centre)
    cov = cov * max(left @ left / max(len(x) - 3, 1), LEAST_NOISE**2)
    best, gradient = centre - slope / (2 * curve), np.array([slope / (2 * curve**2), -1 / (2 * curve), 0.0])
    error = float(np.sqrt(gradient @ cov @ gradient))
    clear = curve > 2 * np.sqrt(cov[0, 0]) and x.min() < best < x.max() and error < 0.5
    return IsoflopMinimum(float(runs.flops[rows].mean()), float(best), error, rows[near]) if clear else None


def vertices(log_n: Float[np.ndarray, " run"], log_loss: Float[np.ndarray, "draw run"]) -> Float[np.ndarray, " draw"]:
    """ln N where parabolas through losses of the same runs are least.

    Parameters
    ----------
    log_n
        Of the runs.
    log_loss
        Of every draw.

    Returns
    -------
    array (draw,)
        Between the smallest and the largest ln N.
    """
    centre = log_n.mean()
    curve, slope, _ = np.polyfit(log_n - centre, log_loss.T, 2)
    best = centre - slope / (2 * np.maximum(curve, TINY))
    return np.clip(best, log_n.min(), log_n.max())
