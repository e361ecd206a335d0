"""What the pictures share: axes on demand, counts on tick labels, saving without leaving half a file."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from scalefit._atomic import atomic_path
from scalefit.errors import OptionError, StorageError
from scalefit.units import format_count

MAIN = "#1d4ed8"  # the answer
LAW = "#b45309"  # the law alone, where it stands beside the answer
DATA = "#5b6678"  # runs
BEYOND = "#8b95a7"  # where no run is
THIRD = "#047857"  # rules, references
INK = "#111827"
MUTED = "#4b5563"
COLORS = "viridis"
# The look of the report's page: open frames, a light grid, titles on the left.
STYLE: dict[str, Any] = {
    "figure.facecolor": "white", "axes.facecolor": "white", "axes.edgecolor": BEYOND, "axes.labelcolor": MUTED,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "axes.titlecolor": INK, "axes.labelsize": 10, "grid.color": "#e2e6ee", "grid.linewidth": 0.8,
    "xtick.color": MUTED, "ytick.color": MUTED, "xtick.labelsize": 9, "ytick.labelsize": 9, "legend.fontsize": 9,
    "legend.frameon": False, "text.color": INK, "font.size": 10,
}  # fmt: skip


def new_axes(rows: int = 1, columns: int = 1, size: tuple[float, float] = (7.0, 5.0)) -> Any:
    """Axes of a new figure: one, or an array (rows, columns)."""
    import matplotlib
    import matplotlib.pyplot as plt

    with plt.rc_context(STYLE):
        axes = plt.subplots(rows, columns, figsize=size, layout="constrained")[1]
        interactive = plt.isinteractive()
    matplotlib.interactive(interactive)  # a notebook's backend turns it on with its first figure; the context would not
    return axes


def legend_below(axes: Any, columns: int = 3) -> None:
    """One legend of the first of some axes, under them all; inside the axes of a caller's figure that has no layout."""
    first = np.ravel(np.asarray(axes, dtype=object))[0]
    figure: Figure = first.figure
    if figure.get_layout_engine() is None:
        first.legend(fontsize=8)
        return
    handles, labels = first.get_legend_handles_labels()
    style: Any = {"fontsize": 9, "frameon": False, "ncols": columns}
    figure.legend(handles, labels, loc="outside lower left", **style)


def title(ax: Any, text: str) -> None:
    """What one picture shows, on the left."""
    ax.set_title(text, loc="left", fontsize=12, fontweight="semibold", color=INK)


def heading(axes: Any, text: str) -> None:
    """What several axes show together, over them, on the left."""
    figure: Figure = np.ravel(np.asarray(axes, dtype=object))[0].figure
    figure.suptitle(text, x=0.01, ha="left", fontsize=13, fontweight="semibold", color=INK)


def shade_beyond(ax: Any, start: float, end: float) -> None:
    """Mark where no run is, along x."""
    if end > start:
        ax.axvspan(start, end, color=BEYOND, alpha=0.2, lw=0, zorder=0, label="beyond the largest run: extrapolated")
        ax.axvline(start, color=BEYOND, lw=1.2, ls=":")


def count_axis(axis: Any, label: str) -> None:
    """A logarithmic axis of counts, ticks written as 1B."""
    axis.set_label_text(label)
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_formatter(FuncFormatter(lambda value, _: format_count(value)))


def save(axes: Any, path: str | Path) -> Path:
    """Write the figure that holds `axes` to a file; the figure stays open, for it is the caller's.

    Parameters
    ----------
    axes
        What a picture returned: one or many Axes.
    path
        A file that ends in .png, .pdf or .svg.

    Raises
    ------
    OptionError
        The ending is unknown.
    StorageError
        The place cannot be written; no half file is left behind.
    """
    path = Path(path)
    figure: Figure = np.asarray(axes, dtype=object).flat[0].figure
    check_ending(path)
    try:
        with atomic_path(path) as unfinished:
            figure.savefig(unfinished, dpi=150)
    except OSError as problem:
        raise StorageError(f"cannot write {path}: {problem.strerror}. Choose another place.") from problem
    return path


def check_ending(path: Path) -> None:
    """Raise `OptionError` where a picture cannot be drawn to a file of that ending."""
    known = FigureCanvasBase.get_supported_filetypes()
    if path.suffix.lstrip(".").lower() not in known:
        raise OptionError(f"cannot draw to {path.name}. End it in {', '.join('.' + kind for kind in sorted(known))}.")
