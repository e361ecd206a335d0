"""The runs of each recipe, from whatever a user gives."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from scalefit.errors import DataError, OptionError, listed
from scalefit.io.read import read_runs
from scalefit.loss_units import NATS
from scalefit.runs import Runs


def read_recipes(
    source: Any, by: str, baseline: str | None, losses: Sequence[str] | None
) -> tuple[tuple[str, ...], tuple[Runs, ...]]:
    """Names and runs of all recipes, the baseline's first, the others in order of appearance.

    Raises
    ------
    DataError
        There are fewer than two, or a column is absent.
    OptionError
        The baseline is none of them, or loss columns are given for several tables.
    """
    if losses is not None:
        found = _by_loss(source, losses)
    elif isinstance(source, Mapping) and not _is_table(source):
        found = {str(name): replace(read_runs(table, name=str(name)), name=str(name)) for name, table in source.items()}
    else:
        found = _by_column(source, by)
    if not all(name.strip() for name in found):
        raise DataError("a recipe has an empty name. Name it.")
    if len(found) < 2:
        raise DataError(f"{next(iter(found))} is the only recipe. Give the runs of at least two.")
    if baseline is None:
        baseline = max(found, key=lambda name: len(found[name]))
    if baseline not in found:
        raise OptionError(f"the baseline {baseline!r} is none of the recipes. Choose from {listed(found, 20)}.")
    names = (baseline, *(name for name in found if name != baseline))
    return names, tuple(found[name] for name in names)


def _is_table(source: Mapping[str, Any]) -> bool:
    """Whether a mapping is the columns of one table, and not tables by name."""
    return all(isinstance(values, list | tuple | np.ndarray) and np.ndim(values) == 1 for values in source.values())


def _by_column(source: Any, by: str) -> dict[str, Runs]:
    # As "recipe" whatever it is called: a column may have the name of an option, such as "name" or "format".
    values = (runs := source)[by] if isinstance(source, Runs) else (runs := read_runs(source, recipe=by))["recipe"]
    named = [f"{value:g}" if values.dtype.kind == "f" else str(value).strip() for value in values]
    if rows := [i + 1 for i, name in enumerate(named) if name in ("", "nan")]:
        raise DataError(f"{runs.name}: {len(rows)} run(s) have no {by} ({listed(rows, 10)}). Fill in that column.")
    order = dict.fromkeys(named)
    chosen = {name: np.array([value == name for value in named]) for name in order}
    return {name: replace(runs.subset(keep), name=name) for name, keep in chosen.items()}


def _by_loss(source: Any, losses: Sequence[str]) -> dict[str, Runs]:
    if isinstance(source, Runs) or (isinstance(source, Mapping) and not _is_table(source)):
        raise OptionError("loss=[...] names columns of one table that is read now. Give a file or a data frame.")
    if isinstance(losses, str) or len(set(losses)) != len(losses):
        raise OptionError("loss is a list of different columns, as in loss=['math', 'code'].")
    found = {name: read_runs(source, loss=name, name=name) for name in losses}
    # A column that is called by its evaluation states no unit.
    return {name: replace(runs, unit=NATS) if runs.unit == name else runs for name, runs in found.items()}
