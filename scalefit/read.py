"""From a file, a DataFrame or a dict of arrays to `Runs`. pandas lives here.

Column names. A column is taken for what it is called, whatever its case, with spaces and dashes read as
underscores, if it is one of `COMMON_NAMES`; two candidates for one quantity are an error, a mapping by argument
decides. Two of params, tokens and flops give the third by C = 6 N D. A column called `params_non_embedding` (or
another of `CONVENTION_NAMES`) says what it counts: it is N where nothing else is, or where that is asked for.
"""

import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scalefit.counting import CONVENTIONS, check_convention, flops_6nd, refuse_mix, share_6nd
from scalefit.errors import DataError, DataWarning
from scalefit.runs import POSITIVE_COLUMNS, BadCell, Runs, bad_cells, refuse
from scalefit.units import parse_quantity

if TYPE_CHECKING:
    import pandas as pd

COMMON_NAMES: dict[str, tuple[str, ...]] = {
    "params": ("params", "n", "n_params", "num_params", "parameters", "model_size"),
    "tokens": ("tokens", "d", "n_tokens", "num_tokens", "training_tokens", "train_tokens"),
    "flops": ("flops", "c", "flop", "compute", "training_flop", "training_flops", "total_flops"),
    "loss": ("loss", "val_loss", "final_loss", "validation_loss", "eval_loss", "test_loss"),
    "unique_tokens": ("unique_tokens",),
}
"""Canonical column -> the names it is recognised by (compared in lower case, spaces and dashes as underscores)."""

CONVENTION_NAMES: dict[str, tuple[str, ...]] = {
    kind: tuple(
        form.format(kind)
        for form in ("params_{}", "{}_params", "n_{}", "n_params_{}", "{}_parameters", "parameters_{}")
    )
    for kind in CONVENTIONS
}
"""N convention -> the names of columns of parameters that say so."""


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


def _counted(
    frame: "pd.DataFrame", mapping: Mapping[str, str], name: str, convention: str | None
) -> tuple[dict[str, str], str | None]:
    """The mapping with the column of N in it where its name says what it counts, and the convention that holds."""
    if convention is not None:
        check_convention(convention)
    if "params" in mapping:
        said = _says(mapping["params"])
        refuse_mix(convention, said, f"column {mapping['params']!r} of {name}")
        return dict(mapping), convention or said
    wanted = [c for c in frame.columns if _says(c) is not None and _says(c) == convention]
    plain = [c for c in frame.columns if _plain(c) in COMMON_NAMES["params"]]
    telling = wanted or ([] if plain else [c for c in frame.columns if _says(c) is not None])
    if len(telling) > 1:
        raise DataError(
            f"{name}: columns {' and '.join(map(repr, telling))} could each be params; "
            f"say which, as in params={telling[0]!r} (--params on the command line)."
        )
    return (
        _counted(frame, {**mapping, "params": telling[0]}, name, convention) if telling else (dict(mapping), convention)
    )


def _says(column: str) -> str | None:
    """The convention that a column of parameters has in its name."""
    return next((kind for kind, names in CONVENTION_NAMES.items() if _plain(column) in names), None)


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


def _frame(source: Any) -> "tuple[pd.DataFrame, str]":
    import pandas as pd

    if isinstance(source, (str, Path)):
        return _plain_frame(_read_file(Path(source)), Path(source).name)
    if isinstance(source, Mapping):
        return _plain_frame(_from_mapping(source), "the table")
    if hasattr(source, "to_pandas"):  # polars, pyarrow
        source = source.to_pandas()
    elif hasattr(source, "__dataframe__") and not isinstance(source, pd.DataFrame):
        source = pd.api.interchange.from_dataframe(source)
    if isinstance(source, pd.DataFrame):
        return _plain_frame(source, "the table")
    raise DataError(f"cannot read runs from a {type(source).__name__}; give a file, a DataFrame or a dict of arrays.")


def _from_mapping(columns: Mapping[str, Any]) -> "pd.DataFrame":
    import pandas as pd

    arrays = {str(key): np.atleast_1d(np.asarray(values)) for key, values in columns.items()}
    if deep := [key for key, values in arrays.items() if values.ndim > 1]:
        raise DataError(f"column {deep[0]!r} has shape {arrays[deep[0]].shape}; give one value a run.")
    lengths = {key: len(values) for key, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"the columns differ in length: {lengths}; give every run one row.")
    return pd.DataFrame(arrays)


