"""IsoFLOP lines: the budgets that runs crowd around, and the best size of each.

At one budget the loss against ln N is about a parabola.
"""

import numpy as np
from jaxtyping import Float

from scalefit.counting.compute import ISOFLOP_WIDTH
from scalefit.errors import NoMinimumError, TooFewRunsError
from scalefit.units import format_flops


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
