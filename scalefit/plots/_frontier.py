"""The compute-optimal frontier against compute."""

from typing import Any

import numpy as np

from scalefit._intervals import interval
from scalefit.fits.fit import Fit, check_fit, posterior_name
from scalefit.frontier.optimum import check_trades
from scalefit.plots._axes import DATA, LAW, MAIN, count_axis, heading, legend_below, new_axes, shade_beyond
from scalefit.plots._far_runs import mark_far_runs
from scalefit.units import format_flops, percent

PANELS = {
    "params": "parameters",
    "tokens": "tokens",
    "tokens_per_param": "tokens per parameter",
    "loss": "loss",
}


def frontier(
    fit: Fit,
    budgets: Any = None,
    prob: float = 0.9,
    axes: Any = None,
    discrepancy: bool | None = None,
    cost: Any = None,
    **fixed: Any,
) -> np.ndarray:
    """Optimal parameters, tokens, tokens per parameter and loss against compute: median, band, and the runs.

    The region beyond the data is shaded. Where the discrepancy is included the law alone is drawn beside.

    Parameters
    ----------
    fit
        Any fit.
    budgets
        FLOP; from the smallest run to a hundred times the largest by default.
    prob
        Probability of every band, equal-tailed.
    axes
        Axes to draw on; those of a new figure by default.
    discrepancy, cost
        As for `Fit.frontier`.
    **fixed
        The law's further inputs.

    Returns
    -------
    array of matplotlib.axes.Axes
        The four.
    """
    check_fit(fit)
    check_trades(fit.model.law, fixed)
    low, high = fit.compute_range
    budgets = np.geomspace(low, 100 * high, 60) if budgets is None else np.sort(np.atleast_1d(budgets))
    shown = dict.fromkeys([False, fit.resolve(discrepancy)])
    fronts = {included: fit.frontier(budgets, included, cost, **fixed) for included in shown}
    axes = new_axes(2, 2, (10.0, 7.5)) if axes is None else axes
    for ax, (name, label) in zip(np.ravel(axes), PANELS.items(), strict=True):
        ax.scatter(fit.runs.flops, _runs(fit, name), s=9, color=DATA, alpha=0.45, lw=0, label="runs")
        mark_far_runs(ax, fit, fit.runs.flops, _runs(fit, name))
        for included, color in zip(fronts, (LAW, MAIN), strict=False):
            which = posterior_name(included)
            median, lower, upper = interval(getattr(fronts[included], name), prob)
            ax.fill_between(
                budgets, lower, upper, color=color, alpha=0.25, lw=0, label=f"{percent(prob)} interval, {which}"
            )
            ax.plot(budgets, median, color=color, lw=1.6, label=f"optimum, median, {which}")
        shade_beyond(ax, high, budgets.max())
        count_axis(ax.xaxis, "training compute, FLOP")
        count_axis(ax.yaxis, f"loss, {fit.runs.unit}" if name == "loss" else label)
        ax.margins(x=0)
    np.ravel(axes)[3].set_yscale("linear")
    legend_below(axes)
    heading(axes, f"Compute-optimal frontier, {fit.runs.name}; its runs end at {format_flops(high)} FLOP")
    return np.asarray(axes)


def _runs(fit: Fit, name: str) -> np.ndarray:
    return fit.runs.tokens / fit.runs.params if name == "tokens_per_param" else fit.runs[name]
