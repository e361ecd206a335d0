"""What intervals promised against what they held."""

import numpy as np
from matplotlib.axes import Axes

from scalefit.plots._axes import LAW, MAIN, THIRD, legend_below, new_axes, title
from scalefit.validation import Backtest
from scalefit.validation.scores import inside

LEVELS = np.linspace(0.02, 0.98, 49)
COLORS = (LAW, MAIN, THIRD, "#7e22ce", "#0f766e", "#a16207", "#be185d")


def coverage(result: Backtest, ax: Axes | None = None) -> Axes:
    """Share of held-out runs inside the central interval of each nominal probability, by method.

    Solid: intervals for one run (with noise); dashed: without noise. On the diagonal a promise is kept, below it an
    interval is too narrow.

    Parameters
    ----------
    result
        What `sf.backtest` answers.
    ax
        Axes to draw on; those of a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = ax or new_axes(size=(6.5, 6.0))
    ax.plot([0, 1], [0, 1], color="black", lw=0.8, label="as stated")
    for index, method in enumerate(result.predictors):
        chosen, color = result.chosen(method), COLORS[index % len(COLORS)]
        for name, style, label in (("pit", "-", ""), ("pit_without_noise", "--", ", without noise")):
            pit = result.records[name][chosen]
            if not np.isnan(pit).any():
                held = [inside(pit, level).mean() for level in LEVELS]
                ax.plot(LEVELS, held, style, color=color, lw=1.5, label=f"{method}{label}")
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="nominal probability", ylabel="share of held-out runs inside")
    title(ax, f"Held-out runs: {len(set(result.records['row']))}")
    legend_below(ax, 2)
    return ax
