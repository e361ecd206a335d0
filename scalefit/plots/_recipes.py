"""Recipes beside a baseline: their gain along compute or along the loss they reach, and the residuals of each."""

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from scalefit.errors import OptionError
from scalefit.plots._axes import COLORS, MUTED, THIRD, legend_below, new_axes, title
from scalefit.recipes import RecipeComparison, RecipeFits
from scalefit.recipes.comparison import gain_interval
from scalefit.units import format_flops, percent

MOST = 6  # recipes with bands, the likeliest best first


def recipes(found: RecipeComparison, along: str = "compute", prob: float = 0.9, ax: Axes | None = None) -> Axes:
    """Compute-equivalent gain with bands: against the budget, or against the loss that the recipe reaches with it.

    Of many recipes those are drawn that are likeliest the best. Returns the Axes.
    """
    if along not in ("compute", "loss"):
        raise OptionError(f"along={along!r} is unknown. Choose from compute, loss.")
    ax = ax or new_axes(size=(7.5, 5.0))
    best = found.chance_of_rank
    names = sorted(found.recipes, key=lambda name: -best[name][0])[:MOST]
    for name, color in zip(names, _colors(len(names)), strict=True):
        gain = found[name]
        x = found.budgets if along == "compute" else np.median(gain.loss_along, axis=0)
        inner, outer = (np.array([gain_interval(each, p) for each in gain.along.T]).T for p in (0.5, prob))
        ax.fill_between(x, outer[1], outer[2], color=color, alpha=0.12, lw=0)
        ax.fill_between(x, inner[1], inner[2], color=color, alpha=0.25, lw=0)
        ax.plot(x, outer[0], color=color, lw=1.8, label=f"{name}, median; 50% and {percent(prob)} intervals")
    ax.axhline(1.0, color=MUTED, lw=1.0, ls=":", label=found.baseline)
    if along == "compute":
        ax.axvline(found.at, color=THIRD, lw=1.0, ls="--", label=f"target, {format_flops(found.at)} FLOP")
        ax.set(xscale="log", xlabel="budget, FLOP")
    else:
        ax.invert_xaxis()
        ax.set(xlabel=f"loss that the recipe reaches, {found.assumptions.loss_unit}")
    ax.set(yscale="log", ylabel=f"compute that {found.baseline} takes for it, times the budget")
    finite = np.concatenate([found[name].along[np.isfinite(found[name].along)] for name in names])
    ax.set_ylim(*np.clip(np.quantile(finite, [0.01, 0.99]), 1e-3, 1e3) * [0.8, 1.25])
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    title(ax, f"gain over {found.baseline}")
    legend_below(ax, columns=2)
    return ax


def recipe_residuals(fits: RecipeFits, ax: Axes | None = None) -> Axes:
    """Residuals of every run off its recipe's model, in units of the noise, against compute. Returns the Axes."""
    ax = ax or new_axes(size=(7.5, 5.0))
    for name, color in zip(fits, _colors(len(fits)), strict=True):
        found = fits[name].far_runs
        ax.scatter(fits[name].runs.flops[found.rows], found.standardised, s=18, color=color, label=name, lw=0)
    ax.axhline(0.0, color=MUTED, lw=1.0)
    ax.set(xscale="log", xlabel="compute, FLOP", ylabel="residual of ln loss, scales of the noise")
    title(ax, "runs off the model, by recipe")
    legend_below(ax)
    return ax


def _colors(count: int) -> list[Any]:
    return [colormaps[COLORS](share) for share in np.linspace(0.05, 0.85, max(count, 2))[:count]]
