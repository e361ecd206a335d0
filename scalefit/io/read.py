"""read_runs: from a file, a DataFrame or a dict of arrays to `Runs`."""

import warnings
from typing import Any

import numpy as np
from jaxtyping import Float

from scalefit.counting import refuse_mix
from scalefit.errors import DataError, DataWarning
from scalefit.io.cells import complete_6nd, find_doubts, parse_columns
from scalefit.io.columns import COMMON_NAMES, choose_params, rename
from scalefit.io.frames import open_table
from scalefit.runs import Runs, refuse


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

    Parameters
    ----------
    source
        Path of a .csv, .tsv or .parquet file; a pandas or polars DataFrame (anything with a dataframe interchange); a
        dict of arrays (run,); or `Runs`, returned as they are. Counts may be written "70B", "1.4T" or "5.76e23"; the
        loss is in nats per token. Two of params, tokens and flops give the third by C = 6 N D.
    params, tokens, flops, loss, **columns
        The table's own name of each canonical column, where it is not one of `io.columns.COMMON_NAMES`.
    name
        What the table is called in messages; the file's name by default.
    convention
        What params count: "total", "non_embedding" or "active" parameters. By default what the column's name states,
        if it is one of `io.columns.CONVENTION_NAMES`; else it stays open. Where several columns count N, this chooses.

    Returns
    -------
    Runs
        The table under canonical names, with notes on what was derived or looks doubtful.

    Raises
    ------
    DataError
        The file is not a table, columns are ambiguous or absent, or values cannot be used. The sentence names every
        bad row.
    OptionError
        The convention is unknown.

    Warns
    -----
    DataWarning
        Rows repeat, or counts look like millions.
    """
    if isinstance(source, Runs):
        refuse_mix(convention, source.convention, source.name)
        return source
    frame, default_name = open_table(source)
    table = name or default_name
    given = {"params": params, "tokens": tokens, "flops": flops, "loss": loss, **columns}
    mapping, convention = choose_params(frame, {k: v for k, v in given.items() if v is not None}, convention, table)
    renamed = rename(frame, mapping, {*COMMON_NAMES, *mapping}, table)
    if renamed.empty:
        raise DataError(f"{table}: the table has no runs. Give a table with a row for every run.")
    if "loss" not in renamed.columns:
        raise DataError(
            f"{table}: none of the columns {', '.join(frame.columns)} is a loss. "
            "Name it, as in loss='final_loss' (--loss on the command line)."
        )
    values, bad = parse_columns(renamed)
    refuse(bad, table)
    derived, notes = complete_6nd(values)
    doubts = find_doubts(values | derived)
    for doubt in doubts:
        warnings.warn(f"{table}: {doubt}", DataWarning, stacklevel=2)
    return Runs(values | derived, table, (*notes, *doubts), convention)


def read_inputs(
    source: Any, inputs: tuple[str, ...], convention: str | None = None
) -> dict[str, Float[np.ndarray, " run"]]:
    """Read the inputs of a law from a table that need not have a loss.

    Parameters
    ----------
    source
        Anything `read_runs` takes.
    inputs
        Canonical columns.
    convention
        What params are to count; None takes them as they are.

    Returns
    -------
    dict
        Input -> values (run,).

    Raises
    ------
    DataError
        An input is absent, is counted by another convention, or has a value that cannot be used.
    """
    if isinstance(source, Runs):
        refuse_mix(convention, source.convention, source.name)
        columns = dict(source.columns)
    else:
        frame, table = open_table(source)
        mapping, _ = choose_params(frame, {}, convention, table)
        wanted = {*inputs, "flops"}
        renamed = rename(frame, mapping, wanted, table)
        columns, bad = parse_columns(renamed[[column for column in renamed.columns if column in wanted]])
        refuse(bad, table)
        columns |= complete_6nd(columns)[0]
    if missing := [name for name in inputs if name not in columns]:
        raise DataError(f"the new runs lack {', '.join(missing)}. Give the columns {', '.join(inputs)}.")
    return {name: np.atleast_1d(np.asarray(columns[name], dtype=float)) for name in inputs}


def read_columns(source: Any, names: tuple[str, ...]) -> dict[str, Float[np.ndarray, " row"]]:
    """Read columns of numbers under their own names; nothing is renamed or derived.

    Parameters
    ----------
    source
        Any table that `read_runs` can open.
    names
        The table's own names.

    Returns
    -------
    dict
        Name -> numbers (row,).

    Raises
    ------
    DataError
        A column is absent or not numeric.
    """
    frame, table = open_table(source)
    found = {}
    for name in names:
        if name not in frame.columns:
            raise DataError(f"{table} has no column {name!r}, only {', '.join(frame.columns)}. Correct the name.")
        try:
            found[name] = frame[name].to_numpy(dtype=float)
        except (TypeError, ValueError):
            raise DataError(f"{table}: column {name!r} is not numeric. Correct its values.") from None
    return found
