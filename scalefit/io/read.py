"""read_runs: from a file, a DataFrame or a dict of arrays to `Runs`."""

import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from scalefit._bad_cells import refuse
from scalefit.counting import flops_6nd, refuse_mix
from scalefit.errors import DataError, DataWarning, listed, quoted
from scalefit.io.aliases import COMMON_NAMES
from scalefit.io.cells import is_negated, parse_columns, without_long_texts
from scalefit.io.columns import Chosen, choose, column_notes, no_loss, rename
from scalefit.io.derive import complete_6nd, from_other_columns
from scalefit.io.doubts import find_repeats, refuse_implausible, refuse_negated
from scalefit.io.history import check_history
from scalefit.io.join import one_table
from scalefit.io.names import column_called
from scalefit.io.rows import finished_rows
from scalefit.io.sources import open_table
from scalefit.loss_units import NATS, read_unit
from scalefit.runs import Runs, refuse_other_unit

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
    unit: str | None = None,
    bytes_per_token: float | None = None,
    format: str | None = None,
    history: str | None = None,
    keep_unfinished: bool = False,
    cluster: str | Iterable[str] | None = None,
    weight: str | None = None,
    sd: str | None = None,
    **columns: str,
) -> Runs:
    """Read a table of training runs.

    Parameters
    ----------
    source
        Path of a file, a folder of files, a pattern such as "logs/*.jsonl", or a list of paths; a pandas or polars
        DataFrame (anything with a dataframe interchange); a dict of arrays (run,); a list of records; or `Runs`,
        returned as they are. Counts may be written "70B", "1.4 trillion" or "5.76e23".
        Two of params, tokens and flops give the third by C = 6 N D.
    params, tokens, flops, loss, **columns
        The table's own name of each canonical column, where it is none of those in `io.aliases`; its case, spaces,
        dashes and underscores do not matter unless two columns differ in nothing else.
    name
        What the table is called in messages; the file's name by default.
    convention
        What params count: "total", "non_embedding" or "active" parameters. By default what the column's name states,
        if it is one of `io.aliases.CONVENTION_NAMES`; else it stays open. Where several columns count N, this chooses.
    unit
        Of the loss: "nats per token", "bits per byte", "error rate" or any name. By default what the name of its column
        states (`val_bpb`, `error`); nats per token of a loss that states none; another column's name is its unit.
    bytes_per_token
        Of the tokenizer on the data: bits per byte become nats per token. Nothing is converted unless this is given.
    format
        The format of the files: "csv", "tsv", "json", "jsonl", "parquet", "xlsx", "wandb", "wandb-chart",
        "trainer-state", "mlflow", "mlruns" or "trackio". By default their content says it.
    history
        What becomes of a log with a row for each step: "last" keeps each run's last loss, "minimum" its smallest, "all"
        keeps every row. By default logs give the last; a table that has tokens in each row is kept as it is.
    keep_unfinished
        Whether runs that have a loss are kept although their state is not finished. Rows without one are always left
        out, and counted in a note.
    cluster
        The column, or columns, whose values say which runs share an error, such as run_id, seed or checkpoint; a log is
        then kept with all its rows.
    weight
        The column of each run's known precision: the variance of its own noise is sigma^2 / weight.
    sd
        The column of each loss's known measurement error, a standard deviation in the unit of the loss.

    Returns
    -------
    Runs
        The table under canonical names, with notes on what was understood, left out, derived or looks doubtful.

    Raises
    ------
    DataError
        The file is not a table, columns are ambiguous or absent, or values cannot be used. The sentence names every
        bad row.
    OptionError
        The convention, the format or the history is unknown, the unit is no name, or the loss is not for each byte.

    Warns
    -----
    DataWarning
        Rows repeat.
    """
    check_history(history)
    if isinstance(source, Runs):
        refuse_mix(convention, source.convention, source.name)
        refuse_other_unit(source.unit if unit is None else read_unit(unit), source.unit, source.name)
        source = source.with_errors(cluster, weight, sd)
        return source if bytes_per_token is None else source.in_nats(bytes_per_token)
    given = {"params": params, "tokens": tokens, "flops": flops, "loss": loss, **columns}
    mapping = {canonical: own for canonical, own in given.items() if own is not None}
    opened = open_table(source, format)
    table = name or opened.name
    own_cluster = (cluster,) if isinstance(cluster, str) else tuple(cluster or ())
    whole, notes = one_table(opened, mapping, history or ("all" if own_cluster else None))
    chosen = choose(list(whole.columns), mapping, convention, {*COMMON_NAMES, *mapping}, table, unit)
    errors = _error_columns(whole, chosen, {"cluster": own_cluster, "weight": weight, "sd": sd}, table)
    if whole.empty:
        raise DataError(f"{table}: the table has no runs. Give a table with a row for every run.")
    if "loss" not in chosen.sources:
        raise DataError(no_loss(list(whole.columns), table))
    notes += column_notes(whole, chosen)
    if unit is None and chosen.unit != NATS:
        notes.append(f"the unit of loss is {chosen.unit}, by the column's name; state another by unit= (--loss-unit)")
    frame = rename(whole, chosen)
    frame, left_out = finished_rows(frame, chosen, keep_unfinished, table)
    frame, long = without_long_texts(frame, {*errors.get("cluster", ()), *chosen.given})
    notes += left_out + long
    values, more = _values(frame, chosen, table)
    doubts = find_repeats(values)
    for doubt in doubts:
        warnings.warn(f"{table}: {doubt}", DataWarning, stacklevel=2)
    stated = "non_embedding" if chosen.convention is None and any("without embeddings" in n for n in more) else None
    runs = Runs(values, table, (*notes, *more, *doubts), chosen.convention or stated, chosen.unit, **errors)
    return runs if bytes_per_token is None else runs.in_nats(bytes_per_token)


