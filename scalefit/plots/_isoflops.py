"""IsoFLOP profiles: loss against model size at fixed compute, the posterior beside the runs."""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from scalefit._intervals import interval
from scalefit.counting.compute import ISOFLOP_WIDTH
from scalefit.fits.fit import Fit, check_fit, posterior_name
from scalefit.frontier.isoflops import crowded_budgets
from scalefit.frontier.optimum import check_trades
from scalefit.plots._axes import COLORS, count_axis, legend_below, new_axes, title
from scalefit.plots._far_runs import mark_far_runs
from scalefit.units import format_flops, percent, positive_budgets


def isoflops(
    fit: Fit, budgets: Any = None, prob: float = 0.9, ax: Axes | None = None, discrepancy: bool | None = None
) -> Axes:
    """Loss against parameters at each budget: median and band of the law, its optimum, and the runs near that budget.

    The bar at each optimum is the interval of N_opt.

    Parameters
    ----------
    fit
        Any fit.
    budgets
        FLOP; up to eight that the runs crowd around by default.
    prob
        Probability of every band, equal-tailed.
    ax
        Axes to draw on; those of a new figure by default.
    discrepancy
        As for `Fit.frontier`.

    Returns
    -------
    matplotlib.axes.Axes
    """
    check_fit(fit)
    check_trades(fit.model.law)
    flops = crowded_budgets(fit.runs.flops) if budgets is None else np.sort(positive_budgets(budgets))
    front, cost = fit.frontier(flops, discrepancy), fit.mean_cost
    ax = ax or new_axes(size=(8.0, 5.5))
    colors = matplotlib.colormaps[COLORS](np.linspace(0, 0.92, len(flops)))
    shown = np.zeros(len(fit.runs), dtype=bool)
    for index, (budget, color) in enumerate(zip(flops, colors, strict=True)):
        near = np.abs(np.log(fit.runs.flops / budget)) < ISOFLOP_WIDTH
        sizes = _sizes(fit.runs.params[near], front.params[:, index])
        loss = fit.predict({"params": sizes, "tokens": cost.tokens_for(budget, sizes)}, False, front.discrepancy)
        median, lower, upper = interval(loss, prob)
        ax.fill_between(sizes, lower, upper, color=color, alpha=0.25, lw=0)
        ax.plot(sizes, median, color=color, lw=1.3, label=f"{format_flops(budget)} FLOP")
        ax.scatter(fit.runs.params[near], fit.runs.loss[near], s=14, color=color, edgecolor="white", lw=0.4)
        shown |= near
        best, low, high = interval(front.params[:, index], prob)
        place, bar = np.median(front.loss[:, index]), [[best - low], [high - best]]
        ax.errorbar(best, place, xerr=bar, fmt="*", color="black", ms=8, lw=1.2, zorder=5)
    mark_far_runs(ax, fit, fit.runs.params, fit.runs.loss, shown)
    count_axis(ax.xaxis, "parameters")
    bands = f"{percent(prob)} bands {posterior_name(front.discrepancy)}"
    ax.set(ylabel=f"loss, {fit.runs.unit}")
    title(ax, f"IsoFLOP profiles, {fit.runs.name}; {bands}; star: optimum")
    legend_below(ax, 5)
    return ax


def _sizes(runs: np.ndarray, optimum: np.ndarray) -> np.ndarray:
    """Model sizes from the smallest run to the largest, and a factor 5 about the optimum at least."""
    best = np.median(optimum)
    ends = [*runs, best / 5, best * 5]
    return np.geomspace(min(ends), max(ends), 80)
