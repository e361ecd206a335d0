"""How results look in a terminal, and as JSON."""

import json
import math
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from scalefit.diagnostics.checks import Health


COUNTS = ("N_opt", "D_opt", "tokens")
MONEY, COMPUTE = ("wasted_money",), ("wasted_flops", "budget", "training", "serving", "total")
SHARES = ("wasted_compute", "saved", "wasted")


def print_json(document: Any) -> None:
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
    return {"verdict": health.verdict, "checks": [vars(check) for check in health.checks]}


def console() -> "Console":
    from rich.console import Console

    width = None if sys.stdout.isatty() else 160
    return Console(highlight=False, width=width, markup=False, emoji=False)


def say(out: "Console", words: str) -> None:
    """A paragraph, no wider than is pleasant to read."""
    out.print(words, width=min(110, out.width))


def cell_by_row(row: str, column: str, value: float) -> str:
    """A number as this quantity is read: counts with suffixes, shares in percent, the rest to four digits."""
    from scalefit.units import format_count, format_flops

    if not math.isfinite(value):
        return "–" if math.isnan(value) else "out of reach"
    if column.startswith("ess"):
        return f"{value:.0f}"
    if column == "r_hat":
        return f"{value:.3f}"
    if row.startswith(COUNTS):
        return format_count(value)
    if row in MONEY:
        return f"${format_count(value)}"
    if row in COMPUTE:
        return format_flops(value)
    return f"{value:.2%}" if row in SHARES else f"{value:.4g}"


def rich_table(table: "pd.DataFrame", title: str, cell: Any) -> Any:
    rows = [[str(row), *(cell(str(row), c, v) for c, v in values.items())] for row, values in table.iterrows()]
    return grid([str(table.index.name), *map(str, table.columns)], rows, title=title)


def grid(header: Iterable[str], rows: Iterable[list[str]], title: str | None = None, left: int = 1) -> Any:
    """A plain table: the first `left` columns aligned left, numbers right."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(name, justify="left" if index < left else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
