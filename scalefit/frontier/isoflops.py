"""IsoFLOP lines: the budgets that runs crowd around, and the best size of each.

At one budget the loss against ln N is about a parabola.
"""

import numpy as np
from jaxtyping import Float

from scalefit.counting.compute import ISOFLOP_WIDTH
from scalefit.errors import NoMinimumError, TooFewRunsError
from scalefit.runs import Runs
from scalefit.units import format_flops

LEAST_NOISE = 5e-4  # of ln loss


def crowded_budgets(flops: Float[np.ndarray, " run"], most: int = 8) -> Float[np.ndarray, " budget"]:
    """Budgets with most runs within `ISOFLOP_WIDTH` in ln compute, at least twice that apart, ascending."""
    log_c = np.log(flops)
    chosen: list[float] = []
    left = np.ones(len(log_c), dtype=bool)
    while left.any() and len(chosen) < most:
        others = np.sort(log_c[left])
        near = np.searchsorted(others, log_c + ISOFLOP_WIDTH) - np.searchsorted(others, log_c - ISOFLOP_WIDTH, "right")
        centre = log_c[np.argmax(np.where(left, near, -1))]
        chosen.append(log_c[left & (np.abs(log_c - centre) < ISOFLOP_WIDTH)].mean())
        left &= np.abs(log_c - centre) >= 2 * ISOFLOP_WIDTH
    return np.exp(np.sort(chosen))


def vertex(log_n: Float[np.ndarray, " run"], loss: Float[np.ndarray, " run"], budget: float) -> float:
    """ln N at the minimum of the parabola through runs of one budget.

    Parameters
    ----------
    log_n, loss
        The runs.
    budget
        FLOP, for the errors.

    Returns
    -------
    float
        Between the smallest and the largest ln N.

    Raises
    ------
    TooFewRunsError
        There are fewer than three sizes.
    NoMinimumError
        The parabola opens downwards, or its minimum lies outside the sizes.
    """
    if len(np.unique(log_n)) < 3:
        raise TooFewRunsError(f"fewer than three model sizes near {format_flops(budget)} FLOP. Add runs there.")
    centre = log_n.mean()
    curve, slope, _ = np.polyfit(log_n - centre, loss, 2)
    best = centre - slope / (2 * curve)
    if curve <= 0 or not log_n.min() <= best <= log_n.max():
        raise NoMinimumError(
            f"no best size between the smallest and largest at {format_flops(budget)} FLOP. Add smaller or larger ones."
        )
    return float(best)


def isoflop_minima(runs: Runs) -> list[tuple[float, float, float]]:
    """The best size of every budget whose runs show one.

    By a parabola of ln loss in ln N through the runs within a factor 8 of the best, whose residuals, taken as 5e-4 at
    least, give its error.

    Parameters
    ----------
    runs
        The table.

    Returns
    -------
    list of tuple
        (flops, ln N, standard error), by compute. Left out: fewer than five runs, curvature within two errors of none,
        a minimum outside the runs or known to half an e-fold only.
    """
    line = np.round(np.log(runs.flops) / ISOFLOP_WIDTH)
    found = (_minimum(runs.subset(line == budget)) for budget in np.unique(line))
    return [each for each in found if each is not None]


def _minimum(runs: Runs) -> tuple[float, float, float] | None:
    x, y = np.log(runs.params), np.log(runs.loss)
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
    return (float(runs.flops.mean()), float(best), error) if clear else None
