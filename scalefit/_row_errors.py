"""How the rows of a table err: which share an error, and what is known of the errors of single rows."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from scalefit._bad_cells import MOST_CELLS, BadCell

LEAST_WEIGHT = 1e-12


class RowErrors:
    """What a table of runs says of its errors; `scalefit.runs.Runs` describes the fields."""

    columns: Mapping[str, Any]
    cluster: str | tuple[str, ...]
    weight: str | None
    sd: str | None

    def __getitem__(self, column: str) -> Shaped[np.ndarray, " run"]:
        return self.columns[column]

    @cached_property
    def clusters(self) -> Int[np.ndarray, " run"] | None:
        """Number of each run's cluster, (run,), from 0 in the order of the rows; None where runs share no error."""
        if not self.cluster:
            return None
        groups = np.zeros(len(self.columns["loss"]), dtype=np.int64)
        for name in self.cluster:
            codes = np.unique(self[name], return_inverse=True)[1]
            groups = np.unique(groups * (codes.max() + 1) + codes, return_inverse=True)[1]
        first = np.unique(groups, return_index=True)[1]
        return np.argsort(np.argsort(first))[groups]

    @property
    def units(self) -> int:
        """How many densities that of the table is the product of: those of its runs, or of its clusters."""
        return len(self.columns["loss"]) if self.clusters is None else int(self.clusters.max()) + 1

    @property
    def precision(self) -> Float[np.ndarray, " run"] | None:
        """Precision of each run's own noise beside that of a run of weight 1, (run,); None where no weight is given."""
        return None if self.weight is None else self[self.weight]

    @property
    def variance(self) -> Float[np.ndarray, " run"] | None:
        """Variance of each ln loss by its known measurement error, (run,); None where no sd is given."""
        return None if self.sd is None else (self[self.sd] / self["loss"]) ** 2

    def with_errors(
        self, cluster: str | Iterable[str] | None = None, weight: str | None = None, sd: str | None = None
    ) -> Self:
        """The same runs with other columns of clusters, weights or measurement errors; None leaves each as it is."""
        stated: dict[str, Any] = {"cluster": cluster, "weight": weight, "sd": sd}
        given = {name: value for name, value in stated.items() if value is not None}
        return replace(self, **given) if given else self  # type: ignore[type-var]

    def bad_errors(self) -> Iterator[BadCell]:
        """Cells of these columns that cannot be used."""
        for name in self.cluster:
            for row in np.flatnonzero(_is_missing(self[name]))[:MOST_CELLS]:
                yield BadCell(int(row) + 1, name, "is missing, and it identifies the runs that share an error")
        for given, least, wanted in ((self.weight, LEAST_WEIGHT, "a positive number"), (self.sd, 0.0, "zero or more")):
            if given is not None:
                for row in np.flatnonzero(~_is_from(self[given], least))[:MOST_CELLS]:
                    yield BadCell(int(row) + 1, given, f"is not {wanted} ({self[given][row]})")


def _is_missing(values: Shaped[np.ndarray, " run"]) -> Bool[np.ndarray, " run"]:
    return np.isnan(values) if values.dtype.kind == "f" else np.isin(np.char.strip(values), ("", "None", "nan"))


def _is_from(values: Shaped[np.ndarray, " run"], least: float) -> Bool[np.ndarray, " run"]:
    """Which values are finite numbers, not below the least."""
    if values.dtype.kind != "f":
        return np.zeros(len(values), dtype=bool)
    return np.isfinite(values) & (values >= least)
