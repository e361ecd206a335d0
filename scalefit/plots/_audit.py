"""Trained models around the compute-optimal frontier."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from scalefit._intervals import interval
from scalefit.fits.fit import Fit, check_fit, posterior_name
from scalefit.planning import Audit
from scalefit.plots._axes import COLORS, MAIN, count_axis, legend_below, new_axes, title
from scalefit.units import percent

# Where a name may stand about its dot, in points, the first that is free; then three times as far.
PLACES = ((5.0, 4.0), (-5.0, 4.0), (5.0, -11.0), (-5.0, -11.0))
FAR = 5.0
CLOSE = 25.0  # pixels between dots whose names could be taken for each other's


def audit(fit: Fit, found: Audit, prob: float = 0.9, ax: Axes | None = None) -> Axes:
    """Tokens per parameter of each model against its compute, coloured by what it wastes, and the optimum's band.

    The end of the data is a vertical line.

    Parameters
    ----------
    fit
        Any fit.
    found
        What `sf.audit` answers by this fit.
    prob
        Probability of every band, equal-tailed.
    ax
        Axes to draw on; those of a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    check_fit(fit)
    ax = ax or new_axes(size=(9.0, 6.0))
    flops, largest = found.flops, fit.compute_range[1]
    per = np.array([model.tokens / model.params for model in found.models])
    budgets = np.geomspace(min(largest, flops.min()) / 3, 3 * flops.max(), 40)
    median, lower, upper = interval(fit.frontier(budgets, found.assumptions.discrepancy).tokens_per_param, prob)
    ax.fill_between(
        budgets,
        lower,
        upper,
        color=MAIN,
        alpha=0.2,
        lw=0,
        label=f"optimum, {percent(prob)} ({posterior_name(found.assumptions.discrepancy)})",
    )
    ax.plot(budgets, median, color=MAIN, lw=1.5, label="optimum, median")
    ax.axvline(largest, color="black", lw=0.8, ls="--", label="largest run of the data")
    wasted = 100 * np.median(found.draws["wasted_compute"], axis=0)
    dots = ax.scatter(flops, per, c=wasted, cmap=COLORS, s=45, edgecolor="white", lw=0.6, vmin=0, vmax=100, zorder=3)
    ax.figure.colorbar(dots, ax=ax, label="training compute wasted, % (median)")
    count_axis(ax.xaxis, "training compute, FLOP")
    count_axis(ax.yaxis, "tokens per parameter")
    ax.set(xlim=(budgets[0], budgets[-1] * 3))
    title(ax, f"Trained models against the optimum of {fit.runs.name}")
    legend_below(ax)
    _name_dots(ax, [model.name for model in found.models], np.stack([flops, per], axis=1))
    return ax


def _name_dots(ax: Axes, names: list[str], dots: np.ndarray) -> None:
    """Write each name beside its dot (model, 2), where no other name or dot is; the axes keep their limits."""
    spots = ax.transData.transform(dots)
    taken = [Bbox.from_extents(x - 3, y - 3, x + 3, y + 3) for x, y in spots]
    away = [_away(spots, index) for index in range(len(spots))]
    for index in sorted(range(len(names)), key=lambda index: not away[index].any()):  # the crowded choose first
        near = sorted(PLACES, key=lambda place: -float(np.sign(place) @ away[index]))
        places = [*near, *((3 * x, 3 * y) for x, y in near)]
        taken.append(_write(ax, names[index], dots[index], places, taken[:index] + taken[index + 1 :]))


def _away(spots: np.ndarray, index: int) -> np.ndarray:
    """The direction (2,) from the nearest other dot, so that two names do not cross; zero where none is close."""
    steps = np.delete(spots[index] - spots, index, axis=0)
    distances = np.linalg.norm(steps, axis=1)
    if not len(steps) or not 0 < distances.min() < CLOSE:
        return np.zeros(2)
    return steps[distances.argmin()] / distances.min()


def _write(ax: Axes, name: str, dot: np.ndarray, places: list[tuple[float, float]], others: list[Bbox]) -> Bbox:
    """Write a name at the first free place, else at the last; a thin line leads from a far one to its dot."""
    at: Any = tuple(dot)
    for place in places:
        side = "left" if place[0] > 0 else "right"
        text = ax.annotate(name, at, place, textcoords="offset points", fontsize=8, ha=side)
        box = text.get_window_extent()
        if place is places[-1] or not any(box.overlaps(other) for other in others):
            break
        text.remove()
    if abs(place[0]) > FAR:
        ax.annotate("", at, place, textcoords="offset points", arrowprops={"arrowstyle": "-", "lw": 0.5, "shrinkB": 3})
    return box
