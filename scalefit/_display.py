"""Tables for people: numbers written in their units, an interval beside or under its value, as text, HTML and LaTeX."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from scalefit._quantities import SELF_EVIDENT, quantity, to_latex, write
from scalefit.units import format_flops, percent

if TYPE_CHECKING:
    import pandas as pd

ROWS, SHOWN = 15, 12  # the most rows that are all shown, and how many are shown of more
WIDTH = 110
MIDDLES = ("median", "estimate", "mean")


class Table(NamedTuple):
    """A table as `summary` gives it, and what its names do not say.

    Parameters
    ----------
    frame
        Rows are quantities, with columns median (or estimate), lower and upper; or columns are quantities, with a
        second level median (or mean), lower and upper where they have intervals. A column "x_se" is the standard error
        of "x".
    units
        Quantity -> unit, where its name does not settle it.
    prob
        Probability of the intervals, where the result has them of one probability only.
    """

    frame: "pd.DataFrame"
    units: Mapping[str, str] = MappingProxyType({})
    prob: float | None = None


class Column(NamedTuple):
    """A column of texts: its name, its name in LaTeX, its values, and their intervals or errors ("" for none)."""

    name: str
    latex: str
    values: list[str]
    spreads: list[str]


def text_table(table: Table, prob: float) -> str:
    """The first and last rows of a long table, columns folded at `WIDTH` characters, then what an interval is."""
    note = _note(table, prob)
    return _framed(table).to_string(line_width=WIDTH) + (f"\n{note}" if note else "")


def html_table(table: Table, prob: float) -> str:
    """The first and last rows of a long table, every text escaped, then what an interval is."""
    note = _note(table, prob)
    return _framed(table).to_html(border=0) + (f"\n<p>{note}</p>" if note else "")


def latex_table(table: Table, prob: float) -> str:
    """A `tabular` of all rows, intervals in small type under their values."""
    columns, rows = _columns(table), _row_names(table.frame)
    labels = [quantity(name).symbol if _by_quantity(table.frame) else to_latex(name) for name in rows]
    head = [to_latex(str(table.frame.index.name or "")), *(column.latex for column in columns)]
    lines = [rf"\begin{{tabular}}{{l{'r' * len(columns)}}}", r"\toprule", " & ".join(head) + r" \\", r"\midrule"]
    for i, label in enumerate(labels):
        values, spreads = ([getattr(column, part)[i] for column in columns] for part in ("values", "spreads"))
        lines.append(" & ".join([label, *map(to_latex, values)]) + r" \\")
        if any(spreads):
            lines.append(
                " & ".join(["", *(rf"{{\scriptsize {to_latex(s)}}}" if s else "" for s in spreads)]) + r" \\[2pt]"
            )
    note = _note(table, prob)
    foot = [rf"\multicolumn{{{len(columns) + 1}}}{{l}}{{\scriptsize {to_latex(note)}}} \\"] if note else []
    return "\n".join([*lines, r"\bottomrule", *foot, r"\end{tabular}"])


def _framed(table: Table) -> "pd.DataFrame":
    """Texts with their intervals behind them, without the middle rows of a long table."""
    import pandas as pd

    frame, half = table.frame, SHOWN // 2
    long = len(frame) > ROWS
    shown = table._replace(frame=pd.concat([frame.iloc[:half], frame.iloc[-half:]]) if long else frame)
    cells = {
        column.name: [f"{value} {spread}".rstrip() for value, spread in zip(column.values, column.spreads, strict=True)]
        for column in _columns(shown)
    }
    texts = pd.DataFrame(cells, index=_row_names(shown.frame))
    if long:
        dots = pd.DataFrame("...", index=["..."], columns=texts.columns)
        texts = pd.concat([texts.iloc[:half], dots, texts.iloc[half:]])
    return texts.rename_axis(columns=", ".join(filter(None, frame.index.names)))


def _row_names(frame: "pd.DataFrame") -> list[str]:
    if frame.index.name == "flops":
        return [write(flops, "FLOP") for flops in frame.index]
    return [", ".join(map(str, row)) if isinstance(row, tuple) else str(row) for row in frame.index]


def _by_quantity(frame: "pd.DataFrame") -> bool:
    """Whether rows are quantities; else columns are."""
    return "lower" in frame.columns


def _note(table: Table, prob: float) -> str:
    frame = table.frame
    parts = {column[1] for column in frame.columns} if frame.columns.nlevels == 2 else set(frame.columns)
    if "lower" in parts:
        middle = next(name for name in ("estimate", "median", "mean") if name in parts)
        return f"{middle} [{percent(table.prob or prob)} interval]"
    return "mean ± standard error" if any(str(name).endswith("_se") for name in parts) else ""


def _columns(table: Table) -> list[Column]:
    return list(_of_quantity_rows(table) if _by_quantity(table.frame) else _of_quantity_columns(table))


def _of_quantity_rows(table: Table) -> Iterator[Column]:
    """Each row is written in its own unit."""
    frame = table.frame
    units = [quantity(str(row), table.units.get(str(row))).unit for row in frame.index]
    middle = "estimate" if "estimate" in frame.columns else "median"
    for name in (name for name in frame.columns if name not in ("lower", "upper")):
        own = units if name in MIDDLES else ["1"] * len(units)
        values, spreads = list(map(_written, frame[name], own)), [""] * len(units)
        if name == middle:
            spreads = list(map(_ends, frame["lower"], frame["upper"], own))
        yield Column(str(name), to_latex(str(name)), values, spreads)
    shown = ["" if unit in ("1", "share", "$") else unit for unit in units]
    if any(shown):
        yield Column("unit", "unit", shown, [""] * len(units))


def _of_quantity_columns(table: Table) -> Iterator[Column]:
    """Intervals are in a second level of the columns, standard errors in columns of their own."""
    frame = table.frame
    two_levels = frame.columns.nlevels == 2
    for name in dict.fromkeys(column[0] if two_levels else column for column in frame.columns):
        if str(name).endswith("_se"):
            continue
        known = quantity(str(name), table.units.get(str(name)))
        parts = {part: frame[name, part] for first, part in frame.columns if first == name} if two_levels else {}
        middle = next((parts[part] for part in (*MIDDLES, "") if part in parts), None)
        values = [_written(value, known.unit) for value in (frame[name] if middle is None else middle)]
        spreads = [""] * len(values)
        if "lower" in parts:
            spreads = [_ends(low, high, known.unit) for low, high in zip(parts["lower"], parts["upper"], strict=True)]
        elif f"{name}_se" in frame.columns:
            spreads = ["" if np.isnan(error) else f"± {_error(error, known.unit)}" for error in frame[f"{name}_se"]]
        unit = "" if known.unit in SELF_EVIDENT else f", {known.unit}"
        yield Column(f"{name}{unit}", f"{known.symbol}{to_latex(unit)}", values, spreads)


def _written(value: Any, unit: str) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return value if isinstance(value, str) else write(float(value), unit)


def _error(error: float, unit: str) -> str:
    return f"{error:.2%}" if unit == "share" else format_flops(error, 2)


def _ends(low: float, high: float, unit: str) -> str:
    return "" if np.isnan(low) else f"[{write(low, unit)}, {write(high, unit)}]"