def _read_file(path: Path) -> "pd.DataFrame":
    import pandas as pd

    readers: dict[str, Callable[[Path], pd.DataFrame]] = {
        ".csv": _read_text,
        ".tsv": lambda p: _read_text(p, "\t"),
        ".parquet": pd.read_parquet,
        ".pq": pd.read_parquet,
    }
    if path.suffix.lower() not in readers:
        raise DataError(f"cannot tell what {path.name} is; give a .csv, .tsv or .parquet file.")
    if not path.is_file():
        raise DataError(f"there is no file {path}; check the path, or see `scalefit data` for the shipped tables.")
    try:
        return readers[path.suffix.lower()](path)
    except (ValueError, OSError) as problem:  # pandas' and pyarrow's parsers raise subclasses of these
        first_line = (str(problem).strip() or type(problem).__name__).splitlines()[0]
        raise DataError(f"{path.name} is not a readable table: {first_line}") from problem


def _read_text(path: Path, separator: str = ",") -> "pd.DataFrame":
    """A delimited file; one without a comma but with semicolons in its header is read by those."""
    import pandas as pd

    header = [str(name) for name in pd.read_csv(path, sep=separator, header=None, nrows=1, dtype=str).iloc[0]]
    if len(header) == 1 and ";" in header[0]:
        return _read_text(path, ";")
    if repeated := sorted({name for name in header if header.count(name) > 1 and name != "nan"}):
        raise DataError(f"{path.name}: its header names {', '.join(repeated)} more than once; rename one of them.")
    frame = pd.read_csv(path, sep=separator)
    if not isinstance(frame.index, pd.RangeIndex):  # pandas would shift every column by one
        raise DataError(f"{path.name}: its rows have more fields than its header names; name every column.")
    return frame.drop(columns=[name for name in frame.columns if str(name).startswith("Unnamed: ")])


def _plain_frame(frame: "pd.DataFrame", name: str) -> "tuple[pd.DataFrame, str]":
    """A frame with text for column names, each once, and a named index as a column."""
    if frame.index.name is not None:
        frame = frame.reset_index()
    frame = frame.rename(columns=str)
    if frame.columns.nlevels > 1 or frame.columns.has_duplicates:
        raise DataError(f"{name}: column names must be plain and different; there are {_listed(frame)}.")
    return frame, name


def _rename(frame: "pd.DataFrame", mapping: Mapping[str, str], name: str, wanted: set[str]) -> "pd.DataFrame":
    """The frame with the `wanted` columns it has under their canonical names."""
    chosen = {canonical: _choose(frame, canonical, mapping, name) for canonical in sorted(wanted)}
    sources = {column: canonical for canonical, column in chosen.items() if column is not None}
    if len(sources) < sum(column is not None for column in chosen.values()):
        raise DataError(f"{name}: one column is mapped to two quantities ({dict(mapping)}); map each once.")
    # A column that only shares a canonical name, while another was mapped to it, would otherwise come twice.
    shadowed = [c for c in frame.columns if c in chosen and c not in sources and chosen[c] is not None]
    return frame.drop(columns=shadowed).rename(columns=sources)


def _choose(frame: "pd.DataFrame", canonical: str, mapping: Mapping[str, str], name: str) -> str | None:
    if canonical in mapping:
        if mapping[canonical] not in frame.columns:
            raise DataError(f"{name} has no column {mapping[canonical]!r} for {canonical}, only {_listed(frame)}.")
        _refuse_other_metric(canonical, mapping[canonical], name)
        return mapping[canonical]
    taken = set(mapping.values())
    names = COMMON_NAMES.get(canonical, (canonical,))
    candidates = [c for c in frame.columns if _plain(c) in names and c not in taken]
    if len(candidates) > 1:
        raise DataError(
            f"{name}: columns {' and '.join(map(repr, candidates))} could each be {canonical}; "
            f"say which, as in {canonical}={candidates[0]!r} (--{canonical} on the command line)."
        )
    return candidates[0] if candidates else None


