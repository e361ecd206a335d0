"""Values of a table that cannot be used, and the one sentence that names them all."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from scalefit.errors import DataError
from scalefit.loss_units import NATS, largest_plausible

POSITIVE_COLUMNS = ("params", "tokens", "flops", "loss", "unique_tokens", "active_params")
"""Columns whose every value is a positive number."""
SHOWN, LISTED = 20, 100  # bad cells that an error describes; further rows that it lists
MOST_CELLS = 10_000  # bad cells of a column that are looked at


class BadCell(NamedTuple):
    """One value of a table that cannot be used.

    Parameters
    ----------
    row
        Counted from 1, below the header.
    column
        Canonical name.
    reason
        A predicate for the error: "is missing (NaN)".
    """

    row: int
    column: str
    reason: str


def bad_cells(columns: Mapping[str, Any], unit: str = NATS) -> list[BadCell]:
    """Find every missing, infinite, non-positive or implausible value of the columns that must be positive.

    Parameters
    ----------
    columns
        Name -> numbers (run,); columns that need not be positive are not looked at.
    unit
        Of the loss.

    Returns
    -------
    list of BadCell
        In the order of their rows.
    """
    found = []
    for column in (c for c in POSITIVE_COLUMNS if c in columns):
        values = np.asarray(columns[column], dtype=float)
        ceiling = largest_plausible(unit) if column == "loss" else np.inf
        for index in np.flatnonzero(~(np.isfinite(values) & (values > 0) & (values <= ceiling)))[:MOST_CELLS]:
            found.append(BadCell(int(index) + 1, column, _reason(values[index], unit)))
    return sorted(found)


def refuse(cells: Iterable[BadCell], table: str) -> None:
    """Raise one error that names every bad row; do nothing where there is none.

    Parameters
    ----------
    cells
        The values that cannot be used.
    table
        What the table is called.

    Raises
    ------
    DataError
        There is a bad cell.
    """
    cells = sorted(cells)
    if not cells:
        return
    shown = "; ".join(f"row {c.row}: {c.column} {c.reason}" for c in cells[:SHOWN])
    others = sorted({c.row for c in cells[SHOWN:]} - {c.row for c in cells[:SHOWN]})
    more = f"; and rows {', '.join(map(str, others[:LISTED]))}" if others else ""
    more += f" and {len(others) - LISTED} others" if len(others) > LISTED else ""
    rows = len({cell.row for cell in cells})
    count = f"{rows}" if rows < MOST_CELLS else f"{rows} or more"
    raise DataError(
        f"{table}: {count} bad row(s), counted from 1 below the header: {shown}{more}. Correct or remove them."
    )


def _reason(value: float, unit: str) -> str:
    if np.isnan(value):
        return "is missing (NaN)"
    if np.isinf(value):
        return "is infinite"
    if value <= 0:
        return f"is not positive ({value:g})"
    return f"{value:g} looks like a percentage or a perplexity, but must be {unit}"
