"""Tables for people: numbers written in their units, an interval beside or under its value, as text, HTML and LaTeX."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import escape
from typing import Any, NamedTuple

import numpy as np

from scalefit._digits import written
from scalefit._quantities import SELF_EVIDENT, quantity, to_latex, unit_in, write
from scalefit._tables import Table
from scalefit.units import format_flops, percent

ROWS, SHOWN = 15, 12  # the most rows that are all shown, and how many are shown of more
WIDTH = 110
MIDDLES = ("estimate", "median", "mean")


class Column(NamedTuple):
    """A column of texts: its name, its name in LaTeX, its values, and their intervals or errors ("" for none)."""

    name: str
    latex: str
    values: list[str]
    spreads: list[str]


def text_table(table: Table, prob: float) -> str:
    """The first and last rows of a long table, columns folded at `WIDTH` characters, then what an interval is."""
    left, *columns = _shortened(table)
    widths = [max(map(len, column)) for column in (left, *columns)]
    blocks: list[list[int]] = [[]]
    for index in range(1, len(widths)):
        if blocks[-1] and widths[0] + sum(widths[i] + 2 for i in (*blocks[-1], index)) > WIDTH:
            blocks.append([])
        blocks[-1].append(index)
    texts = [left, *columns]
    lines = []
    for block in blocks:
        for row in range(len(left)):
            cells = [texts[i][row].rjust(widths[i]) for i in block]
            lines.append("  ".join([left[row].ljust(widths[0]), *cells]).rstrip())
        lines.append("")
    return "\n".join([*lines[:-1], *filter(None, [_note(table, prob)])])


def html_table(table: Table, prob: float) -> str:
    """The first and last rows of a long table, every text escaped, then what an interval is."""
    texts = [[escape(text) for text in column] for column in _shortened(table)]
    head, *rows = zip(*texts, strict=True)
    header = "".join(f"<th>{name}</th>" for name in head)
    body = "\n".join(f"<tr><th>{row[0]}</th>{''.join(f'<td>{cell}</td>' for cell in row[1:])}</tr>" for row in rows)
    note = _note(table, prob)
    caption = f"\n<p>{escape(note)}</p>" if note else ""
    return f"<table>\n<thead><tr>{header}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>{caption}"


def latex_table(table: Table, prob: float) -> str:
    """A `tabular` of all rows, intervals in small type under their values."""
    columns, names = _columns(table), _row_names(table)
    labels = [quantity(name).symbol if _by_quantity(table) else to_latex(name) for name in names]
    head = [to_latex(table.of), *(column.latex for column in columns)]
    lines = [rf"\begin{{tabular}}{{l{'r' * len(columns)}}}", r"\toprule", " & ".join(head) + r" \\", r"\midrule"]
    for i, label in enumerate(labels):
        values, spreads = ([getattr(column, part)[i] for column in columns] for part in ("values", "spreads"))
        lines.append(" & ".join([label, *map(to_latex, values)]) + r" \\")
        if any(spreads):
            small = [rf"{{\scriptsize {to_latex(spread)}}}" if spread else "" for spread in spreads]
            lines.append(" & ".join(["", *small]) + r" \\[2pt]")
    note = _note(table, prob)
    foot = [rf"\multicolumn{{{len(columns) + 1}}}{{l}}{{\scriptsize {to_latex(note)}}} \\"] if note else []
    return "\n".join([*lines, r"\bottomrule", *foot, r"\end{tabular}"])


def _shortened(table: Table) -> list[list[str]]:
    """Columns of texts, row names first, headers on top, without the middle rows of a long table."""
    count, half = len(table.rows), SHOWN // 2
    if count > ROWS:
        rows = [*range(half), *range(count - half, count)]
        taken = {name: [values[i] for i in rows] for name, values in table.columns.items()}
        table = replace(table, rows=[table.rows[i] for i in rows], columns=taken)
    texts = [[table.of, *_row_names(table)]]
    for column in _columns(table):
        cells = zip(column.values, column.spreads, strict=True)
        texts.append([column.name, *(f"{value} {spread}".rstrip() for value, spread in cells)])
    if count > ROWS:
        texts = [[*column[: half + 1], "...", *column[half + 1 :]] for column in texts]
    return texts


def _row_names(table: Table) -> list[str]:
    return [write(row, "FLOP") if table.of == "flops" else str(row) for row in table.rows]


def _by_quantity(table: Table) -> bool:
    """Whether rows are quantities; else columns are."""
    return "lower" in table.columns


def _note(table: Table, prob: float) -> str:
    parts = {key[1] if isinstance(key, tuple) else key for key in table.columns}
    if "lower" in parts:
        middle = next(name for name in MIDDLES if name in parts)
        return f"{middle} [{percent(table.prob or prob)} interval]"
    return "mean ± standard error" if any(str(name).endswith("_se") for name in parts) else ""


def _columns(table: Table) -> list[Column]:
    return list(_of_quantity_rows(table) if _by_quantity(table) else _of_quantity_columns(table))


def _of_quantity_rows(table: Table) -> Iterator[Column]:
    """Each row is written in its own unit."""
    units = [quantity(str(row), unit_in(table.units, str(row))).unit for row in table.rows]
    middle = next(name for name in MIDDLES if name in table.columns)
    for name in (name for name in table.columns if name not in ("lower", "upper")):
        own = units if name in MIDDLES else ["1"] * len(units)
        if name in MIDDLES:
            ends = zip(table.columns[name], table.columns["lower"], table.columns["upper"], strict=True)
            values, spreads = map(list, zip(*map(_with_interval, ends, own), strict=True))
            spreads = spreads if name == middle else [""] * len(units)
        else:
            values, spreads = list(map(_written, table.columns[name], own)), [""] * len(units)
        yield Column(str(name), to_latex(str(name)), values, spreads)
    shown = ["" if unit in ("1", "share", "$") else unit for unit in units]
    if any(shown):
        yield Column("unit", "unit", shown, [""] * len(units))


def _of_quantity_columns(table: Table) -> Iterator[Column]:
    """Intervals are parts of a column, standard errors columns of their own."""
    parts: dict[str, dict[str, Sequence[Any]]] = {}
    for key, values in table.columns.items():
        name, part = key if isinstance(key, tuple) else (key, "")
        parts.setdefault(name, {})[part] = values
    for name, found in parts.items():
        if name.endswith("_se"):
            continue
        known = quantity(name, unit_in(table.units, name))
        middle = next(found[part] for part in (*MIDDLES, "") if part in found)
        values, spreads = [_written(value, known.unit) for value in middle], [""] * len(middle)
        if "lower" in found:
            ends = zip(middle, found["lower"], found["upper"], strict=True)
            values, spreads = map(list, zip(*(_with_interval(each, known.unit) for each in ends), strict=True))
        elif f"{name}_se" in parts:
            spreads = [_error(error, known.unit) for error in parts[f"{name}_se"][""]]
        unit = "" if known.unit in SELF_EVIDENT else f", {known.unit}"
        yield Column(f"{name}{unit}", f"{known.symbol}{to_latex(unit)}", values, spreads)


def _written(value: Any, unit: str) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return value if isinstance(value, str) else write(float(value), unit)


def _error(error: float, unit: str) -> str:
    if np.isnan(error):
        return ""
    return f"± {100 * error:.2g}%" if unit == "share" else f"± {format_flops(error, 2)}"


def _with_interval(ends: tuple[float, float, float], unit: str) -> tuple[str, str]:
    """A value, and its interval in brackets where there is one."""
    value, low, high = written(np.array(ends, dtype=float), lambda number: write(number, unit))
    return value, "" if np.isnan(ends[1]) else f"[{low}, {high}]"
