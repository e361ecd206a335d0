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

ACCENT = "#c2410c"
WIDER = "#1d4ed8"  # with discrepancy
DATA = "#64748b"
COLORS = "viridis"


def new_axes(rows: int = 1, columns: int = 1, size: tuple[float, float] = (7.0, 5.0)) -> Any:
    """Axes of a new figure: one, or an array (rows, columns)."""
    import matplotlib.pyplot as plt

    return plt.subplots(rows, columns, figsize=size, layout="constrained")[1]


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
