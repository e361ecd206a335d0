"""Many tables, one posterior each: `fit_many`."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax

from scalefit._aot import versions
from scalefit._precision import precision, precision_in_force
from scalefit.errors import OptionError, StorageError
from scalefit.frontier.optimum import check_trades
from scalefit.infer._chunk import NAMELESS, Batch, Chunk, RowSettings, table_seed
from scalefit.infer._chunk_store import ChunkStore, FolderStore, MemoryStore, stored_batch
from scalefit.infer._cluster import agree, share
from scalefit.infer._contracts import Engine, EngineResult, attempt
from scalefit.infer._fit import checked_engine
from scalefit.infer._fits import Fits
from scalefit.infer._progress import progress_report
from scalefit.infer._rows import rows_of
from scalefit.infer._shard import Shard
from scalefit.infer.batch import usual_chunk
from scalefit.io.read import read_runs
from scalefit.model.model import BoundModel, Model
from scalefit.runs import Runs
from scalefit.units import positive_budgets

__all__ = ["Fits", "fit_many", "table_seed"]


@runtime_checkable
class Indexed(Protocol):
    """A sequence, lazy or not."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Any: ...


def fit_many(
    tables: Any,
    model: Model | None = None,
    *,
    engine: Engine | str | None = None,
    seed: int = 0,
    folder: str | Path | None = None,
    shard: str | None = None,
    keep_draws: bool = True,
    budgets: Any = None,
    discrepancy: bool | None = None,
    health: bool = True,
    chunk: int | None = None,
    progress: bool | None = None,
) -> Fits:
    """Fit one model to every table, many at a time in one compiled program, on every local device.

    Parameters
    ----------
    tables
        A sequence, or a mapping from names, of anything `read_runs` takes. Either may be lazy: a table is read
        when its chunk is computed. `tables_in` makes one of a folder of files.
    model
        As for `fit`.
    engine
        As for `fit`. Those that are one pure function (AIS, point estimates; `Auto` but for its fallbacks) run
        together, others table by table.
    seed
        Table i has a seed of its own, `fits[i].seed`, whatever the shards, chunks and devices.
    folder
        Where each chunk becomes a file with a row a fit (medians, 50 and 90 % intervals, health, ESS, Pareto k), and
        one with draws. After an interruption, the same call goes on where it stopped; `scalefit.load(folder)` reads
        the fits again, without the tables, unless the law is a function; `scalefit.merge(folder)` makes one file of all
        rows.
    shard
        "3/64" computes every 64th chunk from the third, into a folder that 64 processes share. They may run anywhere,
        in any order, and again.
    keep_draws
        Whether a folder keeps the draws: of a million fits they take 300 GB, the rows 0.5 GB.
    budgets, discrepancy
        FLOP, for which rows have the optimum, as `Fit.optima` gives it; none by default.
    health
        Whether rows have the health of their fits, which takes 30 CPU-ms for each. They have Pareto k anyway, and then
        the ESS of the weights.
    chunk
        Tables a file. By default that of the folder, or else 256 on CPU, more on accelerators, fewer where shards
        would otherwise have none.
    progress
        Show a bar on standard error; by default where that is a terminal.

    Returns
    -------
    Fits
        A table that fails is recorded in `Fits.failures`, with the reason.

    Raises
    ------
    OptionError
        There is no such engine, shard, seed or chunk; or a shard has no folder.
    StorageError
        The folder cannot be written, or contains the fits of another model, engine, seed or table.
    QuestionError
        Budgets are given, and the law has no allocation.

    Notes
    -----
    In an initialised `jax.distributed` cluster, processes share the chunks, and each returns them all; a folder must
    then be one that all can see.
    """
    model, engine, part = model or Model(), checked_engine(engine, seed), Shard.read(shard)
    names = _names(tables)
    rows = RowSettings(_checked_budgets(model, budgets), discrepancy, health)
    if folder is None and (part.count > 1 or not keep_draws):
        raise OptionError("shards and rows without draws are kept in a folder. Give folder=...")
    if chunk is not None and chunk < 1:
        raise OptionError(f"chunk is a number of tables, at least 1; got {chunk}.")
    settings = precision_in_force(), versions(), len(tables), chunk or usual_chunk(len(tables), part.count)
    batch = Batch(model, engine, seed, *settings, keep_draws, rows, _digest(names))
    if folder is not None and chunk is None and (there := stored_batch(Path(folder), batch)):
        batch = replace(batch, chunk=there.chunk)  # so that shards of any count fit together
    store: ChunkStore = MemoryStore() if folder is None else FolderStore(folder, batch)
    numbers = part.of(batch.chunks)
    total = sum(len(batch.indices(number)) for number in numbers)
    with precision(), progress_report(f"{engine.name}, {total} tables", progress) as report:
        failed, done = None, 0
        try:
            for number in numbers[jax.process_index() :: jax.process_count()]:
                _ensure(store, batch, number, tables, names)
                report(done := done + len(batch.indices(number)), total)
        except Exception as problem:
            failed = problem
        agree(failed)
        share(store, numbers)
    return Fits(batch, store, part)


