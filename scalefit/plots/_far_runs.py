"""Runs that the noise does not explain, marked in a picture of the runs."""

from typing import Any

import numpy as np

from scalefit.errors import QuestionError
from scalefit.fits.fit import Fit

MOST = 8  # that are marked


def mark_far_runs(ax: Any, fit: Fit, x: np.ndarray, y: np.ndarray, some: np.ndarray | None = None) -> None:
    """Circle the runs furthest off the model, and write their rows beside.

    x, y : of all runs of the fit, (run,). some : a mask of those that are drawn, (run,); all by default.
    """
    try:
        found = fit.far_runs
    except QuestionError:  # draws that are not finite have no residuals
        return
    worst = [i for i in found.worst[: int(found.far.sum())] if some is None or some[i]][:MOST]
    if not worst:
        return
    ax.scatter(x[worst], y[worst], s=70, facecolor="none", edgecolor="black", lw=1.0, zorder=6, label="off the model")
    for i in worst:
        ax.annotate(f"row {i + 1}", (x[i], y[i]), xytext=(5, 5), textcoords="offset points", fontsize=7)
