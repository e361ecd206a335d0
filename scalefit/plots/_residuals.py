"""Residuals of the runs, and the predictive check."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from scipy.stats import binom

from scalefit.diagnostics.rows import row_names
from scalefit.fits.diagnosis import Diagnosis, diagnose
from scalefit.fits.fit import Fit, check_fit
from scalefit.plots._axes import DATA, LAW, MAIN, count_axis, heading, legend_below, new_axes, title

AGAINST = {"params": "parameters", "tokens": "tokens", "flops": "training compute, FLOP"}
BINS, FEW = 10, 100  # of the check, and runs below which they are half as many
SURE = 0.95


def residuals(fit: Fit, axes: Any = None) -> np.ndarray:
    """Loss of each run over its median prediction, against parameters, tokens and compute; rows far off are numbered.

    A trend, or a spread that changes, is what the model leaves out.

    Parameters
    ----------
    fit
        Any fit.
    axes
        Axes to draw on; those of a new figure by default.

    Returns
    -------
    array of matplotlib.axes.Axes
        The three.
    """
    check_fit(fit)
    found = diagnose(fit)
    runs, off = fit.runs.subset(found.rows), 100 * np.expm1(found.residual)
    spread = 1.4826 * float(np.median(np.abs(off)))
    axes = np.ravel(new_axes(1, 3, (12.0, 4.2)) if axes is None else axes)
    for ax, (name, label) in zip(axes, AGAINST.items(), strict=True):
        x = runs.flops if name == "flops" else runs[name]
        ax.axhspan(-2 * spread, 2 * spread, color=DATA, alpha=0.15, lw=0, label="two robust standard deviations")
        ax.axhline(0, color=DATA, lw=1)
        ax.scatter(x, off, s=14, color=MAIN, alpha=0.7, lw=0, label="runs")
        ax.scatter(x[found.far], off[found.far], s=70, facecolor="none", edgecolor=LAW, lw=1.6, label="rows far off")
        for k in found.far:
            ax.annotate(str(found.rows[k] + 1), (x[k], off[k]), (6, 4), textcoords="offset points", fontsize=8)
        count_axis(ax.xaxis, label)
    axes[0].set_ylabel("loss over its prediction, %")
    heading(axes, _finding(found, off))
    legend_below(axes)
    return axes


def _finding(found: Diagnosis, off: np.ndarray) -> str:
    half = f"half of the runs lie within {np.median(np.abs(off)):.2g}%"
    if not len(found.far):
        return f"No run lies far off the fit; {half}"
    names = row_names(found.rows[found.far], np.ones(len(found.far), dtype=bool))
    return f"{names.capitalize()} lie{'' if len(found.far) > 1 else 's'} far off the fit; {half}"


def predictive(fit: Fit, ax: Axes | None = None) -> Axes:
    """Where each loss falls among its own predictions, noise included: level where the model is right.

    Parameters
    ----------
    fit
        Any fit.
    ax
        Axes to draw on; those of a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    check_fit(fit)
    pit = diagnose(fit).pit
    ax = ax or new_axes(size=(7.5, 4.6))
    bins = BINS if len(pit) >= FEW else BINS // 2
    low, high = binom.ppf([(1 - SURE) / 2, (1 + SURE) / 2], len(pit), 1 / bins)
    ax.hist(pit, np.linspace(0, 1, bins + 1).tolist(), color=MAIN, alpha=0.75, edgecolor="white", label="runs")
    for level, label in ((low, f"{SURE:.0%} of the bars lie between these where the model is right"), (high, None)):
        ax.axhline(level, color=LAW, lw=1.4, ls="--", label=label)
    inside = np.mean((pit >= 0.05) & (pit <= 0.95))
    ax.set(xlim=(0, 1), xlabel="rank of the loss among its predictions", ylabel="runs")
    title(ax, f"90% predictive intervals contain {inside:.0%} of the runs of {fit.runs.name}")
    legend_below(ax)
    return ax