def _error_columns(
    frame: "pd.DataFrame", chosen: Chosen, given: Mapping[str, str | tuple[str, ...] | None], table: str
) -> dict[str, Any]:
    """What columns of clusters, weights and measurement errors are called in the table of runs."""
    renamed = {own: canonical for canonical, own in chosen.sources.items()}
    found: dict[str, Any] = {}
    for what, own in given.items():
        asked = (own,) if isinstance(own, str) else own or ()
        names = [column_called(name, frame.columns) or "" for name in asked]
        for name, there in zip(asked, names, strict=True):
            if not there:
                columns = listed(frame.columns, 20)
                raise DataError(f"{table} has no column {quoted(name)} for {what}, only {columns}. Correct the name.")
        called = tuple(renamed.get(name, name) for name in names)
        found |= {what: called if what == "cluster" else called[0]} if called else {}
    return found


def _values(frame: "pd.DataFrame", chosen: Chosen, table: str) -> tuple[dict[str, Any], list[str]]:
    """The values of a table of runs, those that follow from others, and notes on these."""
    values, bad = parse_columns(frame, chosen, table)
    if "loss" in values and values["loss"].dtype.kind == "f":
        refuse_negated(values["loss"], chosen, table)
    refuse(bad, table)
    found, notes = from_other_columns(frame, values)
    if is_negated(frame["loss"], chosen):
        notes.append(f"losses are the negatives of column {quoted(chosen.sources['loss'])}, which has log-likelihoods")
    values |= found
    values, dropped = _without_rates(values, chosen)
    refuse_implausible(values, chosen, table)
    derived, more = complete_6nd(values)
    values |= derived
    refuse_implausible(values, chosen, table)
    return values, [*notes, *dropped, *more]


def _without_rates(values: dict[str, Any], chosen: Chosen) -> tuple[dict[str, Any], list[str]]:
    """Without a column of compute that is none: one that was not named by hand and is never near 6 N D."""
    own = chosen.sources.get("flops", "")
    if "flops" in chosen.given or not {"params", "tokens", "flops"} <= set(values) or own == "flops":
        return values, []
    ratio = values["flops"] / flops_6nd(values["params"], values["tokens"])
    if not ((ratio < 0.02) | (ratio > 50)).all():
        return values, []
    note = (
        f"column {quoted(own)} looks like compute and is {np.median(ratio):.2g} times 6 N D; it is not used. "
        f"Use it with flops={quoted(own)} (--flops)"
    )
    return {name: column for name, column in values.items() if name != "flops"}, [note]


def read_inputs(
    source: Any, inputs: tuple[str, ...], convention: str | None = None, cost: Any = None
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
    cost
        A `costs.Compute` that gives the third of N, D and C from two; C = 6 N D by default.

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
        opened = open_table(source)
        whole, _ = one_table(opened, {}, None)
        wanted = {*inputs, "flops", "active_params"}
        chosen = choose(list(whole.columns), {}, convention, wanted, opened.name)
        frame = rename(whole, chosen)
        columns, bad = parse_columns(frame[[name for name in frame.columns if name in wanted]], chosen, opened.name)
        refuse(bad, opened.name)
        columns |= from_other_columns(frame, columns)[0]
        columns |= _priced(columns, cost) if cost is not None else complete_6nd(columns)[0]
    if missing := [name for name in inputs if name not in columns]:
        raise DataError(f"the new runs lack {', '.join(missing)}. Give the columns {', '.join(inputs)}.")
    return {name: _floats(columns[name], name) for name in inputs}


def _priced(columns: Mapping[str, Any], cost: Any) -> dict[str, Any]:
    """The one of params, tokens and flops that is absent, by a cost."""
    present = {"params", "tokens", "flops"} & set(columns)
    if present == {"params", "flops"}:
        return {"tokens": cost.tokens_for(columns["flops"], columns["params"])}
    if present == {"tokens", "flops"}:
        return {"params": cost.params_for(columns["flops"], columns["tokens"])}
    return {"flops": cost.flops(columns["params"], columns["tokens"])} if present == {"params", "tokens"} else {}


def _floats(values: Any, name: str) -> Float[np.ndarray, " run"]:
    try:
        return np.atleast_1d(np.asarray(values, dtype=float))
    except (TypeError, ValueError):
        raise DataError(f"the new runs have texts in column {quoted(name)}. Give numbers.") from None


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
    opened = open_table(source)
    frame, _ = one_table(opened, {}, "all")
    found = {}
    for name in names:
        if name not in frame.columns:
            columns = listed(frame.columns, 20)
            raise DataError(f"{opened.name} has no column {quoted(name)}, only {columns}. Correct the name.")
        try:
            found[name] = frame[name].to_numpy(dtype=float)
        except (TypeError, ValueError):
            raise DataError(f"{opened.name}: column {quoted(name)} is not numeric. Correct its values.") from None
    return found
