"""Columns of a table: which is params, tokens, flops, loss, and the state of the run; and which convention N is by.

Names and their order of preference are in `aliases`. Two candidates that come equally far up are an error; a mapping
given by argument decides. A column whose name states what it counts, such as `params_non_embedding`, is N where no
column is plainly N, or where its convention is chosen; `active_params` beside N is kept.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scalefit.counting import check_convention, refuse_mix
from scalefit.errors import DataError, listed, quoted
from scalefit.io.aliases import COMMON_NAMES, is_log_likelihood, looks_like, recognise, stated_convention
from scalefit.io.names import column_called, read_name
from scalefit.loss_units import NATS, read_unit, unit_of_column

if TYPE_CHECKING:
    import pandas as pd

COUNTED = ("params", "tokens", "flops", "unique_tokens", "active_params")  # whose names may state a unit


@dataclass(frozen=True)
class Chosen:
    """Which column is what.

    Parameters
    ----------
    sources
        Canonical column -> the table's own name.
    factors
        Canonical column -> what its name says its values are in, where that is not 1.
    convention
        What N counts; None where it is not stated.
    given
        Canonical columns that the user mapped.
    unit
        Of the loss.
    """

    sources: Mapping[str, str]
    factors: Mapping[str, float] = field(default_factory=dict)
    convention: str | None = None
    given: frozenset[str] = frozenset()
    unit: str = NATS

    def column(self, canonical: str) -> str:
        """A canonical column as errors call it: with the table's own name where that differs."""
        own = self.sources.get(canonical, canonical)
        return canonical if own == canonical else f"{canonical} (column {quoted(own)})"


def choose(
    columns: list[str],
    mapping: Mapping[str, str],
    convention: str | None,
    wanted: set[str],
    table: str,
    unit: str | None = None,
) -> Chosen:
    """Choose the columns of a table.

    Parameters
    ----------
    columns
        The names of all.
    mapping
        Canonical column -> the table's own name, where the user gave one.
    convention
        What N is to count; None leaves it to the names of the columns.
    wanted
        Canonical columns to look for.
    table
        What the table is called.
    unit
        Of the loss; None leaves it to the name of its column.

    Returns
    -------
    Chosen
        The columns there are of those wanted.

    Raises
    ------
    DataError
        A mapped column is absent or no loss, a column is mapped twice, several columns could be one quantity, or N is
        counted by another convention.
    OptionError
        The convention is unknown.
    """
    if convention is not None:
        check_convention(convention)
    sources = {canonical: _given(columns, canonical, own, table, unit) for canonical, own in mapping.items()}
    free = [column for column in columns if column not in sources.values()]
    candidates = _candidates(free)
    telling = {column: kind for column in free if (kind := stated_convention(column))}
    if "params" in wanted - set(sources) and (own := _telling(telling, convention, "params" in candidates, table)):
        sources["params"] = own
    for canonical in sorted(wanted - set(sources)):
        found = candidates.get(canonical, []) if canonical in COMMON_NAMES else [c for c in free if c == canonical]
        if own := _only(found, canonical, table):
            sources[canonical] = own
    _refuse_twice(sources, table)
    if "flops" in wanted - set(sources) and {"params", "tokens"} <= set(sources):
        likely = [column for column in free if looks_like(column) == "flops"]
        sources |= {"flops": likely[0]} if len(likely) == 1 else {}
    if "params" in wanted and "active_params" not in sources:
        active = [column for column, kind in telling.items() if kind == "active" and column not in sources.values()]
        sources |= {"active_params": active[0]} if len(active) == 1 else {}
    stated = stated_convention(sources["params"]) if "params" in sources else None
    if "params" in sources:
        refuse_mix(convention, stated, f"column {quoted(sources['params'])} of {table}")
    factors = {name: read_name(own).factor for name, own in sources.items() if name in COUNTED}
    factors = {name: factor for name, factor in factors.items() if factor != 1.0}
    return Chosen(sources, factors, convention or stated, frozenset(mapping), _unit(sources, unit))


def _unit(sources: Mapping[str, str], given: str | None) -> str:
    """That of the loss: as given, or as its column's name states."""
    if given is not None:
        return read_unit(given)
    own = sources.get("loss", "loss")
    found = recognise(own)
    known = looks_like(own) == "loss" or (found is not None and found[0] == "loss")
    return unit_of_column(own, known or is_log_likelihood(own))


def _candidates(columns: list[str]) -> dict[str, list[str]]:
    """Canonical column -> the columns whose names come first in its list."""
    best: dict[str, tuple[int, list[str]]] = {}
    for column in columns:
        if (found := recognise(column)) is None:
            continue
        canonical, tier = found
        if canonical not in best or tier < best[canonical][0]:
            best[canonical] = (tier, [column])
        elif tier == best[canonical][0]:
            best[canonical][1].append(column)
    return {canonical: found for canonical, (_, found) in best.items()}


