"""Values of a table: numbers as people write them, the third of N, D and C from two, and what looks like a mistake."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Shaped

from scalefit.counting import flops_6nd, params_for, tokens_for
from scalefit.errors import OptionError
from scalefit.runs import POSITIVE_COLUMNS, BadCell, bad_cells
from scalefit.units import parse_quantity

if TYPE_CHECKING:
    import pandas as pd

Columns = dict[str, Shaped[np.ndarray, " run"]]
LISTED_ROWS = 10
SMALLEST_PLAUSIBLE_COUNT = 1e3
PLAUSIBLE_6ND = (0.5, 2.0)  # compute over 6 N D, between common rules of counting


def parse_columns(frame: "pd.DataFrame") -> tuple[Columns, list[BadCell]]:
    """Read the values of every column.

    Parameters
    ----------
    frame
        The table under canonical names; counts may be written "70B".

    Returns
    -------
    columns : dict
        Name -> floats (run,), NaN where a number cannot be read; texts (run,) where a column is no quantity.
    bad : list of BadCell
        Every value that cannot be used.
    """
    columns: Columns = {}
    bad: list[BadCell] = []
    for name in frame.columns:
        values = frame[name].to_numpy()
        if name in POSITIVE_COLUMNS and values.dtype.kind not in "fiu":
            values, not_numbers = _parse_texts(name, values)
            bad += not_numbers
        columns[name] = values.astype(float) if values.dtype.kind in "fiub" else np.array([str(v) for v in values])
    known = {(cell.row, cell.column) for cell in bad}
    return columns, bad + [cell for cell in bad_cells(columns) if (cell.row, cell.column) not in known]


def _parse_texts(name: str, values: np.ndarray) -> tuple[Float[np.ndarray, " run"], list[BadCell]]:
    """Numbers of texts, NaN where one is missing or cannot be read, and those that cannot be read."""
    import pandas as pd

    numbers = np.full(len(values), np.nan)
    bad = []
    for index, value in enumerate(values):
        if value is None or value is pd.NA or value != value or not str(value).strip():
            continue  # missing: reported as such with the other numbers
        try:
            numbers[index] = parse_quantity(value)
        except OptionError:
            bad.append(BadCell(index + 1, name, f"is text ({str(value)!r})"))
    return numbers, bad


def complete_6nd(columns: Mapping[str, np.ndarray]) -> tuple[Columns, list[str]]:
    """Compute the one column of params, tokens and flops that is absent, by C = 6 N D.

    Parameters
    ----------
    columns
        Name -> values (run,).

    Returns
    -------
    absent : dict
        Name -> values (run,) of the absent column; empty where none or more than one is absent.
    notes : list of str
        A sentence that names what was computed; where all three are there and C leaves [0.5, 2] times 6 N D, one that
        names the rows.
    """
    present = {"params", "tokens", "flops"} & set(columns)
    if present == {"params", "tokens", "flops"}:
        return {}, _mismatch(columns["flops"] / flops_6nd(columns["params"], columns["tokens"]))
    if present == {"params", "tokens"}:
        return {"flops": flops_6nd(columns["params"], columns["tokens"])}, ["flops were computed as 6 N D"]
    if present == {"params", "flops"}:
        return {"tokens": tokens_for(columns["flops"], columns["params"])}, ["tokens were computed from C = 6 N D"]
    if present == {"tokens", "flops"}:
        return {"params": params_for(columns["flops"], columns["tokens"])}, ["params were computed from C = 6 N D"]
    return {}, []


def _mismatch(ratio: Float[np.ndarray, " run"]) -> list[str]:
    """A note on the rows whose compute is far from 6 N D."""
    off = np.flatnonzero((ratio < PLAUSIBLE_6ND[0]) | (ratio > PLAUSIBLE_6ND[1]))
    if not off.size:
        return []
    return [
        f"flops are {ratio[off].min():.3g} to {ratio[off].max():.3g} times 6 N D in {off.size} row(s) "
        f"({_listed(off)}); check that params and tokens are counted as the compute is"
    ]


def find_doubts(columns: Mapping[str, np.ndarray]) -> list[str]:
    """Find what looks like a mistake but can be used: rows that repeat, and counts too small to be counts.

    Parameters
    ----------
    columns
        Name -> values (run,).

    Returns
    -------
    list of str
        A sentence for each doubt.
    """
    import pandas as pd

    doubts = []
    if (repeats := np.flatnonzero(pd.DataFrame(columns).duplicated().to_numpy())).size:
        doubts.append(f"{repeats.size} row(s) repeat an earlier row exactly ({_listed(repeats)}); remove the copies")
    for name in ("params", "tokens"):
        if name in columns and columns[name].max() < SMALLEST_PLAUSIBLE_COUNT:
            doubts.append(f"{name} are all below 1000 and look like millions or billions; write 70B or 7e10")
    return doubts


def _listed(rows: np.ndarray) -> str:
    return ", ".join(str(row + 1) for row in rows[:LISTED_ROWS]) + (", ..." if rows.size > LISTED_ROWS else "")
