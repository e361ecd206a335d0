"""From a file, a DataFrame or a dict of arrays to `Runs`. pandas lives here.

Column names. A column is taken for what it is called, whatever its case, with spaces and dashes read as
underscores, if it is one of `COMMON_NAMES`; two candidates for one quantity are an error, a mapping by argument
decides. Two of params, tokens and flops give the third by C = 6 N D. A column called `params_non_embedding` (or
another of `CONVENTION_NAMES`) says what it counts: it is N where nothing else is, or where that is asked for.
"""

import re
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from scalefit.counting import CONVENTIONS, check_convention, flops_6nd, refuse_mix, tokens_for_6nd
from scalefit.errors import DataError, DataWarning
from scalefit.runs import POSITIVE_COLUMNS, BadCell, bad_cells
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
        return {absent: tokens_for_6nd(columns["flops"], columns[given])}, [f"{absent} were computed from C = 6 N D"]
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
