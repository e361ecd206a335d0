"""Ranks of the truth among posterior draws against uniform ones."""

from typing import Any

import numpy as np

from scalefit.plots._axes import DATA, MAIN, heading, new_axes
from scalefit.units import percent
from scalefit.validation import SBC

COLUMNS = 4
OUTSIDE = "#b91c1c"


def sbc(found: SBC, false_alarm: float = 0.05, axes: Any = None) -> np.ndarray:
    """For every quantity, the share of truths in the lowest p of the posterior, less p, against p; and its band.

    A hump above zero means draws too high, a dip draws too low; up, then down: intervals too narrow.

    Parameters
    ----------
    found
        What `sf.sbc` answers.
    false_alarm
        Probability with which a calibrated posterior leaves any of the bands.
    axes
        Axes to draw on; those of a new figure by default.

    Returns
    -------
    array of matplotlib.axes.Axes
        One a quantity.
    """
    rows = -(-len(found.ranks) // COLUMNS)
    axes = np.ravel(new_axes(rows, COLUMNS, (11.0, 0.9 + 2.1 * rows)) if axes is None else axes)
    prob, kept = found.family_prob(false_alarm), found.inside(false_alarm)
    lower, upper = (np.pad(100 * (edge - found.shares), 1) for edge in found.band(prob))
    shares = np.concatenate([[0], found.shares, [1]])
    for ax, (name, good) in zip(axes, kept.items(), strict=False):
        ax.fill_between(shares, lower, upper, color=DATA, alpha=0.3, lw=0)
        ax.axhline(0, color=DATA, lw=0.8)
        off = np.pad(100 * (found.ecdf(name) - found.shares), 1)
        ax.step(shares, off, where="post", color=MAIN if good else OUTSIDE, lw=1.5)
        strayed = (off < lower) | (off > upper)
        ax.plot(shares[strayed], off[strayed], ".", color=OUTSIDE, ms=7)
        ax.set_title(name if good else f"{name}: outside", fontsize=10, color="black" if good else OUTSIDE)
        ax.set(xlim=(0, 1), xticks=[0, 0.5, 1], xticklabels=["0", "0.5", "1"])
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes[len(kept) :]:
        ax.set_visible(False)
    return _labelled(axes, found, false_alarm)


def _labelled(axes: np.ndarray, found: SBC, false_alarm: float) -> np.ndarray:
    """What is drawn, and how often the bands are left by chance."""
    figure, failed = axes[0].figure, f", {len(found.failures)} failed" if found.failures else ""
    heading(
        axes,
        f"Truth among posterior draws: {found.tables:,} tables from the prior{failed}; "
        f"bands: {percent(false_alarm)} false alarms over all",
    )
    figure.supxlabel("share p of the posterior's draws", fontsize=10)
    figure.supylabel("truths in the lowest p, less p, %", fontsize=10)
    return axes
