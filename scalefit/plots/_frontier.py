"""The compute-optimal frontier against compute."""

from typing import Any

import numpy as np

from scalefit._numerics import interval
from scalefit.fitted import Fit
from scalefit.plots._axes import ACCENT, DATA, count_axis, new_axes
from scalefit.units import format_flops, percent

PANELS = {
    "params": "parameters",
    "tokens": "tokens",
    "tokens_per_param": "tokens per parameter",
    "loss": "loss, nats per token",
}


def frontier(fit: Fit, budgets: Any = None, prob: float = 0.9, axes: Any = None) -> np.ndarray:
    """Optimal parameters, tokens, tokens per parameter and loss against compute: median, band, and the runs.

    budgets : FLOP; from the smallest run to a hundred times the largest by default. The region beyond the data is
    shaded: there the band leaves out the law's own error. Returns the four Axes.
    """
    low, high = fit.compute_range
    budgets = np.geomspace(low, 100 * high, 60) if budgets is None else np.sort(np.atleast_1d(budgets))
    front = fit.frontier(budgets)
    axes = new_axes(2, 2, (10.0, 7.5)) if axes is None else axes
    for ax, (name, label) in zip(np.ravel(axes), PANELS.items(), strict=True):
        median, lower, upper = interval(getattr(front, name), prob)
        ax.scatter(fit.runs.flops, _runs(fit, name), s=9, color=DATA, alpha=0.45, lw=0, label="runs")
        ax.fill_between(budgets, lower, upper, color=ACCENT, alpha=0.25, lw=0, label=f"{percent(prob)} interval (mean)")
        ax.plot(budgets, median, color=ACCENT, lw=1.6, label="optimum, median")
        if budgets.max() > high:
            ax.axvspan(high, budgets.max(), color="black", alpha=0.08, lw=0, label="beyond the data")
        count_axis(ax.xaxis, "training compute, FLOP")
        count_axis(ax.yaxis, label)
        ax.margins(x=0)
    np.ravel(axes)[3].set_yscale("linear")
    np.ravel(axes)[0].legend(fontsize=8, loc="upper left")
    np.ravel(axes)[0].figure.suptitle(
        f"Compute-optimal frontier, {fit.runs.name}; data end at {format_flops(high)} FLOP"
    )
    return np.asarray(axes)


def _runs(fit: Fit, name: str) -> np.ndarray:
    return fit.runs.tokens / fit.runs.params if name == "tokens_per_param" else fit.runs[name]
