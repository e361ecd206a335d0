"""What tables are made of: draws become intervals here, and intervals rows and columns; pandas only for a frame."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from scalefit._intervals import interval
from scalefit._quantities import loss_units

if TYPE_CHECKING:
    import pandas as pd

INTERVAL = ["median", "lower", "upper"]


@dataclass(frozen=True, eq=False)
class Table:
    """A table that is a data frame only when one is asked for: importing pandas takes a second.

    Parameters
    ----------
    of
        What a row is.
    rows
        Their labels, a list or an array.
    columns
        Name, or (name, part), -> a value a row. Either rows are quantities, with columns median (or estimate), lower
        and upper; or columns are quantities, with the parts median (or mean), lower and upper, or "" for a value alone.
        A column "x_se" is the standard error of "x".
    units
        Quantity -> unit, where its name does not settle it.
    prob
        Probability of the intervals, where they are of one probability only.
    """

    of: str
    rows: Any
    columns: Mapping[Any, Any]
    units: Mapping[str, str] = field(default_factory=dict)
    prob: float | None = None

    def frame(self) -> "pd.DataFrame":
        """The table as a data frame, with two levels of columns where they have parts."""
        import pandas as pd

        return pd.DataFrame(dict(self.columns), index=pd.Index(self.rows, name=self.of))

    def only(self, names: Iterable[str]) -> "Table":
        """The same with these columns, in their order."""
        chosen = [key for name in names for key in self.columns if name == (key[0] if isinstance(key, tuple) else key)]
        return replace(self, columns={key: self.columns[key] for key in chosen})

    def in_units(self, units: Mapping[str, str]) -> "Table":
        """The same with the units of some quantities."""
        return replace(self, units={**self.units, **units})

    def loss_in(self, unit: str) -> "Table":
        """The same with losses in a unit."""
        return replace(self, units={**loss_units(unit), **self.units})


def draws_table(draws: Mapping[str, np.ndarray], prob: float = 0.9, mean: bool = False) -> Table:
    """Rows: quantities given as draws (draw,). Columns: median, lower, upper; the mean first where asked for."""
    ends = np.array([interval(values, prob) for values in draws.values()]).T
    columns = {"mean": np.array([values.mean() for values in draws.values()])} if mean else {}
    return Table("quantity", list(draws), columns | dict(zip(INTERVAL, ends, strict=True)))


def estimate(values: Float[np.ndarray, " resample"], prob: float) -> Float[np.ndarray, "3"]:
    """The first entry, an estimate, and the interval of all, its resamples: as `interval` gives them."""
    return np.append(values[0], interval(values, prob)[1:])


def estimate_table(quantities: Mapping[str, np.ndarray], prob: float = 0.9) -> Table:
    """Rows: quantities, first entry the estimate, the others its resamples; columns estimate, lower, upper."""
    ends = np.array([estimate(values, prob) for values in quantities.values()]).T
    return Table("quantity", list(quantities), dict(zip(("estimate", "lower", "upper"), ends, strict=True)))


def by_rows(of: str, rows: Mapping[Any, Mapping[Any, Any]]) -> Table:
    """A table from its rows, label -> column -> value; a column that a row lacks is NaN there."""
    names = dict.fromkeys(name for row in rows.values() for name in row)
    columns = {name: [row.get(name, float("nan")) for row in rows.values()] for name in names}
    return Table(of, list(rows), columns)


def interval_columns(name: str, ends: Float[np.ndarray, "3 ..."]) -> dict[tuple[str, str], Any]:
    """Median, lower and upper under the name of their quantity."""
    return {(name, statistic): value for statistic, value in zip(INTERVAL, ends, strict=True)}


def two_level(rows: dict[Any, dict[tuple[str, str], Any]], index: str) -> "pd.DataFrame":
    """Rows by key, columns (name, part) -> value, under an index of that name."""
    import pandas as pd

    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis(index)
    return table.set_axis(pd.MultiIndex.from_tuples(table.columns), axis=1)


def json_ready(table: "pd.DataFrame") -> dict[str, Any]:
    """A table as nested dictionaries of plain numbers, outer key the row."""
    return {
        _flat(row): {_flat(column): _plain(value) for column, value in values.items()}
        for row, values in table.to_dict("index").items()
    }


def _flat(column: Any) -> str:
    return "_".join(filter(None, column)) if isinstance(column, tuple) else str(column)


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else float(value)
