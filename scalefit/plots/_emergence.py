"""An ability that seems to emerge: the same models by exact answers and by log-probability."""

from typing import Any

import numpy as np

from scalefit._intervals import interval
from scalefit.downstream import Emergence
from scalefit.plots._axes import DATA, INK, MAIN, new_axes
from scalefit.units import format_flops, percent

POWERS = np.arange(19, 27)  # of ten, FLOP


def emergence(found: Emergence, prob: float = 0.9, axes: Any = None) -> np.ndarray:
    """Left the share of exact answers against compute, which leaps; right the log-probability, which does not.

    Filled points were fitted, open ones are held out; the band is the fitted curve at each model's own loss, without
    the uncertainty of that loss. Simulated from published constants.

    Parameters
    ----------
    found
        What `sf.downstream.emergence` answers.
    prob
        Probability of every band, equal-tailed.
    axes
        Axes to draw on; those of a new figure by default.

    Returns
    -------
    array of matplotlib.axes.Axes
        The two.
    """
    axes = np.ravel(new_axes(1, 2, (11.5, 4.9)) if axes is None else axes)
    left, right = axes
    _band(left, found, prob)
    _points(left, found, 100 * found.exact)
    _points(right, found, -found.loss)
    right.plot(found.flops, -found.loss, color=DATA, lw=1.2, zorder=1)
    left.set(ylim=(-2, 62), ylabel="answers exactly right, %")
    right.set(ylabel="log-probability of a token of the answer, nats", ylim=(-1.18, 0.03))
    left.set_title("Judged by exact answers: a leap", fontsize=12, loc="left")
    right.set_title("The same models, by log-probability: no leap", fontsize=12, loc="left")
    for ax in axes:
        _finish(ax, found)
    left.legend(fontsize=9, loc="upper left", frameon=False)
    source = found.source.removesuffix(".")
    left.figure.supxlabel(
        f"Simulated, not measured: {found.items:,} answers of {found.answer} tokens; loss of a token = L - E of the "
        f"compute-optimal model, Chinchilla law, constants of {source}",
        fontsize=8, color=INK,
    )  # fmt: skip
    return axes


def _band(ax: Any, found: Emergence, prob: float) -> None:
    """Exact answers as predicted from the smaller models."""
    middle, lower, upper = interval(100 * found.downstream.accuracy(found.loss), prob)
    ax.fill_between(found.flops, lower, upper, color=MAIN, alpha=0.22, lw=0)
    label = f"predicted from the filled points, {percent(prob)} band"
    ax.plot(found.flops, middle, color=MAIN, lw=2, label=label)


def _points(ax: Any, found: Emergence, values: np.ndarray) -> None:
    kinds = ((found.fitted, DATA, "models fitted"), (~found.fitted, "white", "larger models, held out"))
    for chosen, face, label in kinds:
        ax.scatter(found.flops[chosen], values[chosen], s=30, facecolor=face, edgecolor=INK, lw=1.1, zorder=3,
                   label=label)  # fmt: skip


def _finish(ax: Any, found: Emergence) -> None:
    largest = found.flops[found.fitted].max()
    ax.axvspan(found.flops[0] / 2, largest * 1.3, color=DATA, alpha=0.1, lw=0, zorder=0)
    ax.set(xscale="log", xlim=(found.flops[0] / 2, found.flops[-1] * 2), xlabel="training compute, FLOP")
    ax.set_xticks(10.0**POWERS, [format_flops(power) for power in 10.0**POWERS])
    ax.minorticks_off()
    ax.spines[["top", "right"]].set_visible(False)
