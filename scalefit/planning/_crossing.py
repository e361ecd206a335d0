"""Where losses on a grid first fall to a level: of smooth functions that need not fall everywhere.

Between points they are cubics through the nearest four.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

STEPS = 5  # Newton's from the chord, or halvings where they leave the cell
HALVINGS = 30
CORRECTIONS = 8


def first_crossing(
    x: Float[np.ndarray, " point"], values: Float[np.ndarray, "*lane point"], level: Float[np.ndarray, "*any"] | float
) -> Float[np.ndarray, "*lane"]:
    """The least x at which each of many functions falls to its level.

    Parameters
    ----------
    x
        Ascending, four at least.
    values
        Of the functions.
    level
        One for all or one for each.

    Returns
    -------
    array
        The first x where a function is at its level there already, infinite where it never is.
    """
    level = np.broadcast_to(level, values.shape[:-1])
    row = _first_true(values <= level[..., None])
    at = _nearest_four(row, len(x))
    nodes, near = np.moveaxis(x[at], -1, 0), np.moveaxis(np.take_along_axis(values, at, -1), -1, 0)
    differences = _divided(nodes, near)
    cell = np.clip(row, 1, len(x) - 1)
    low, high = x[cell - 1], x[cell]
    before, after = (np.take_along_axis(values, k[..., None], -1)[..., 0] for k in (cell - 1, cell))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = low + np.clip((before - level) / (before - after), 0.0, 1.0) * (high - low)
        for _ in range(STEPS):
            value, slope = _cubic(nodes, differences, found)
            above = value > level
            low, high = np.where(above, found, low), np.where(above, high, found)
            newton = found - (value - level) / slope
            found = np.where((newton >= low) & (newton <= high), newton, 0.5 * (low + high))
    return np.where(row == 0, x[0], np.where(row < len(x), found, np.inf))


def first_agreement(
    x: Float[np.ndarray, " point"],
    values: Float[np.ndarray, "draw *lane point"],
    agree: Callable[[np.ndarray], np.ndarray],
) -> Float[np.ndarray, "*lane"]:
    """The least x at which the draws of many functions together fulfil a condition.

    Parameters
    ----------
    x
        Ascending, four at least.
    values
        Of the functions, draw by draw.
    agree
        From values (draw, ...) to whether they do: that a share of them reaches a level, say.

    Returns
    -------
    array
        As `first_crossing` does.
    """
    row = _first_true(agree(values))
    at = _nearest_four(row, len(x))
    nodes, near = np.moveaxis(x[at], -1, 0), np.moveaxis(np.take_along_axis(values, at[None], -1), -1, 0)
    differences = _divided(nodes[:, None], near)
    low, high = x[np.maximum(row - 1, 0)], x[np.minimum(row, len(x) - 1)]
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        reached = agree(_cubic(nodes[:, None], differences, middle)[0])
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return np.where(row == 0, x[0], np.where(row < len(x), high, np.inf))


def falling_roots(
    f: Callable[[Float[np.ndarray, " some"], Int[np.ndarray, " some"]], Float[np.ndarray, " some"]],
    start: Float[np.ndarray, " row"],
    ends: Float[np.ndarray, "2 row"],
    values: Float[np.ndarray, "2 row"],
    close: float,
) -> Float[np.ndarray, " row"]:
    """Roots of many functions that are above zero at the first of two ends and not at the second.

    By the Illinois method; a row that has settled is not evaluated again.

    Parameters
    ----------
    f
        From points of some rows, and their numbers, to values there.
    start
        First guesses.
    ends, values
        Of each row, and the values there.
    close
        A row has settled when a step is smaller.

    References
    ----------
    Dowell and Jarratt 1971 (BIT 11, 168).
    """
    found, side, rows = start.copy(), np.zeros(len(start), dtype=int), np.arange(len(start))
    ends, values = ends.copy(), values.copy()
    for _ in range(CORRECTIONS):
        at, (low, high), (over, under), before = found[rows], ends[:, rows], values[:, rows], side[rows]
        value = f(at, rows)
        above = value > 0
        low, high = np.where(above, at, low), np.where(above, high, at)
        over = np.where(above, value, np.where(before < 0, 0.5, 1.0) * over)
        under = np.where(above, np.where(before > 0, 0.5, 1.0) * under, value)
        share = np.clip(over / np.maximum(over - under, np.finfo(float).tiny), 0.0, 1.0)
        ends[:, rows], values[:, rows], side[rows] = (low, high), (over, under), np.where(above, 1, -1)
        found[rows] = low + share * (high - low)
        rows = rows[np.abs(found[rows] - at) >= close]
        if not len(rows):
            break
    return found


def _first_true(reached: Bool[np.ndarray, "*lane point"]) -> Int[np.ndarray, "*lane"]:
    """Index of the first that is marked; their number where none is."""
    return np.where(reached.any(axis=-1), reached.argmax(axis=-1), reached.shape[-1])


def _nearest_four(row: Int[np.ndarray, "*lane"], count: int) -> Int[np.ndarray, "*lane 4"]:
    """Indices around the cell that ends at `row`."""
    return np.clip(row - 2, 0, count - 4)[..., None] + np.arange(4)


def _divided(nodes: np.ndarray, values: np.ndarray) -> list[np.ndarray]:
    """Newton's divided differences of a cubic, the nodes along the first axis."""
    parts, found = values, [values[0]]
    for order in range(1, 4):
        parts = (parts[1:] - parts[:-1]) / (nodes[order:] - nodes[:-order])
        found.append(parts[0])
    return found


def _cubic(nodes: np.ndarray, differences: list[np.ndarray], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Value and slope."""
    value, slope = differences[3], np.zeros_like(x)
    for order in (2, 1, 0):
        slope = value + (x - nodes[order]) * slope
        value = differences[order] + (x - nodes[order]) * value
    return value, slope
