"""The loss over parameters and tokens, with isoFLOP lines and the frontier's band."""

from typing import Any

import matplotlib.patheffects as effects
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from scalefit._intervals import interval
from scalefit.costs.cost import Compute
from scalefit.fits.fit import Fit, check_fit, posterior_name
from scalefit.frontier.optimum import check_trades
from scalefit.planning import Surface, loss_surface
from scalefit.plots._axes import COLORS, MAIN, count_axis, legend_below, new_axes, title
from scalefit.units import format_flops, percent

CELLS = 60
BEYOND = 10.0  # the default grid reaches this factor beyond the runs


def surface(
    fit: Fit, grid: Surface | None = None, prob: float = 0.9, ax: Axes | None = None, discrepancy: bool | None = None
) -> Axes:
    """Median posterior loss as contours, the runs in the same colours, isoFLOP lines, and the frontier with its band.

    The band is the `prob` interval of the optimum along each isoFLOP line.

    Parameters
    ----------
    fit
        Any fit.
    grid
        What `sf.loss_surface` answers; by default one from the smallest run to ten times the largest.
    prob
        Probability of every band, equal-tailed.
    ax
        Axes to draw on; those of a new figure by default.
    discrepancy
        As for `sf.loss_surface`.

    Returns
    -------
    matplotlib.axes.Axes
    """
    check_fit(fit)
    check_trades(fit.model.law)
    grid = grid or _default_grid(fit, discrepancy)
    ax = ax or new_axes(size=(8.5, 6.5))
    norm = Normalize(grid.median.min(), float(np.quantile(grid.median, 0.98)))
    filled = ax.contourf(grid.params, grid.tokens, grid.median.T, 24, cmap=COLORS, norm=norm, extend="max")
    lines = ax.contour(grid.params, grid.tokens, grid.median.T, 12, colors="white", linewidths=0.5, alpha=0.7)
    ax.clabel(lines, fontsize=7, fmt="%.2f")
    ax.figure.colorbar(filled, ax=ax, label=f"loss, {grid.loss_unit} (median)")
    style: Any = {"cmap": COLORS, "norm": norm, "edgecolor": "white", "lw": 0.5}
    ax.scatter(fit.runs.params, fit.runs.tokens, c=fit.runs.loss, s=18, label="runs", **style)
    cost = fit.mean_cost
    _isoflop_lines(ax, grid, cost)
    _band(ax, fit, grid, prob, cost)
    count_axis(ax.xaxis, "parameters")
    count_axis(ax.yaxis, "training tokens")
    ax.set(xlim=grid.params[[0, -1]], ylim=grid.tokens[[0, -1]])
    title(ax, f"Loss surface, {fit.runs.name}")
    legend_below(ax)
    return ax


def _default_grid(fit: Fit, discrepancy: bool | None) -> Surface:
    params, tokens = fit.runs.params, fit.runs.tokens
    return loss_surface(
        fit,
        np.geomspace(params.min() / 1.3, params.max() * BEYOND, CELLS),
        np.geomspace(tokens.min() / 1.3, tokens.max() * BEYOND, CELLS),
        discrepancy=discrepancy,
    )


def _isoflop_lines(ax: Axes, grid: Surface, cost: Compute) -> None:
    low, high = (np.log10(cost.flops(grid.params[end], grid.tokens[end])) for end in (0, -1))
    outline: Any = [effects.withStroke(linewidth=2, foreground="black", alpha=0.6)]
    for exponent in range(int(np.ceil(low)) + 1, int(np.floor(high))):
        tokens = cost.tokens_for(np.full_like(grid.params, 10.0**exponent), grid.params)
        ax.plot(grid.params, tokens, color="white", lw=0.8, ls=(0, (4, 3)))
        inside = np.flatnonzero((tokens < grid.tokens[-1] / 1.5) & (tokens > grid.tokens[0]))
        if inside.size:
            place = grid.params[inside[0]] * 1.05, tokens[inside[0]]
            text = ax.annotate(format_flops(10.0**exponent), place, color="white", fontsize=7)
            text.set_path_effects(outline)


def _band(ax: Axes, fit: Fit, grid: Surface, prob: float, cost: Compute) -> None:
    low, high = (cost.flops(grid.params[end], grid.tokens[end]) for end in (0, -1))
    flops = np.geomspace(low, high, 80)
    median, lower, upper = interval(fit.frontier(flops, grid.discrepancy).params, prob)
    label = f"optimum, {percent(prob)} interval {posterior_name(grid.discrepancy)}"
    band: Any = {"color": MAIN, "alpha": 0.4, "lw": 0, "label": label}
    outline = (
        np.concatenate([lower, upper[::-1]]),
        np.concatenate([cost.tokens_for(flops, lower), cost.tokens_for(flops, upper)[::-1]]),
    )
    ax.fill(*outline, **band)
    line: Any = [effects.withStroke(linewidth=4, foreground="white")]
    ax.plot(median, cost.tokens_for(flops, median), color=MAIN, lw=1.8, label="optimum, median", path_effects=line)