def _telling(telling: Mapping[str, str], convention: str | None, plain: bool, table: str) -> str | None:
    """The column that is N because its name states the convention, None where there is no need of one."""
    kinds = list(telling)
    if wanted := [column for column in kinds if telling[column] == convention]:
        kinds = wanted
    elif plain:
        return None
    elif {*telling.values()} == {"total", "active"}:
        kinds = [column for column in kinds if telling[column] == "total"]
    return _only(kinds, "params", table)


def _given(columns: list[str], canonical: str, own: str, table: str, unit: str | None) -> str:
    """The column that a user named."""
    column = column_called(own, columns)
    if column is None:
        raise DataError(
            f"{table} has no column {quoted(own)} for {canonical}, only {listed(columns, 20)}. Correct the name."
        )
    leaf = read_name(column).leaf
    if canonical == "loss" and unit is None and re.search("ppl|perplexity", leaf):
        raise DataError(
            f"{table}: column {quoted(column)} is a perplexity. Take its logarithm, which is the loss in nats."
        )
    if canonical == "loss" and re.search("accuracy|acc$", leaf):
        raise DataError(f"{table}: column {quoted(column)} is an accuracy. Give a loss, which falls as models improve.")
    return column


def _only(candidates: list[str], canonical: str, table: str) -> str | None:
    if len(candidates) > 1:
        raise DataError(
            f"{table}: columns {' and '.join(quoted(name) for name in candidates[:10])} could each be {canonical}. "
            f"Choose one, as in {canonical}={quoted(candidates[0])} (--{canonical} on the command line)."
        )
    return candidates[0] if candidates else None


def _refuse_twice(sources: Mapping[str, str], table: str) -> None:
    seen: dict[str, str] = {}
    for canonical, own in sources.items():
        if own in seen:
            raise DataError(f"{table}: column {quoted(own)} is mapped to {seen[own]} and to {canonical}. Map it once.")
        seen[own] = canonical


def no_loss(columns: list[str], table: str) -> str:
    """That no column is a loss, and which may be made one."""
    if likely := [column for column in columns if re.search("(^|_)(ppl|perplexity)(_|$)", read_name(column).leaf)]:
        return (
            f"{table}: no column is a loss, and {quoted(likely[0])} is a perplexity. "
            "Add a column with its logarithm, which is the loss in nats."
        )
    return (
        f"{table}: none of the columns {listed(columns, 20)} is a loss. "
        "Name it, as in loss='final_loss' (--loss on the command line)."
    )


def rename(frame: "pd.DataFrame", chosen: Chosen) -> "pd.DataFrame":
    """The frame with the chosen columns under their canonical names.

    A column that only shares a canonical name, while another was chosen for it, is left out: it would come twice.
    """
    sources = {own: canonical for canonical, own in chosen.sources.items()}
    shadowed = [name for name in frame.columns if name in chosen.sources and name not in sources]
    return frame.drop(columns=shadowed).rename(columns=sources)


def _is_indirect(own: str) -> bool:
    found = recognise(own)
    return stated_convention(own) is None and (found is None or found[1] > 0 or len(read_name(own).pieces) > 1)


def _is_number(column: Any) -> bool:
    return column.dtype.kind == "f" and bool(column.notna().any())


def column_notes(frame: "pd.DataFrame", chosen: Chosen) -> list[str]:
    """What names were understood as, and which columns look like a quantity and are not used.

    Parameters
    ----------
    frame
        The table under its own names.
    chosen
        Its columns.

    Returns
    -------
    list of str
        At most a sentence of each kind.
    """
    notes = [
        f"{name} are read from column {quoted(chosen.sources[name])}, times {factor:g}"
        for name, factor in chosen.factors.items()
    ]
    derived = {
        name: own
        for name, own in chosen.sources.items()
        if name in COMMON_NAMES and name not in {*chosen.given, *chosen.factors} and _is_indirect(own)
    }
    if derived:
        notes.append("; ".join(f"{name}: column {quoted(own)}" for name, own in derived.items()))
    used = set(chosen.sources.values())
    likely = {column: looks_like(column) for column in frame.columns if column not in used}
    unused = {column: quantity for column, quantity in likely.items() if quantity and _is_number(frame[column])}
    if unused:
        names = listed([f"{quoted(column)} ({quantity})" for column, quantity in unused.items()], 5)
        notes.append(f"not used, though the name looks like it: {names}")
    return notes
