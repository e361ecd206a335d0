"""The fits of many tables, as they are asked for: `Fits`, what `fit_many` returns and `load` reads."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from scalefit._intervals import interval
from scalefit._results import PROB, Result
from scalefit._tables import INTERVAL, Table, interval_columns, two_level
from scalefit.errors import FitError, StorageError
from scalefit.fits.fit import Fit
from scalefit.infer._chunk import Batch, table_seed
from scalefit.infer._chunk_store import AGAIN, ChunkStore, FolderStore
from scalefit.infer._contracts import Engine, EngineResult
from scalefit.infer._fit import fit_of
from scalefit.infer._rows import PROBS, Row, quantities_of
from scalefit.infer._shard import Shard
from scalefit.infer._with_discrepancy import draw_discrepancies, usual_number
from scalefit.model.model import Model
from scalefit.runs import Runs
from scalefit.units import positive_budgets

if TYPE_CHECKING:
    import pandas as pd

FEW_CHUNKS = 8  # whose failures are read for a headline
SHOWN = 8  # failures in its table


@dataclass(frozen=True, eq=False, repr=False)
class Fits(Result, Sequence):  # not Sequence[Fit]: whoever checks that takes one, which may have failed
    """One fit a table, in their order: `fits[i]` is a `Fit`, or raises `FitError` with why that table failed.

    Fits are put together, and their health assessed, as they are asked for.

    Attributes
    ----------
    batch
        Model, engine, seed, precision and versions, and how many tables there are.
    store
        Where tables and results are kept, a chunk of tables at a time.
    shard
        Whose failures, fits and rows these are; `fits[i]` is that of any table whose chunk is there.
    """

    batch: Batch
    store: ChunkStore
    shard: Shard = field(default_factory=Shard)

    @property
    def model(self) -> Model:
        """The model of every fit."""
        return self.batch.model

    @property
    def engine(self) -> Engine:
        """The engine of every fit."""
        return self.batch.engine

    @property
    def seed(self) -> int:
        """The seed of all; that of one table is `fits[i].seed`."""
        return self.batch.seed

    @cached_property
    def failures(self) -> dict[int, str]:
        """Index -> the reason, of every table without a fit."""
        return {i: reason for number in self._chunks for i, reason in self.store.failures(number).items()}

    def __len__(self) -> int:
        return self.batch.tables

    def headline(self, prob: float = PROB) -> str:
        """How many tables have a fit, where that is known without reading many files."""
        what, count = f"the {self.model.law.name} law by {self.engine.name}", len(self.indices)
        tables = f"{count} tables" if self.shard == Shard() else f"{count} tables of shard {self.shard}"
        if (failures := self._known_failures) is None:
            return f"{tables} have results of {what}, whose failures are not counted yet."
        return f"{count - len(failures)} of {tables} have a fit of {what}, and {len(failures)} failed."

    def _table(self, prob: float) -> Table:
        """What the fits share, and why tables failed: parameters are behind files, and take `summary`."""
        shared = {"law": self.model.law.name, "noise": self.model.noise.name, "engine": str(self.engine)}
        shared |= {"seed": str(self.seed), "precision": self.batch.precision}
        failed = {f"table {index}": reason for index, reason in [*(self._known_failures or {}).items()][:SHOWN]}
        return Table("setting", [*shared, *failed], {"value": [*shared.values(), *failed.values()]})

    @property
    def _chunks(self) -> range:
        return self.shard.of(self.batch.chunks)

    @property
    def indices(self) -> list[int]:
        """The tables of the shard."""
        return [i for number in self._chunks for i in self.batch.indices(number)]

    @property
    def _known_failures(self) -> dict[int, str] | None:
        few = len(self._chunks) <= FEW_CHUNKS
        return self.failures if few or "failures" in vars(self) else None

    @overload
    def __getitem__(self, index: int) -> Fit: ...
    @overload
    def __getitem__(self, index: slice) -> list[Fit]: ...
    def __getitem__(self, index: int | slice) -> Fit | list[Fit]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        index = range(len(self))[index]
        table, result = self._stored(index)
        if isinstance(result, str) or table is None:
            raise FitError(f"table {index} has no fit: {result}")
        seed = table_seed(self.seed, index)
        return fit_of(self.model.bind(table), self.engine, seed, result, self.batch.versions)

    def result(self, index: int) -> EngineResult | str:
        """What the engine returned for a table, in unit-free coordinates, or why it failed."""
        return self._stored(index)[1]

    def _stored(self, index: int) -> tuple[Runs | None, EngineResult | str]:
        number, place = divmod(index, self.batch.chunk)
        if (chunk := self.store.read(number)) is None:
            if not self.batch.draws:
                raise StorageError("the draws of these fits were not kept. Fit again with keep_draws=True (--draws).")
            raise StorageError(f"chunk {number} of these fits is not there. {AGAIN}.")
        return chunk.tables[place], chunk.results[place]

    def fitted(self) -> Iterator[tuple[int, Fit]]:
        """(index, fit) of every table that has one."""
        return ((i, self[i]) for i in self.indices if i not in self.failures)

    def summary(self, prob: float = 0.9, budgets: Any = None, discrepancy: bool | None = None) -> "pd.DataFrame":
        """A row a table.

        Parameters
        ----------
        prob
            Probability of every interval, equal-tailed.
        budgets
            FLOP, at which to solve for the optima, with the discrepancy as the model has it; none by default.
        discrepancy
            As for `Fit.frontier`.

        Returns
        -------
        pandas.DataFrame
            Index: table. Columns: (quantity, median/lower/upper) of the law's parameters and the optima; (verdict, "")
            of health; (failure, ""), empty where there is a fit.

        Raises
        ------
        StorageError
            The draws were not kept, and the rows that were have another `prob`, or no optima at these budgets.
        """
        asked = () if budgets is None else tuple(map(float, positive_budgets(budgets)))
        if prob in PROBS and (found := self._stored_rows(asked, discrepancy)) is not None:
            return _summary(found, quantities_of(self.model, asked), prob)
        rows: dict[int, dict[tuple[str, str], Any]] = {i: {} for i in self.indices}
        fitted = self.fitted()
        while some := list(islice(fitted, usual_number())):
            if asked and discrepancy is not False:
                draw_discrepancies([fit for _, fit in some])
            for i, fit in some:
                answers = fit.optima(asked, discrepancy) if asked else {}
                for name, draws in {**fit.draws, **fit.law_derived, **answers}.items():
                    rows[i] |= interval_columns(name, interval(draws, prob, axis=(0, 1)))
                rows[i]["verdict", ""] = fit.health.verdict
        for i in rows:
            rows[i]["failure", ""] = self.failures.get(i, "")
        return two_level(rows, "table")

    def _stored_rows(self, budgets: tuple[float, ...], discrepancy: bool | None) -> list[Row] | None:
        """The rows that are kept, where each chunk has them, and what is asked for."""
        stored = self.batch.rows
        known = not budgets or (budgets == stored.budgets and discrepancy == stored.discrepancy)
        if not isinstance(self.store, FolderStore) or not known or (self.batch.draws and not stored.health):
            return None
        tables = [self.store.rows(number) for number in self._chunks]
        return None if None in tables else [row for table in tables if table for row in table.to_pylist()]


def _summary(rows: list[Row], names: list[str], prob: float) -> "pd.DataFrame":
    """What `Fits.summary` gives, of rows."""
    parts = ["median", *(f"{end}_{100 * prob:.0f}" for end in INTERVAL[1:])]
    found: dict[int, dict[tuple[str, str], Any]] = {}
    for row in rows:
        of_row = lambda name: np.array([row[f"{name}_{part}"] for part in parts], dtype=float)  # noqa: B023
        ends = {} if row["failure"] else {name: of_row(name) for name in names if row[f"{name}_median"] is not None}
        columns = {key: end for name, values in ends.items() for key, end in interval_columns(name, values).items()}
        verdict = {} if row["failure"] else {("verdict", ""): row["verdict"]}
        found[row["table"]] = columns | verdict | {("failure", ""): row["failure"] or ""}
    return two_level(found, "table")


def load_fits(folder: str | Path) -> Fits:
    """The fits of a folder that `fit_many` filled, tables included.

    Parameters
    ----------
    folder
        Each of its files is checked when it is first read.

    Returns
    -------
    Fits
        With the health that this version of scalefit finds.

    Raises
    ------
    StorageError
        It contains no fits, those of an older format, or not all of a batch.
    """
    store = FolderStore.of_folder(folder)
    return Fits(store.batch, store)
