"""Many tables, one posterior each: `fit_many`, and the `Fits` it returns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import jax
import numpy as np

from scalefit._aot import versions
from scalefit._intervals import interval
from scalefit._precision import precision, precision_in_force
from scalefit._tables import interval_columns, two_level
from scalefit.errors import FitError, OptionError, StorageError
from scalefit.fits.fit import Fit
from scalefit.infer._batch import usual_chunk
from scalefit.infer._chunk_store import Chunk, ChunkStore, Folder, Memory
from scalefit.infer._contracts import Engine, EngineResult, attempt, checked_engine, fit_of
from scalefit.infer._progress import progress_report
from scalefit.io.read import read_runs
from scalefit.model.model import BoundModel, Model
from scalefit.runs import Runs

if TYPE_CHECKING:
    import pandas as pd

    from scalefit.fits.fit import Fit


@dataclass(frozen=True, eq=False)
class Fits(Sequence[Fit]):
    """One fit a table, in their order: `fits[i]` is a `Fit`, or raises `FitError` with why that table failed.

    failures : table's index -> why. Fits are put together, and their health assessed, as they are asked for.
    """

    tables: Sequence[Any]
    model: Model
    engine: Engine
    seed: int
    failures: dict[int, str]
    store: ChunkStore
    chunk: int

    def __len__(self) -> int:
        return len(self.tables)

    def __repr__(self) -> str:
        failed = f", {len(self.failures)} failed" if self.failures else ""
        return f"<Fits of {len(self)} tables{failed}: {self.model.law.name} law, {self.engine}>"

    @overload
    def __getitem__(self, index: int) -> Fit: ...
    @overload
    def __getitem__(self, index: slice) -> list[Fit]: ...
    def __getitem__(self, index: int | slice) -> Fit | list[Fit]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        index = range(len(self))[index]
        result = self.result(index)
        if isinstance(result, str):
            raise FitError(f"table {index} has no fit: {result}")
        return fit_of(self.model.bind(read_runs(self.tables[index])), self.engine, table_seed(self.seed, index), result)

    def result(self, index: int) -> EngineResult | str:
        """What the engine returned for a table, in unit-free coordinates, or why it failed."""
        return _there(self.store, index // self.chunk).results[index % self.chunk]

    def fitted(self) -> Iterator[tuple[int, Fit]]:
        """(index, fit) of every table that has one."""
        return ((i, self[i]) for i in range(len(self)) if i not in self.failures)

    def summary(
        self, prob: float = 0.9, budgets: Any = None, discrepancy: bool | None = None
    ) -> "pd.DataFrame":
        """Rows: tables. Columns: (quantity, median/lower/upper), then verdict and failure."""
        return fits_table(self, prob, budgets, discrepancy)


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

    tables : a sequence of anything `read_runs` takes, read a chunk at a time, so that it may be lazy. engine : as for
    `fit`; those that are one pure function (AIS, HMC, point estimates; `Auto` but for its fallbacks) run together,
    others table by table. seed : table i has a seed of its own, `fits[i].seed`, whatever the chunks and devices.
    folder : results are streamed there, `chunk` tables a file (by default 256 on CPU, more on accelerators); called
    again with the same arguments after an interruption, what is there is not computed again. In an initialised
    `jax.distributed` cluster, processes share the chunks, and each returns them all (a folder must then be one that all
    can see).

    A table that fails is recorded in `Fits.failures`, with the reason. Raises `FitError` where the folder holds the
    fits of another model, engine, seed or table.
    """
    model, engine = model or Model(), checked_engine(engine, seed)
    chunk = usual_chunk() if chunk is None else chunk
    if chunk < 1:
        raise OptionError(f"chunk is a number of tables, at least 1; got {chunk}.")
    order = {"tables": len(tables), "chunk": chunk, "seed": seed, "engine": str(engine), "model": str(model)}
    order |= {"precision": precision_in_force(), "versions": versions()}
    store = Memory() if folder is None else Folder(folder, order)
    failures: dict[int, str] = {}
    with precision(), progress_report(f"{engine.name}, {len(tables)} tables", progress) as report:
        numbers, failed = range(-(-len(tables) // chunk)), None
        try:
            for number in numbers[jax.process_index() :: jax.process_count()]:
                part = range(number * chunk, min((number + 1) * chunk, len(tables)))
                _ensure(store, number, tables, part, model, engine, seed)
                report(part.stop, len(tables))
        except Exception as problem:
            failed = problem
        _agree(failed)
        _share(store, numbers)
    for number in numbers:
        for i, result in enumerate(_there(store, number).results):
            if isinstance(result, str):
                failures[number * chunk + i] = result
    return Fits(tables, model, engine, seed, failures, store, chunk)


def table_seed(seed: int, index: int) -> int:
    """The seed of one table: from the seed of all and its index alone."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _ensure(
    store: ChunkStore, number: int, tables: Sequence[Any], part: range, model: Model, engine: Engine, seed: int
) -> None:
    """Compute a chunk, unless the store has it, of these very tables."""
    read = [attempt(partial(_table, tables, i)) for i in part]
    prints = tuple("" if isinstance(runs, str) else runs.fingerprint for runs in read)
    if (held := store.get(number)) is not None:
        if changed := [i for i, a, b in zip(part, prints, held.fingerprints, strict=True) if a != b]:
            raise StorageError(f"table {changed[0]} is not the one that was fitted before; choose another folder.")
        return
    bounds = [runs if isinstance(runs, str) else attempt(partial(model.bind, runs)) for runs in read]
    results: list[EngineResult | str] = [bound if isinstance(bound, str) else "" for bound in bounds]
    good = {i: bound for i, bound in enumerate(bounds) if isinstance(bound, BoundModel)}
    seeds = [table_seed(seed, part[i]) for i in good]
    for i, result in zip(good, engine.run_many(list(good.values()), seeds), strict=True):
        results[i] = result
    store.put(number, Chunk(part.start, tuple(results), prints))


def _table(tables: Sequence[Any], index: int) -> Runs:
    return read_runs(tables[index])


def _there(store: ChunkStore, number: int) -> Chunk:
    found = store.get(number)
    assert found is not None, "every chunk was computed"
    return found


def _agree(failed: Exception | None) -> None:
    """Raise what went wrong here, or that something did elsewhere: a cluster would wait for a process that left."""
    if jax.process_count() > 1:
        from jax.experimental.multihost_utils import process_allgather

        everywhere = np.asarray(process_allgather(np.asarray(failed is not None))).reshape(-1)
        if everywhere.any() and failed is None:
            raise FitError(
                f"process {everywhere.argmax()} of the cluster failed, and says why there; mend it, call again."
            )
    if failed:
        raise failed


def _share(store: ChunkStore, numbers: range) -> None:
    """Let every process of a cluster have every chunk."""
    if jax.process_count() == 1:
        return
    from jax.experimental import multihost_utils

    if isinstance(store, Folder):
        multihost_utils.sync_global_devices("scalefit chunks are written")
        return
    for first in range(0, len(numbers), jax.process_count()):
        mine = first + jax.process_index()
        content = chunk.to_bytes() if (chunk := store.get(mine)) else b""
        for number, received in enumerate(_exchange(content), start=first):
            if received:
                store.put(number, Chunk.from_bytes(received))


def _exchange(content: bytes) -> list[bytes]:
    """Every process's bytes, in order of the processes."""
    from jax.experimental.multihost_utils import process_allgather

    lengths = np.asarray(process_allgather(np.asarray(len(content), np.int32))).reshape(-1)
    padded = np.zeros(lengths.max(), np.uint8)
    padded[: len(content)] = np.frombuffer(content, np.uint8)
    gathered = np.asarray(process_allgather(padded)).reshape(len(lengths), -1)
    return [row[:length].tobytes() for row, length in zip(gathered, lengths, strict=True)]


def fits_table(
    fits: "Fits", prob: float = 0.9, budgets: Any = None, discrepancy: bool | None = None
) -> "pd.DataFrame":
    """Rows: tables by index; columns: (quantity, median/lower/upper) of parameters and optima, verdict, failure."""
    rows: dict[int, dict[tuple[str, str], Any]] = {i: {} for i in range(len(fits))}
    for i, fit in fits.fitted():
        answers = {} if budgets is None else fit.optima(budgets, discrepancy)
        for name, draws in {**fit.draws, **fit.law_derived, **answers}.items():
            rows[i] |= interval_columns(name, interval(draws, prob, axis=(0, 1)))
        rows[i]["verdict", ""] = fit.health.verdict
    for i in rows:
        rows[i]["failure", ""] = fits.failures.get(i, "")
    return two_level(rows, "table")
