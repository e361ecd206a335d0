"""What tables are made of: draws become intervals here, and intervals rows and columns."""

from typing import TYPE_CHECKING, Any

import numpy as np

from scalefit._intervals import interval

if TYPE_CHECKING:
    import pandas as pd

INTERVAL = ["median", "lower", "upper"]


def draws_table(draws: dict[str, np.ndarray], prob: float = 0.9, mean: bool = False) -> "pd.DataFrame":
    """Rows: quantities given as draws (draw,). Columns: median, lower, upper; the mean first where asked for."""
    import pandas as pd

    rows = {name: dict(zip(INTERVAL, interval(values, prob), strict=True)) for name, values in draws.items()}
    if mean:
        rows = {name: {"mean": draws[name].mean(), **row} for name, row in rows.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("quantity")


def estimate(values: np.ndarray, prob: float) -> np.ndarray:
    """The first entry of (1 + resample,) and the interval of all: (3,) as `interval` gives them."""
    return np.append(values[0], interval(values, prob)[1:])


def estimate_table(quantities: dict[str, np.ndarray], prob: float = 0.9) -> "pd.DataFrame":
    """Rows: quantities, first entry the estimate, the others its resamples; columns estimate, lower, upper."""
    import pandas as pd

    columns = ("estimate", "lower", "upper")
    rows = {name: dict(zip(columns, estimate(values, prob), strict=True)) for name, values in quantities.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("quantity")


def interval_columns(name: str, found: np.ndarray) -> dict[tuple[str, str], Any]:
    """Median, lower and upper under the name of their quantity."""
    return {(name, statistic): value for statistic, value in zip(INTERVAL, found, strict=True)}


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
