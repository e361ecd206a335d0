"""What runs to come are worth per FLOP, over parameters and tokens."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from scalefit.fits.fit import Fit, check_fit
from scalefit.planning import NextRuns
from scalefit.plots._axes import COLORS, DATA, MAIN, count_axis, legend_below, new_axes, title
from scalefit.units import format_flops

DECADES = 4.0  # of value per cost that colours tell apart


def next_runs(fit: Fit, found: NextRuns, ax: Axes | None = None) -> Axes:
    """Value per FLOP of every candidate over N and D, the runs made, and the batch proposed.

    Parameters
    ----------
    fit
        Any fit.
    found
        What `sf.next_runs` answers by this fit.
    ax
        Axes to draw on; those of a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    check_fit(fit)
    ax = ax or new_axes(size=(8.0, 6.0))
    per_cost = np.maximum(found.values / found.prices, np.finfo(float).tiny)
    top = float(per_cost.max())
    style: Any = {"cmap": COLORS, "norm": LogNorm(top * 10**-DECADES, top), "marker": "s", "lw": 0}
    of = found.candidates
    shown = ax.scatter(of.params, of.tokens, c=np.maximum(per_cost, top * 10**-DECADES), s=34, **style)
    unit = f"{found.assumptions.loss_unit} saved" if found.about_plan else "share of the variance"
    ax.figure.colorbar(shown, ax=ax, label=f"value per {found.cost.unit}: {unit} (mean)")
    ax.scatter(fit.runs.params, fit.runs.tokens, s=9, color=DATA, alpha=0.6, lw=0, label="runs made")
    runs = list(found.batch.runs)
    marks: Any = {"marker": "o", "facecolor": "none", "edgecolor": MAIN, "lw": 2, "s": 130}
    ax.scatter(of.params[runs], of.tokens[runs], label="runs proposed", **marks)
    for run in dict.fromkeys(runs):
        order = ", ".join(str(place + 1) for place, each in enumerate(runs) if each == run)
        offset: Any = {"xytext": (7, 7), "textcoords": "offset points", "fontsize": 9, "color": MAIN}
        ax.annotate(order, (of.params[run], of.tokens[run]), **offset)
    count_axis(ax.xaxis, "parameters")
    count_axis(ax.yaxis, "training tokens")
    title(ax, f"Value of runs to come for {format_flops(found.budget)} {found.cost.unit}, {fit.runs.name}")
    legend_below(ax)
    return ax
