"""Values of a table: numbers as people write them, missing values, and what cannot be used."""

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Shaped

from scalefit._bad_cells import MOST_CELLS, POSITIVE_COLUMNS, BadCell, bad_cells
from scalefit.errors import DataError, OptionError, quoted, shortened
from scalefit.io.aliases import is_log_likelihood
from scalefit.io.columns import Chosen
from scalefit.io.frames import LONGEST_TEXT
from scalefit.units import parse_quantity

if TYPE_CHECKING:
    import pandas as pd

MOST_TEXT = 1 << 28  # bytes of a column of texts
Columns = dict[str, Shaped[np.ndarray, " run"]]
_MISSING = frozenset({"", "-", "--", "?", "na", "n/a", "nan", "none", "null", "nil", "<na>", "nat", "missing", "."})
_DIVERGED = frozenset({"diverged", "inf", "+inf", "infinity", "oom", "failed", "crashed", "error", "-inf"})
_ONE_GROUP = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}\s*[a-z]*", re.IGNORECASE)
_LEADING_ZERO = re.compile(r"[+-]?0?,\d")
_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?\s*[a-z]*", re.IGNORECASE)


def is_missing(value: Any) -> bool:
    """Whether a plain cell has nothing in it."""
    return value is None or value != value or (isinstance(value, str) and value.strip().lower() in _MISSING)


def is_diverged(value: Any) -> bool:
    """Whether a plain cell says that a run has no loss because it diverged."""
    if isinstance(value, str):
        return value.strip().lower() in _DIVERGED
    return value is not None and value in (float("inf"), float("-inf"))


def parse_columns(frame: "pd.DataFrame", chosen: Chosen, table: str) -> tuple[Columns, list[BadCell]]:
    """Read the values of every column.

    Parameters
    ----------
    frame
        The table under canonical names, plain; its index has the places of its rows in the source, from 0.
    chosen
        Its columns; a factor applies to numbers, and to texts that state no unit of their own.
    table
        What the table is called.

    Returns
    -------
    columns : dict
        Name -> floats (run,), NaN where a number cannot be read; texts (run,) where a column is no quantity.
    bad : list of BadCell
        Every value that cannot be used.

    Raises
    ------
    DataError
        Commas in a column can be read in two ways.
    """
    import pandas as pd

    rows = np.asarray(frame.index)
    columns: Columns = {}
    bad: list[BadCell] = []
    for name, column in frame.items():
        values = column.to_numpy(na_value="") if isinstance(column.dtype, pd.StringDtype) else column.to_numpy()
        if name in POSITIVE_COLUMNS:
            factor = chosen.factors.get(str(name), 1.0)
            if values.dtype.kind == "f":
                values = values * factor if factor != 1.0 else values
            else:
                values, reasons = _parse_texts(values, factor, chosen.column(str(name)), table, name == "loss")
                bad += [BadCell(int(rows[index]) + 1, str(name), reason) for index, reason in reasons.items()]
        if name == "loss" and is_negated(values, chosen):
            values = -values
        columns[str(name)] = values if values.dtype.kind == "f" else _texts(values)
    known = {(cell.row, cell.column) for cell in bad}
    found = (cell._replace(row=int(rows[cell.row - 1]) + 1) for cell in bad_cells(columns, chosen.unit))
    return columns, bad + [cell for cell in found if (cell.row, cell.column) not in known]


def is_negated(loss: Any, chosen: Chosen) -> bool:
    """Whether a column of losses is one of log-likelihoods, by its name and by its sign."""
    if loss.dtype.kind != "f" or not is_log_likelihood(chosen.sources.get("loss", "loss")):
        return False
    finite = loss[np.isfinite(loss)]
    return bool(finite.size and (finite < 0).all())


def _texts(values: Any) -> Shaped[np.ndarray, " run"]:
    """A column of texts, or of truth values as 0 and 1, as a table of runs keeps it, which need not copy it."""
    if len(values) and all(value in ("True", "False") for value in values):
        return np.array([float(value == "True") for value in values])
    texts = np.array(["" if value is None else value for value in values], dtype=str)
    texts.flags.writeable = False
    return texts


def without_long_texts(frame: "pd.DataFrame", used: set[str]) -> tuple["pd.DataFrame", list[str]]:
    """Leave out columns of texts that would take too much memory, such as remarks on a million runs.

    Parameters
    ----------
    frame
        The table under canonical names, plain.
    used
        Columns that are kept whatever they take.

    Returns
    -------
    frame : pandas.DataFrame
        Without them.
    notes : list of str
        A sentence for each of them.
    """
    notes = []
    room = MOST_TEXT // (4 * max(len(frame), 1))  # characters of each cell
    if room >= LONGEST_TEXT:
        return frame, []
    for name in [str(name) for name in frame.columns if name not in used | set(POSITIVE_COLUMNS)]:
        values = frame[name]
        if values.dtype.kind != "f" and (longest := values.str.len().max()) > room:
            frame = frame.drop(columns=name)
            notes.append(
                f"column {quoted(name)} is left out: its texts, of up to {longest:.0f} characters, take too much memory"
            )
    return frame, notes


def _parse_texts(
    values: Any, factor: float, column: str, table: str, is_loss: bool
) -> tuple[Float[np.ndarray, " run"], dict[int, str]]:
    """Numbers of texts, NaN where one is missing or cannot be read; place -> why, for those that cannot be read."""
    point = _comma_is_point(values, factor, column, table, is_loss)
    known: dict[Any, float | str] = {}
    numbers = np.full(len(values), np.nan)
    reasons = {}
    for index, value in enumerate(values):
        if value not in known:
            known[value] = _number(value, factor, point)
        found = known[value]
        if isinstance(found, str):
            reasons[index] = found
            if len(reasons) == MOST_CELLS:
                break
        else:
            numbers[index] = found
    return numbers, reasons


def _number(value: Any, factor: float, point: bool) -> float | str:
    """The number of a cell, NaN where it is missing, or why it is none."""
    if isinstance(value, float):
        return value * factor
    if is_missing(value):
        return float("nan")
    text = value.replace(".", "").replace(",", ".") if point and "," in value else value
    try:
        number = parse_quantity(text)
    except OptionError:
        return f"is text ({shortened(value, 60)!r})"
    return number * (1.0 if text.strip()[-1:].isalpha() else factor)


def _comma_is_point(values: Any, factor: float, column: str, table: str, is_loss: bool) -> bool:
    """Whether commas in a column are decimal points; an error where they could be either."""
    commas = [value.strip() for value in values if isinstance(value, str) and "," in value]
    if not all(_COMMA.fullmatch(text) for text in commas):
        return False
    if commas and (is_loss or any(_LEADING_ZERO.match(text) for text in commas)):
        return True
    for text in commas:
        if _ONE_GROUP.fullmatch(text) and (text[-1].isalpha() or factor != 1.0):
            meant = text.replace(",", "."), text.replace(",", "")
            raise DataError(
                f"{table}: {quoted(text)} in {column} can be {meant[0]} or {meant[1]}. Write it without a comma."
            )
    return False  # a separator of thousands, or no number
