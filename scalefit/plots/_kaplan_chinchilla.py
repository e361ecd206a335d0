"""Kaplan against Chinchilla: the local exponent of N_opt along compute, under both ways of counting."""

import numpy as np
from matplotlib.axes import Axes

from scalefit._intervals import interval
from scalefit.planning.kaplan_chinchilla import KAPLAN, Reconciliation
from scalefit.plots._axes import DATA, LAW, MAIN, new_axes, title
from scalefit.units import format_count, percent

# Colour, label, and where the reported exponent is written: above its line, or below it and the band.
WAYS = {
    "non_embedding": (LAW, "without embeddings, as Kaplan et al. count", 0.008),
    "total": (MAIN, "all parameters, as Hoffmann et al. count", -0.05),
}
SHOWN = (1e11, 1e26)  # FLOP


def reconcile(found: Reconciliation, prob: float = 0.9, ax: Axes | None = None) -> Axes:
    """d ln N_opt / d ln C against compute for one law, counted without embeddings and in total.

    Bands show the law's uncertainty, where there are draws. Shaded is the compute for which the sizes of the
    small-scale study are optimal, counted without embeddings; the dotted lines in it are the exponents that such a
    study would report.

    Parameters
    ----------
    found
        What `sf.reconcile` answers.
    prob
        Probability of every band, equal-tailed.
    ax
        Axes to draw on; those of a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = ax or new_axes(size=(8.5, 5.2))
    study = _study_range(found)
    ax.axvspan(*study, color=DATA, alpha=0.13, lw=0)
    ax.axhline(KAPLAN, color="black", lw=1, ls=(0, (5, 3)))
    ax.text(SHOWN[1] / 2, KAPLAN + 0.008, "Kaplan et al. report 0.73", ha="right", fontsize=9)
    for way in WAYS:
        _draw_way(ax, found, way, study, prob)
    sizes = " to ".join(format_count(size) for size in found.small)
    ax.text(np.sqrt(study[0] * study[1]), 0.335, f"small-scale study: {sizes}\nparameters without embeddings",
            ha="center", va="bottom", fontsize=9, color="#334155")  # fmt: skip
    drawn = len(found.studied["total"]) > 1
    title(ax, "One law, two ways to count" + (f"; {percent(prob)} bands" if drawn else ""))
    ax.set(xscale="log", xlim=SHOWN, ylim=(0.32, 1.06), xlabel="training compute, FLOP, with N counted either way")
    ax.set_ylabel("local exponent, d ln N_opt / d ln C")
    ax.legend(fontsize=9, loc="upper right", frameon=False)
    return ax


def _draw_way(ax: Axes, found: Reconciliation, way: str, study: tuple[float, float], prob: float) -> None:
    """The local exponent of one way of counting, and what the study reports of it."""
    color, label, above = WAYS[way]
    middle, lower, upper = interval(found.slope[way], prob)
    flops = np.median(found.flops[way], axis=0)
    ax.fill_between(flops, lower, upper, color=color, alpha=0.22, lw=0)
    ax.plot(flops, middle, color=color, lw=2.2, label=label)
    reported = float(np.median(found.studied[way]))
    ax.plot(study, [reported, reported], color=color, lw=1.2, ls=":")
    words = f"the study reports {reported:.2f}"
    ax.text(study[1] / 1.5, reported + above, words, ha="right", color=color, fontsize=9)


def _study_range(found: Reconciliation) -> tuple[float, float]:
    """Compute for which the smallest and the largest size of the study are optimal, without embeddings."""
    log_flops = np.log(np.median(found.flops["non_embedding"], axis=0))
    low, high = np.exp(np.interp(np.log(found.small), np.log(found.params), log_flops))
    return float(low), float(high)
