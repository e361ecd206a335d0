"""How results look in a terminal, and as JSON."""

import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from rich.console import Console

    from scalefit.diagnostics.checks import Health

WIDE = 160  # columns where standard output is no terminal and COLUMNS is not set
READABLE = 110
NONE = "–"
GAP = 3  # blanks between two columns, and about the table
WRAPPED = 36  # columns for a text beside the first column, which wraps
COLUMN_FORMATS = {"ess_bulk": ".0f", "ess_tail": ".0f", "r_hat": ".3f"}


def print_json(document: Any) -> None:
    """Print one document."""
    print(json.dumps(_finite(document), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    """The same document with null where a number is not finite, since JSON has no other word for it."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, str | bool | int | None):
        return value
    return float(value) if math.isfinite(value) else None


def health_json(health: "Health") -> dict[str, Any]:
    """The verdict and every check."""
    return {"verdict": health.verdict, "checks": [vars(check) for check in health.checks]}


def interval_json(ends: "np.ndarray") -> dict[str, float]:
    """Median, lower and upper, (3,), by name."""
    return dict(zip(("median", "lower", "upper"), map(float, ends), strict=True))


def rows_json(table: "pd.DataFrame", name: str) -> list[dict[str, Any]]:
    """The rows of a table whose index is a number, which is called `name` there."""
    from scalefit._tables import json_ready

    return [{name: float(key), **row} for key, row in zip(table.index, json_ready(table).values(), strict=True)]


def console() -> "Console":
    """Standard output, as wide as the terminal or COLUMNS."""
    from rich.console import Console

    known = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return Console(highlight=False, width=None if known else WIDE, markup=False, emoji=False)


def say(out: "Console", words: str) -> None:
    """Print a paragraph, no wider than is pleasant to read."""
    out.print(words, width=min(READABLE, out.width))


def print_quantities(
    out: "Console", table: "pd.DataFrame", title: str, units: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Print a table of quantities, one a row, each in its unit: that of `units`, or that of its name."""
    from scalefit._quantities import quantity, unit_in

    if "r_hat" in table and table["r_hat"].isna().all():
        table = table.drop(columns="r_hat")  # there is none of one weighted sample
    rows = []
    for row, values in table.iterrows():
        unit = quantity(str(row), unit_in(units, str(row))).unit
        cells = {column: _cell(value, unit, str(column)) for column, value in values.items()}
        rows.append([str(row), *(cells | _interval_cells(values, unit)).values()])
    print_grid(out, [str(table.index.name or ""), *map(str, table.columns)], rows, title)


def _interval_cells(values: "pd.Series[float]", unit: str) -> dict[str, str]:
    """Those of a row's numbers that have an interval."""
    from scalefit._digits import written

    cells: dict[str, str] = {}
    for name in (name for name in ("estimate", "mean", "median") if name in values and "lower" in values):
        ends = values[[name, "lower", "upper"]].to_numpy(float)
        if math.isfinite(ends[0]):
            cells |= zip((name, "lower", "upper"), written(ends, lambda value: _cell(value, unit, "")), strict=True)
    return cells


def _cell(value: float, unit: str, column: str) -> str:
    from scalefit._quantities import write

    if math.isinf(value):
        return "out of reach"
    return number(
        value, lambda known: format(known, COLUMN_FORMATS[column]) if column in COLUMN_FORMATS else write(known, unit)
    )


def number(value: float, form: Callable[[float], str]) -> str:
    """A number in a form; a dash where there is none."""
    return NONE if math.isnan(value) else form(value)


def interval_cell(ends: Any, form: Any) -> str:
    """The median over its interval; a number alone where it has none, or where all three read alike."""
    import numpy as np

    from scalefit._digits import written

    middle, low, high = written(np.asarray(ends, float), lambda value: "" if math.isnan(value) else form(value))
    return middle if low == high == middle or not low else f"{middle}\n[{low}, {high}]"


def print_grid(
    out: "Console", header: Iterable[str], rows: Iterable[list[str]], title: str = "", left: int = 1
) -> None:
    """Print a plain table under its title, the first `left` columns aligned left, numbers right.

    One that is wider than the terminal is printed in parts, the first column in each of them.
    """
    from rich import box
    from rich.table import Table

    if title:
        say(out, title)
    columns = list(zip(header, *rows, strict=True))
    for part in _parts(columns, left, out.width):
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in part:
            text = column in columns[:left]
            table.add_column(column[0], justify="left" if text else "right", overflow="fold")
        for row in zip(*(column[1:] for column in part), strict=True):
            table.add_row(*row)
        out.print(table)


def _parts(columns: list[tuple[str, ...]], left: int, room: int) -> list[list[tuple[str, ...]]]:
    """The columns of each part of a table."""
    widths = [GAP + max(len(line) for cell in column for line in cell.splitlines() or [""]) for column in columns]
    widths[1:left] = [min(width, WRAPPED) for width in widths[1:left]]
    parts, used = [columns[:left]], sum(widths[:left])
    for column, width in zip(columns[left:], widths[left:], strict=True):
        if used + width > room and used > sum(widths[:left]):
            parts.append(columns[:1])
            used = widths[0]
        parts[-1] = [*parts[-1], column]
        used += width
    return parts
