"""Training against inference: the sizes worth choosing from at one quality."""

import numpy as np
from matplotlib.axes import Axes

from scalefit._intervals import interval
from scalefit.fits.fit import posterior_name
from scalefit.planning import LifetimePlan
from scalefit.plots._axes import DATA, MAIN, count_axis, legend_below, new_axes, title
from scalefit.units import format_count, percent

LABELS = 6  # sizes written beside the curve


def pareto(life: LifetimePlan, prob: float = 0.9, ax: Axes | None = None) -> Axes:
    """Training cost against serving cost of every size that reaches the quality: median, band, and the two choices.

    To the left a model is cheaper to serve and dearer to train. Lines of equal total are dotted.

    Parameters
    ----------
    life
        What `sf.lifetime` answers.
    prob
        Probability of every band, equal-tailed.
    ax
        Axes to draw on; those of a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = ax or new_axes(size=(8.0, 5.5))
    cost = life.cost.averaged()
    serving = cost.serving(life.sizes)
    median, lower, upper = interval(cost.training(life.sizes, life.size_tokens), prob)
    label = f"{percent(prob)} interval, {posterior_name(life.assumptions.discrepancy)}"
    ax.fill_between(serving, lower, upper, color=MAIN, alpha=0.25, lw=0, label=label)
    ax.plot(serving, median, color=MAIN, lw=1.6, label="same quality, median")
    for params, tokens, name, color in (
        (*life.reference, "cheapest to train", DATA),
        (life.params, life.tokens, "cheapest over its life", "black"),
    ):
        x, y = cost.serving(params), cost.training(params, tokens)
        ax.plot(x, y, "*", ms=14, color=color, mec="white", label=f"{name}: {format_count(params)}")
        line = np.linspace(0, x + y, 200)
        ax.plot(line, x + y - line, ":", color=color, lw=1)
    for index in _apart(serving, median):
        where = serving[index], median[index]
        ax.annotate(format_count(life.sizes[index]), where, (6, 6), textcoords="offset points", fontsize=8)
    for axis, name in ((ax.xaxis, "inference"), (ax.yaxis, "training")):
        count_axis(axis, f"{name}, {life.cost.unit}")
        axis.axes.set(**{f"{axis.axis_name}scale": "linear"})
    dearest = float(cost.total(life.reference[0], life.reference[1]))
    ax.set(xlim=(0, 1.1 * serving.max()), ylim=(0, 1.2 * dearest))
    title(ax, "Training against inference at equal quality; dotted: equal total")
    legend_below(ax, 2)
    return ax


def _apart(x: np.ndarray, y: np.ndarray) -> list[int]:
    """Points of a curve that are evenly apart along it, so that their labels do not crowd."""
    steps = np.hypot(np.diff(x) / np.ptp(x), np.diff(y) / np.ptp(y))
    length = np.concatenate([[0.0], np.cumsum(steps)])
    return sorted({int(np.argmin(np.abs(length - at))) for at in np.linspace(0.0, length[-1], LABELS)})
