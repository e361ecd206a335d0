"""The loss against the one input of a law without an allocation, the posterior beside the runs."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from scalefit._intervals import interval
from scalefit._quantities import quantity
from scalefit.fits.fit import Fit, check_fit, posterior_name
from scalefit.planning.least_input import losses_along, open_input
from scalefit.plots._axes import DATA, MAIN, count_axis, legend_below, new_axes, shade_beyond, title
from scalefit.units import percent

POINTS = 120
MARGIN = 1.1
BEYOND = 100.0  # the curve reaches this factor beyond the largest run


def curve(fit: Fit, values: Any = None, prob: float = 0.9, ax: Axes | None = None, **fixed: Any) -> Axes:
    """Loss against the open input of a law: median, band of the expected loss and of one run, and the runs.

    The region beyond the data is shaded.

    Parameters
    ----------
    fit
        Any fit.
    values
        Of the input; from the smallest run to a hundred times the largest by default, and as far as these.
    prob
        Probability of every band, equal-tailed.
    ax
        Axes to draw on; those of a new figure by default.
    **fixed
        The law's other inputs.

    Returns
    -------
    matplotlib.axes.Axes
    """
    check_fit(fit)
    name = open_input(fit.model.law, fixed)
    seen = fit.runs[name]
    asked = np.array([]) if values is None else np.atleast_1d(np.asarray(values, dtype=float))
    ends = [seen.min(), *asked, seen.max() if len(asked) else BEYOND * seen.max()]
    x = np.geomspace(min(ends) / MARGIN, max(ends) * MARGIN, POINTS)
    expected = losses_along(fit, x, fixed)
    median, lower, upper = interval(expected, prob)
    _, low, high = interval(fit.add_noise(expected, discrepancy=False), prob)
    ax = ax or new_axes(size=(7.5, 5.0))
    of = f"{percent(prob)} interval, {posterior_name(False)}"
    ax.fill_between(x, low, high, color=DATA, alpha=0.15, lw=0, label=f"one run, {of}")
    ax.fill_between(x, lower, upper, color=MAIN, alpha=0.25, lw=0, label=f"expected loss, {of}")
    ax.plot(x, median, color=MAIN, lw=1.6, label="expected loss, median")
    ax.scatter(seen, fit.runs.loss, s=16, color=DATA, edgecolor="white", lw=0.4, zorder=3, label="runs")
    shade_beyond(ax, seen.max(), x[-1])
    count_axis(ax.xaxis, quantity(name).meaning)
    ax.set(ylabel=f"loss, {fit.runs.unit}", xlim=(x[0], x[-1]))
    title(ax, f"{fit.model.law.equation}, {fit.runs.name}")
    legend_below(ax)
    return ax
