"""From a file, a DataFrame or a dict of arrays to `Runs`. pandas lives here.

Column names. A column is taken for what it is called, whatever its case, with spaces and dashes read as
underscores, if it is one of `COMMON_NAMES`; two candidates for one quantity are an error, a mapping by argument
decides. Two of params, tokens and flops give the third by C = 6 N D. A column called `params_non_embedding` (or
another of `CONVENTION_NAMES`) says what it counts: it is N where nothing else is, or where that is asked for.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from scalefit.counting import refuse_mix
from scalefit.errors import DataError
from scalefit.io.columns import COMMON_NAMES, _counted, _doubts, _listed, _parse, _rename, complete_6nd
from scalefit.io.frames import _frame
from scalefit.runs import Runs, refuse

if TYPE_CHECKING:
    import pandas as pd


def read_runs(
    source: Any,
    *,
    params: str | None = None,
    tokens: str | None = None,
    flops: str | None = None,
    loss: str | None = None,
    name: str | None = None,
    convention: str | None = None,
    **columns: str,
) -> Runs:
    """Read a table of training runs.

    source : path of a .csv, .tsv or .parquet file; a pandas or polars DataFrame (anything with a dataframe
        interchange); a dict of arrays; or `Runs`, returned as they are.
    params, tokens, flops, loss, **columns : the table's own name of each canonical column, where it is not one of
        `COMMON_NAMES`.
    name : what the table is called in messages; the file's name by default.
    convention : what params count: "total", "non_embedding" or "active". By default what the column's name says, if
        it is one of `CONVENTION_NAMES`; else it stays unsaid. Where several columns count N, this chooses.

    Counts may be written "70B", "1.4T" or "5.76e23". Loss is in nats per token.
    Raises `DataError` that names the ambiguous columns, or every bad row; warns with `DataWarning` of duplicates.
    """
    if isinstance(source, Runs):
        refuse_mix(convention, source.convention, source.name)
        return source
    frame, default_name = _frame(source)
    mapping = {"params": params, "tokens": tokens, "flops": flops, "loss": loss, **columns}
    given = {k: v for k, v in mapping.items() if v is not None}
    return _runs(frame, *_counted(frame, given, name or default_name, convention), name or default_name)


def read_inputs(source: Any, inputs: tuple[str, ...], convention: str | None = None) -> dict[str, np.ndarray]:
    """The columns `inputs` of a table that need not have a loss, each (run,), as `read_runs` would read them.

    convention : what params are to count. Raises `DataError` where one is missing, counts otherwise, or a value cannot
    be used.
    """
    if isinstance(source, Runs):
        refuse_mix(convention, source.convention, source.name)
        columns = dict(source.columns)
    else:
        columns = _numbers(*_frame(source), inputs, convention)
    missing = [name for name in inputs if name not in columns]
    if missing:
        raise DataError(f"the new runs lack {', '.join(missing)}; give columns {', '.join(inputs)}.")
    return {name: np.atleast_1d(np.asarray(columns[name], dtype=float)) for name in inputs}


def read_columns(source: Any, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Columns of numbers of any table that `read_runs` could open, each (row,); nothing is renamed or derived.

    Raises `DataError` where a column is missing or holds no numbers.
    """
    frame, table = _frame(source)
    found = {}
    for name in names:
        if name not in frame.columns:
            raise DataError(f"{table} has no column {name!r}; there are {_listed(frame)}.")
        try:
            found[name] = frame[name].to_numpy(dtype=float)
        except (TypeError, ValueError):
            raise DataError(f"{table}: column {name!r} does not hold numbers.") from None
    return found


def _numbers(
    frame: "pd.DataFrame", name: str, inputs: tuple[str, ...], convention: str | None
) -> dict[str, np.ndarray]:
    """The inputs that the table has, and what completes them; its other columns are not looked at."""
    mapping, _ = _counted(frame, {}, name, convention)
    frame = _rename(frame, mapping, name, {*inputs, "flops"})
    columns, cells = _parse(frame[[column for column in frame.columns if column in {*inputs, "flops"}]])
    refuse(cells, name)
    return columns | complete_6nd(columns)[0]


def _runs(frame: "pd.DataFrame", mapping: Mapping[str, str], convention: str | None, name: str) -> Runs:
    own = _listed(frame)
    frame = _rename(frame, mapping, name, {*COMMON_NAMES, *mapping})
    if frame.empty:
        raise DataError(f"{name}: there is no run in it; give a table with a row for every run.")
    if "loss" not in frame.columns:
        raise DataError(
            f"{name}: no column is a loss among {own}; name it, as in loss='final_loss' (--loss on the command line)."
        )
    columns, cells = _parse(frame)
    refuse(cells, name)
    derived, notes = complete_6nd(columns)
    columns |= derived
    return Runs(columns, name, (*notes, *_doubts(columns, name)), convention)