def _names(tables: Any) -> list[str] | None:
    """Of the tables of a mapping; None where they go by number."""
    if isinstance(tables, Mapping):
        return list(map(str, tables))
    if isinstance(tables, str | Runs) or not isinstance(tables, Indexed):
        raise OptionError(
            f"the tables are a {type(tables).__name__}, not a sequence or mapping of tables. Give a list, or "
            "scalefit.tables_in(folder); a class with __len__ and __getitem__ may read them lazily."
        )
    return None


def _digest(names: Iterable[str] | None) -> str:
    return NAMELESS if names is None else hashlib.sha256("\0".join(names).encode()).hexdigest()


def _checked_budgets(model: Model, budgets: Any) -> tuple[float, ...]:
    if budgets is None:
        return ()
    check_trades(model.law)
    return tuple(map(float, positive_budgets(budgets)))


def _ensure(store: ChunkStore, batch: Batch, number: int, tables: Any, names: list[str] | None) -> None:
    """Compute a chunk, unless the store has it, of these very tables."""
    indices = batch.indices(number)
    keys: Any = [names[i] for i in indices] if names else indices
    read = [attempt(partial(_read_table, tables, key)) for key in keys]
    runs = tuple(None if isinstance(table, str) else table for table in read)
    chunk = store.read(number)
    rows = store.rows(number) if isinstance(store, FolderStore) and (chunk or not batch.draws) else None
    stored = chunk.fingerprints if chunk else rows.column("fingerprint").to_pylist() if rows else None
    if stored is not None:
        prints = Chunk(indices.start, runs, ()).fingerprints
        if changed := [i for i, a, b in zip(indices, prints, stored, strict=True) if a != b]:
            raise StorageError(f"table {changed[0]} is not the one that was fitted before. Choose another folder.")
    if rows is not None:
        return
    bounds: list[BoundModel | str] = []
    if chunk is None:
        bounds = [table if isinstance(table, str) else attempt(partial(batch.model.bind, table)) for table in read]
        chunk = Chunk(indices.start, runs, tuple(_results(batch, indices, bounds)))
        store.write(number, chunk)
    if isinstance(store, FolderStore):
        store.write_rows(number, rows_of(batch, chunk, names and keys, bounds))


def _results(batch: Batch, indices: range, bounds: list[BoundModel | str]) -> list[EngineResult | str]:
    """Of tables that could be read and bound, or why not."""
    results: list[EngineResult | str] = [bound if isinstance(bound, str) else "" for bound in bounds]
    good = {i: bound for i, bound in enumerate(bounds) if isinstance(bound, BoundModel)}
    seeds = [table_seed(batch.seed, indices[i]) for i in good]
    for i, result in zip(good, batch.engine.run_many(list(good.values()), seeds), strict=True):
        results[i] = result
    return results


def _read_table(tables: Any, key: Any) -> Runs:
    return read_runs(tables[key], name=key if isinstance(key, str) else None)
