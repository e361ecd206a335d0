"""Posterior draws of the law's parameters, two by two."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from scalefit.errors import OptionError
from scalefit.fits.fit import Fit, check_fit
from scalefit.plots._axes import DATA, MAIN, heading, new_axes
from scalefit.units import format_count

SHOWN = 1000  # draws
WIDE = 5.0  # largest over smallest draw, from where a scale is logarithmic


def pairs(fit: Fit, names: Sequence[str] | None = None) -> np.ndarray:
    """Every two parameters of the law against each other, and the histogram of each, by the law-only posterior.

    Parameters
    ----------
    fit
        Any fit.
    names
        Parameters, two at least; those of the law by default.

    Returns
    -------
    array of matplotlib.axes.Axes
        (name, name).
    """
    check_fit(fit)
    names = [p.name for p in fit.model.law.params()] if names is None else list(names)
    if len(names) < 2 or not set(names) <= set(fit.theta):
        raise OptionError(f"a picture of pairs takes two parameters at least, of {', '.join(fit.theta)}.")
    some = np.unique(np.linspace(0, len(fit.theta[names[0]]) - 1, SHOWN).round().astype(int))
    draws = {name: fit.theta[name][some] for name in names}
    axes = new_axes(len(names), len(names), (2.1 * len(names) + 0.6, 2.0 * len(names) + 0.6))
    for row, up in enumerate(names):
        for column, across in enumerate(names):
            _draw(axes[row, column], draws, across, up, (row, column), len(names))
    (a, b), strongest = _strongest(draws)
    heading(axes, f"{a} and {b} are the most correlated ({strongest:.2f}); {fit.runs.name}, law only")
    return axes


def _draw(ax: Axes, draws: dict[str, np.ndarray], across: str, up: str, place: tuple[int, int], count: int) -> None:
    row, column = place
    if column > row:
        ax.set_visible(False)
        return
    x = draws[across]
    if row == column:
        bins = np.geomspace(x.min(), x.max(), 26) if _wide(x) else np.linspace(x.min(), x.max(), 26)
        ax.hist(x, bins.tolist(), color=MAIN, alpha=0.75)
        ax.set_yticks([])
        ax.grid(False)
    else:
        ax.scatter(x, draws[up], s=5, color=MAIN, alpha=0.35, lw=0)
        _scale(ax, "y", draws[up])
    _scale(ax, "x", x)
    if row == count - 1:
        ax.set_xlabel(across)
    else:
        ax.tick_params(labelbottom=False)
    if column == 0 and row:
        ax.set_ylabel(up)
    elif column:
        ax.tick_params(labelleft=False)
    ax.tick_params(axis="x", rotation=30, color=DATA)


def _scale(ax: Axes, side: str, values: np.ndarray) -> None:
    """Three ticks at most, so that no two collide; logarithmic where draws span a wide range."""
    wide = _wide(values)
    low, high = np.quantile(values, [0.02, 0.98])
    ticks = np.geomspace(low, high, 3) if wide else np.linspace(low, high, 3)
    if wide:
        ax.set(**{f"{side}scale": "log"})
    axis = ax.xaxis if side == "x" else ax.yaxis
    axis.set_ticks(ticks, [format_count(tick) for tick in ticks])
    axis.set_ticks([], minor=True)


def _wide(values: np.ndarray) -> bool:
    return bool(values.min() > 0 and values.max() > WIDE * values.min())


def _strongest(draws: dict[str, np.ndarray]) -> tuple[tuple[str, str], float]:
    names = list(draws)
    table = np.corrcoef([np.log(v) if _wide(v) else v for v in draws.values()])
    table[np.tril_indices(len(names))] = 0.0
    a, b = np.unravel_index(int(np.abs(table).argmax()), table.shape)
    return (names[a], names[b]), float(table[a, b])
