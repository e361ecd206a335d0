"""Tables of one padded length as arrays, one table after the other."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from scalefit.model.clusters import Clusters, Layout
from scalefit.model.data import Data
from scalefit.runs import Runs


def padded_tables(
    tables: Sequence[Runs],
    inputs: tuple[str, ...],
    unit: Mapping[str, Float[np.ndarray, " table"]],
    rows: int,
    lines: Layout | None,
) -> Data:
    """What densities are evaluated on, in NumPy's float64.

    Parameters
    ----------
    tables
        All with clusters or none, and so with weights and measurement errors.
    inputs
        Of the law.
    unit
        Geometric means of each input and of the loss.
    rows
        Length to which every table is padded, with rows of no weight.
    lines
        How clusters are laid out.

    Returns
    -------
    Data
        Each leaf (table, ...).
    """
    counts = np.array([len(table) for table in tables])
    # All tables' runs in one row, and where each padded row of each table lies in it.
    at = np.minimum(np.arange(rows), counts[:, None] - 1) + (np.cumsum(counts) - counts)[:, None]

    def column(name: str) -> Float[np.ndarray, "table padded"]:
        values = np.concatenate([table[name] for table in tables])[at]
        return np.log(values / unit[name][:, None])

    log_x: dict[str, Any] = {name: column(name) for name in inputs}
    weight = (np.arange(rows) < counts[:, None]).astype(float)
    known: dict[str, Any] = {
        "precision": _of_all([table.precision for table in tables], at),
        "variance": _of_all([table.variance for table in tables], at),
        "clusters": None if lines is None else _clusters(tables, at, lines),
    }
    return Data(log_x, column("loss"), weight, dict(unit), **known)  # type: ignore[arg-type]


def _of_all(
    columns: Sequence[Shaped[np.ndarray, " run"] | None], at: Int[np.ndarray, "table padded"]
) -> Shaped[np.ndarray, "table padded"] | None:
    """A column of every table, padded; None where tables have none."""
    there = [column for column in columns if column is not None]
    return np.concatenate(there)[at] if there else None


def _clusters(tables: Sequence[Runs], at: Int[np.ndarray, "table padded"], layout: Layout) -> Clusters:
    groups = [groups for table in tables if (groups := table.clusters) is not None]
    run, taken, of_line = (np.stack(each) for each in zip(*map(layout.lay, groups), strict=True))
    real = np.arange(layout.clusters) <= np.array([[each.max()] for each in groups])
    of_run = np.concatenate(groups)[at].astype(np.int32)
    of_lines = of_line if layout.lines else None
    return Clusters(of_run, real.astype(float), run, taken, of_lines)  # type: ignore[arg-type]
