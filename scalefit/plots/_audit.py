"""Trained models around the compute-optimal frontier."""

import numpy as np
from matplotlib.axes import Axes

from scalefit._numerics import interval
from scalefit.fitted import Fit
from scalefit.planning import Audit
from scalefit.plots._axes import ACCENT, COLORS, count_axis, new_axes
from scalefit.units import percent

CROWDED = 0.3  # dots closer than this in logarithms have their names above and below


def audit(fit: Fit, found: Audit, prob: float = 0.9, ax: Axes | None = None) -> Axes:
    """Tokens per parameter of each model against its compute, coloured by what it wastes, and the optimum's band.

    The end of the data is a vertical line: beyond it the band leaves out the law's own error. Returns the Axes.
    """
    ax = ax or new_axes(size=(9.0, 6.0))
    flops, largest = found.flops, fit.compute_range[1]
    per = np.array([model.tokens / model.params for model in found.models])
    budgets = np.geomspace(min(largest, flops.min()) / 3, 3 * flops.max(), 40)
    median, lower, upper = interval(fit.frontier(budgets).tokens_per_param, prob)
    ax.fill_between(budgets, lower, upper, color=ACCENT, alpha=0.2, lw=0, label=f"optimum, {percent(prob)} (mean)")
    ax.plot(budgets, median, color=ACCENT, lw=1.5, label="optimum, median")
    ax.axvline(largest, color="black", lw=0.8, ls="--", label="largest run of the data")
    wasted = 100 * np.median(found.draws["wasted_compute"], axis=0)
    dots = ax.scatter(flops, per, c=wasted, cmap=COLORS, s=45, edgecolor="white", lw=0.6, vmin=0, vmax=100, zorder=3)
    ax.figure.colorbar(dots, ax=ax, label="training compute wasted, % (median)")
    for index, model in enumerate(found.models):
        near = np.hypot(np.log(flops[:index] / flops[index]), np.log(per[:index] / per[index])).min(initial=np.inf)
        crowded = near < CROWDED
        ax.annotate(
            model.name,
            (flops[index], per[index]),
            (5, -11) if crowded else (5, 4),
            textcoords="offset points",
            fontsize=8,
        )
    count_axis(ax.xaxis, "training compute, FLOP")
    count_axis(ax.yaxis, "tokens per parameter")
    ax.set(xlim=(budgets[0], budgets[-1] * 3), title=f"Trained models against the optimum of {fit.runs.name}")
    ax.legend(fontsize=8, loc="upper left")
    return ax
