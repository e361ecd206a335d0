"""Trained models around the compute-optimal frontier."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from scalefit._numerics import interval
from scalefit.fitted import Fit
from scalefit.planning import Audit
from scalefit.plots._axes import ACCENT, COLORS, count_axis, new_axes
from scalefit.units import percent

# Where a name may stand about its dot, in points, the first that is free.
PLACES = (((5, 4), "left"), ((-5, 4), "right"), ((5, -11), "left"), ((-5, -11), "right"))


def audit(fit: Fit, found: Audit, prob: float = 0.9, ax: Axes | None = None) -> Axes:
    """Tokens per parameter of each model against its compute, coloured by what it wastes, and the optimum's band.

    The end of the data is a vertical line: beyond it a band of kind mean leaves out the law's own error. Returns the
    Axes.
    """
    ax = ax or new_axes(size=(9.0, 6.0))
    flops, largest = found.flops, fit.compute_range[1]
    per = np.array([model.tokens / model.params for model in found.models])
    budgets = np.geomspace(min(largest, flops.min()) / 3, 3 * flops.max(), 40)
    median, lower, upper = interval(fit.frontier(budgets, kind=found.basis.interval).tokens_per_param, prob)
    ax.fill_between(
        budgets, lower, upper, color=ACCENT, alpha=0.2, lw=0, label=f"optimum, {percent(prob)} ({found.basis.interval})"
    )
    ax.plot(budgets, median, color=ACCENT, lw=1.5, label="optimum, median")
    ax.axvline(largest, color="black", lw=0.8, ls="--", label="largest run of the data")
    wasted = 100 * np.median(found.draws["wasted_compute"], axis=0)
    dots = ax.scatter(flops, per, c=wasted, cmap=COLORS, s=45, edgecolor="white", lw=0.6, vmin=0, vmax=100, zorder=3)
    ax.figure.colorbar(dots, ax=ax, label="training compute wasted, % (median)")
    count_axis(ax.xaxis, "training compute, FLOP")
    count_axis(ax.yaxis, "tokens per parameter")
    ax.set(xlim=(budgets[0], budgets[-1] * 3), title=f"Trained models against the optimum of {fit.runs.name}")
    ax.legend(fontsize=8, loc="upper left")
    _name_dots(ax, [model.name for model in found.models], np.stack([flops, per], axis=1))
    return ax


def _name_dots(ax: Axes, names: list[str], dots: np.ndarray) -> None:
    """Write each name beside its dot (model, 2), where no other name or dot is; the axes keep their limits."""
    spots = ax.transData.transform(dots)
    taken = [Bbox.from_extents(x - 3, y - 3, x + 3, y + 3) for x, y in spots]
    for index, (name, dot) in enumerate(zip(names, dots, strict=True)):
        others = taken[:index] + taken[index + 1 :]
        for offset, side in PLACES:
            text = ax.annotate(name, dot, offset, textcoords="offset points", fontsize=8, ha=side)
            box = text.get_window_extent()
            if not any(box.overlaps(other) for other in others):
                break
            text.remove()
        else:
            ax.annotate(name, dot, PLACES[0][0], textcoords="offset points", fontsize=8)
        taken.append(box)
