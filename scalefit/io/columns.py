"""Names of columns: which column of a table is params, tokens, flops or loss, and which convention N is counted by.

A column is recognised by its name if that is one of `COMMON_NAMES`, whatever its case, with spaces and dashes as
underscores. Two candidates for one quantity are an error; a mapping given by argument decides. A column whose name is
one of `CONVENTION_NAMES`, such as `params_non_embedding`, states what it counts: it is N where no column is plainly N,
or where its convention is chosen.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from scalefit.counting import CONVENTIONS, check_convention, refuse_mix
from scalefit.errors import DataError

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
    convention: tuple(
        pattern.format(convention)
        for pattern in ("params_{}", "{}_params", "n_{}", "n_params_{}", "{}_parameters", "parameters_{}")
    )
    for convention in CONVENTIONS
}
"""Convention of counting N -> the names of columns of parameters that state it."""


def choose_params(
    frame: "pd.DataFrame", mapping: Mapping[str, str], convention: str | None, table: str
) -> tuple[dict[str, str], str | None]:
    """Choose the column that is N, and the convention it is counted by.

    Parameters
    ----------
    frame
        The table.
    mapping
        Canonical column -> the table's own name, where the user gave one.
    convention
        What N is to count; None leaves it to the names of the columns.
    table
        What the table is called.

    Returns
    -------
    mapping : dict
        As given, with "params" added where the name of its column states the convention.
    convention : str or None
        What N counts; None where it is not stated.

    Raises
    ------
    DataError
        Several columns could be N, or the chosen one counts by another convention.
    OptionError
        The convention is unknown.
    """
    if convention is not None:
        check_convention(convention)
    chosen = dict(mapping)
    if "params" not in chosen and (telling := _telling_column(frame, convention, table)):
        chosen["params"] = telling
    if "params" not in chosen:
        return chosen, convention
    stated = _stated_convention(chosen["params"])
    refuse_mix(convention, stated, f"column {chosen['params']!r} of {table}")
    return chosen, convention or stated


def _telling_column(frame: "pd.DataFrame", convention: str | None, table: str) -> str | None:
    """The column that is N because its name states the convention, None where there is no need of one."""
    telling = [c for c in frame.columns if _stated_convention(c) is not None]
    if wanted := [c for c in telling if _stated_convention(c) == convention]:
        telling = wanted
    elif any(_normalised(c) in COMMON_NAMES["params"] for c in frame.columns):
        return None
    return _only_candidate(telling, "params", table)


def _stated_convention(column: str) -> str | None:
    return next((kind for kind, names in CONVENTION_NAMES.items() if _normalised(column) in names), None)


def rename(frame: "pd.DataFrame", mapping: Mapping[str, str], wanted: set[str], table: str) -> "pd.DataFrame":
    """Give columns their canonical names.

    Parameters
    ----------
    frame
        The table.
    mapping
        Canonical column -> the table's own name, where the user gave one.
    wanted
        Canonical columns to look for.
    table
        What the table is called.

    Returns
    -------
    pandas.DataFrame
        The frame with the wanted columns that it has under their canonical names.

    Raises
    ------
    DataError
        A mapped column is absent or no loss, a column is mapped twice, or several columns could be one quantity.
    """
    sources: dict[str, str] = {}
    for canonical in sorted(wanted):
        column = _choose(frame, canonical, mapping, table)
        if column is None:
            continue
        if column in sources:
            raise DataError(
                f"{table}: column {column!r} is mapped to {sources[column]} and to {canonical}. Map it once."
            )
        sources[column] = canonical
    # A column that only shares a canonical name, while another was mapped to it, would otherwise come twice.
    shadowed = [c for c in frame.columns if c in sources.values() and c not in sources]
    return frame.drop(columns=shadowed).rename(columns=sources)


def _choose(frame: "pd.DataFrame", canonical: str, mapping: Mapping[str, str], table: str) -> str | None:
    """The table's own name of a canonical column, None where it has no such column."""
    if canonical not in mapping:
        names = COMMON_NAMES.get(canonical, (canonical,))
        candidates = [c for c in frame.columns if _normalised(c) in names and c not in mapping.values()]
        return _only_candidate(candidates, canonical, table)
    column = mapping[canonical]
    if column not in frame.columns:
        raise DataError(
            f"{table} has no column {column!r} for {canonical}, only {', '.join(frame.columns)}. Correct the name."
        )
    if canonical == "loss" and re.search("ppl|perplexity", _normalised(column)):
        raise DataError(f"{table}: column {column!r} is a perplexity. Take its logarithm, which is the loss in nats.")
    if canonical == "loss" and re.search("accuracy|acc$", _normalised(column)):
        raise DataError(f"{table}: column {column!r} is an accuracy. Give a loss in nats per token.")
    return column


def _only_candidate(candidates: list[str], canonical: str, table: str) -> str | None:
    if len(candidates) > 1:
        raise DataError(
            f"{table}: columns {' and '.join(map(repr, candidates))} could each be {canonical}. "
            f"Choose one, as in {canonical}={candidates[0]!r} (--{canonical} on the command line)."
        )
    return candidates[0] if candidates else None


def _normalised(column: str) -> str:
    return column.strip().lower().replace(" ", "_").replace("-", "_")
