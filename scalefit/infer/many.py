"""Many tables, one posterior each: `fit_many`, and the `Fits` it returns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import jax
import numpy as np

from scalefit._aot import versions
from scalefit._intervals import interval
from scalefit._precision import precision, precision_in_force
from scalefit._results import PROB, Result
from scalefit._tables import Table, interval_columns, two_level
from scalefit.errors import FitError, OptionError, StorageError
from scalefit.fits.fit import Fit
from scalefit.infer._chunk import Batch, Chunk
from scalefit.infer._chunk_store import ChunkStore, FolderStore, MemoryStore
from scalefit.infer._cluster import agree, share
from scalefit.infer._contracts import Engine, EngineResult, attempt
from scalefit.infer._fit import checked_engine, fit_of
from scalefit.infer._progress import progress_report
from scalefit.infer.batch import usual_chunk
from scalefit.io.read import read_runs
from scalefit.model.model import BoundModel, Model
from scalefit.runs import Runs

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
    """

    batch: Batch
    store: ChunkStore

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
        return {i: reason for number in self.batch.chunks for i, reason in self.store.failures(number).items()}

    def __len__(self) -> int:
        return self.batch.tables

    def headline(self, prob: float = PROB) -> str:
        """How many tables have a fit, where that is known without reading many files."""
        what = f"the {self.model.law.name} law by {self.engine.name}"
        if (failures := self._known_failures) is None:
            return f"{len(self)} tables have results of {what}, whose failures are not counted yet."
        return f"{len(self) - len(failures)} of {len(self)} tables have a fit of {what}, and {len(failures)} failed."

    def _table(self, prob: float) -> Table:
        """What the fits share, and why tables failed: parameters are behind files, and take `summary`."""
        shared = {"law": self.model.law.name, "noise": self.model.noise.name, "engine": str(self.engine)}
        shared |= {"seed": str(self.seed), "precision": self.batch.precision}
        failed = {f"table {index}": reason for index, reason in [*(self._known_failures or {}).items()][:SHOWN]}
        return Table("setting", [*shared, *failed], {"value": [*shared.values(), *failed.values()]})

    @property
    def _known_failures(self) -> dict[int, str] | None:
        few = len(self.batch.chunks) <= FEW_CHUNKS
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
            raise StorageError(f"chunk {number} of these fits is gone. Call fit_many with the same arguments again.")
        return chunk.tables[place], chunk.results[place]

    def fitted(self) -> Iterator[tuple[int, Fit]]:
        """(index, fit) of every table that has one."""
        return ((i, self[i]) for i in range(len(self)) if i not in self.failures)

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
        """
        rows: dict[int, dict[tuple[str, str], Any]] = {i: {} for i in range(len(self))}
        for i, fit in self.fitted():
            answers = {} if budgets is None else fit.optima(budgets, discrepancy)
            for name, draws in {**fit.draws, **fit.law_derived, **answers}.items():
                rows[i] |= interval_columns(name, interval(draws, prob, axis=(0, 1)))
            rows[i]["verdict", ""] = fit.health.verdict
        for i in rows:
            rows[i]["failure", ""] = self.failures.get(i, "")
        return two_level(rows, "table")


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


def fit_many(
    tables: Sequence[Any],
    model: Model | None = None,
    *,
    engine: Engine | str | None = None,
    seed: int = 0,
    folder: str | Path | None = None,
    chunk: int | None = None,
    progress: bool | None = None,
) -> Fits:
    """Fit one model to every table, many at a time in one compiled program, on every local device.

    Parameters
    ----------
    tables
        A sequence of anything `read_runs` takes, read a chunk at a time, so that it may be lazy.
    model
        As for `fit`.
    engine
        As for `fit`. Those that are one pure function (AIS, point estimates; `Auto` but for its fallbacks) run
        together, others table by table.
    seed
        Table i has a seed of its own, `fits[i].seed`, whatever the chunks and devices.
    folder
        Results are streamed there, `chunk` tables a netCDF file. After an interruption, the same call goes on where it
        stopped; `scalefit.load(folder)` reads the fits again, without the tables, unless the law is a function.
    chunk
        Tables a file, 256 by default on CPU, more on accelerators.
    progress
        Show a bar on standard error; by default where that is a terminal.

    Returns
    -------
    Fits
        A table that fails is recorded in `Fits.failures`, with the reason.

    Raises
    ------
    OptionError
        There is no such engine, or no such seed or chunk.
    StorageError
        The folder cannot be written, or contains the fits of another model, engine, seed or table.

    Notes
    -----
    In an initialised `jax.distributed` cluster, processes share the chunks, and each returns them all; a folder must
    then be one that all can see.
    """
    model, engine = model or Model(), checked_engine(engine, seed)
    chunk = usual_chunk() if chunk is None else chunk
    if chunk < 1:
        raise OptionError(f"chunk is a number of tables, at least 1; got {chunk}.")
    batch = Batch(model, engine, seed, precision_in_force(), versions(), len(tables), chunk)
    store = MemoryStore() if folder is None else FolderStore(folder, batch)
    with precision(), progress_report(f"{engine.name}, {len(tables)} tables", progress) as report:
        failed = None
        try:
            for number in batch.chunks[jax.process_index() :: jax.process_count()]:
                _ensure(store, batch, number, tables)
                report(batch.indices(number).stop, len(tables))
        except Exception as problem:
            failed = problem
        agree(failed)
        share(store, batch.chunks)
    return Fits(batch, store)


def table_seed(seed: int, index: int) -> int:
    """The seed of one table: from the seed of all and its index alone."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _ensure(store: ChunkStore, batch: Batch, number: int, tables: Sequence[Any]) -> None:
    """Compute a chunk, unless the store has it, of these very tables."""
    indices = batch.indices(number)
    read = [attempt(partial(_read_table, tables, i)) for i in indices]
    runs = tuple(None if isinstance(table, str) else table for table in read)
    if (stored := store.read(number)) is not None:
        prints = Chunk(indices.start, runs, ()).fingerprints
        if changed := [i for i, a, b in zip(indices, prints, stored.fingerprints, strict=True) if a != b]:
            raise StorageError(f"table {changed[0]} is not the one that was fitted before. Choose another folder.")
        return
    bounds = [table if isinstance(table, str) else attempt(partial(batch.model.bind, table)) for table in read]
    results: list[EngineResult | str] = [bound if isinstance(bound, str) else "" for bound in bounds]
    good = {i: bound for i, bound in enumerate(bounds) if isinstance(bound, BoundModel)}
    seeds = [table_seed(batch.seed, indices[i]) for i in good]
    for i, result in zip(good, batch.engine.run_many(list(good.values()), seeds), strict=True):
        results[i] = result
    store.write(number, Chunk(indices.start, runs, tuple(results)))


def _read_table(tables: Sequence[Any], index: int) -> Runs:
    return read_runs(tables[index])