def _refuse_other_metric(canonical: str, column: str, name: str) -> None:
    if canonical == "loss" and re.search("ppl|perplexity|accuracy|acc$", _plain(column)):
        raise DataError(
            f"{name}: column {column!r} is by its name no loss in nats per token; "
            "take the logarithm of a perplexity; an accuracy has no place in this table."
        )


def _plain(column: str) -> str:
    return column.strip().lower().replace(" ", "_").replace("-", "_")


def _listed(frame: "pd.DataFrame") -> str:
    return ", ".join(map(str, frame.columns))


def _parse(frame: "pd.DataFrame") -> tuple[dict[str, np.ndarray], list[BadCell]]:
    """Columns as arrays, and every cell that cannot be used; the value of one that is text becomes NaN."""
    columns: dict[str, np.ndarray] = {}
    problems: list[BadCell] = []
    for name in frame.columns:
        values = frame[name].to_numpy()
        if name in POSITIVE_COLUMNS and values.dtype.kind not in "fiu":
            values, bad = _parse_text(name, values)
            problems += bad
        columns[name] = values.astype(float) if values.dtype.kind in "fiub" else np.array([str(v) for v in values])
    known = {(cell.row, cell.column) for cell in problems}
    missing = [cell for cell in bad_cells(columns) if (cell.row, cell.column) not in known]
    return columns, problems + missing


def _parse_text(name: str, values: np.ndarray) -> tuple[np.ndarray, list[BadCell]]:
    import pandas as pd

    numbers, problems = np.full(len(values), np.nan), []
    for index, value in enumerate(values):
        if value is None or value is pd.NA or value != value or not str(value).strip():
            continue  # missing: reported as such with the other numbers
        try:
            numbers[index] = parse_quantity(value)
        except DataError:
            problems.append(BadCell(index + 1, name, f"is text ({str(value)!r})"))
    return numbers, problems


def complete_6nd(columns: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[str]]:
    """The one column of params, tokens and flops that is absent, from the other two, with a note that says so.

    Where all three are there, nothing is added; the note then says if C leaves [0.5, 2] times 6 N D.
    """
    have = {"params", "tokens", "flops"} & set(columns)
    if have == {"params", "tokens", "flops"}:
        return {}, _mismatch(columns["flops"] / flops_6nd(columns["params"], columns["tokens"]))
    if have == {"params", "tokens"}:
        flops = flops_6nd(columns["params"], columns["tokens"])
        return {"flops": flops}, ["flops were computed as 6 N D"]
    if "flops" in have and len(have) == 2:
        (given,) = have - {"flops"}
        (absent,) = {"params", "tokens"} - {given}
        return {absent: share_6nd(columns["flops"], columns[given])}, [f"{absent} were computed from C = 6 N D"]
    return {}, []


def _mismatch(ratio: np.ndarray) -> list[str]:
    off = np.flatnonzero((ratio < 0.5) | (ratio > 2))
    if not off.size:
        return []
    rows = ", ".join(str(index + 1) for index in off[:10]) + (", ..." if off.size > 10 else "")
    return [
        f"flops are {ratio[off].min():.3g} to {ratio[off].max():.3g} times 6 N D in {off.size} row(s) ({rows}); "
        "check that params and tokens are counted as the compute is"
    ]


def _doubts(columns: Mapping[str, np.ndarray], name: str) -> list[str]:
    """What looks like a mistake but can be used: a sentence each, also given as a `DataWarning`."""
    doubts = [*_duplicates(columns), *_small_counts(columns)]
    for doubt in doubts:
        warnings.warn(f"{name}: {doubt}", DataWarning, stacklevel=5)
    return doubts


def _duplicates(columns: Mapping[str, np.ndarray]) -> list[str]:
    import pandas as pd

    rows = np.flatnonzero(pd.DataFrame(columns).duplicated().to_numpy())
    if not rows.size:
        return []
    listed = ", ".join(str(row + 1) for row in rows[:10]) + (", ..." if rows.size > 10 else "")
    return [f"{rows.size} row(s) repeat an earlier one exactly ({listed}): they count twice; remove copies"]


def _small_counts(columns: Mapping[str, np.ndarray]) -> list[str]:
    return [
        f"{name} are all below 1000: they look like millions or billions; write them out, or as 70B"
        for name in ("params", "tokens")
        if name in columns and columns[name].max() < 1e3
    ]
