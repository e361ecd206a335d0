"""A row a fit: medians, intervals, health, ESS and Pareto k, or why there is none; and rows as a Parquet file.

Its bytes depend on nothing but the rows and the batch: not on shards, nor on when it was written.
"""

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scalefit._atomic import atomic_path
from scalefit._intervals import interval
from scalefit._netcdf import reading, shown
from scalefit._quantities import at_budget
from scalefit.diagnostics.convergence import convergence
from scalefit.errors import FitWarning, ScalefitError, StorageError
from scalefit.fits.fit import Fit
from scalefit.infer._chunk import Batch, Chunk, table_seed
from scalefit.infer._contracts import EngineResult
from scalefit.infer._fit import fit_of, unassessed_fit
from scalefit.model.model import Model
from scalefit.units import distinct_labels

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

FORMAT, FORMAT_VERSION, KEY = "scalefit rows", 1, b"scalefit"
PROBS = (0.5, 0.9)
PARTS = ("median", *(f"{end}_{100 * prob:.0f}" for prob in PROBS for end in ("lower", "upper")))
OPTIMUM = ("N_opt", "D_opt", "tokens_per_param", "loss")
BEFORE = {"table": "int64", "name": "string", "runs": "int64", "loss_unit": "string", "seed": "int64"}
AFTER = {
    "verdict": "string",  # of health: ok, review or fail
    "checks": "string",  # those that are not ok, by name
    "pareto_k": "float64",
    "ess": "float64",  # the least, bulk or tail, of parameters and what follows from them
    "discrepancy_pareto_k": "float64",  # where optima include the discrepancy
    "note": "string",  # why the engine is another one, or why there is no optimum
    "failure": "string",  # why there is no fit
    "fingerprint": "string",  # of the table; empty where it could not be read
}
Row = dict[str, Any]


def quantities_of(model: Model, budgets: Sequence[float]) -> list[str]:
    """Parameters of law and noise, what the law derives from them, and the optima at the budgets."""
    ones = {p.name: np.ones(1) for p in model.params()}
    with np.errstate(all="ignore"):
        derived = model.law.derived(ones)
    labels = distinct_labels(budgets) if budgets else []
    return [*ones, *derived, *(at_budget(name, label) for label in labels for name in OPTIMUM)]


def schema_of(batch: Batch, attrs: Mapping[str, Any], **about: str | int) -> "pa.Schema":
    """The columns of a batch's rows; the metadata have `attrs` of the batch, and what is said `about` the file."""
    import pyarrow as pa

    names = quantities_of(batch.model, batch.rows.budgets)
    columns = BEFORE | {f"{name}_{part}": "float64" for name in names for part in PARTS} | AFTER
    metadata = {KEY: json.dumps({**about, "format_version": FORMAT_VERSION, "batch": attrs})}
    return pa.schema([pa.field(name, getattr(pa, kind)()) for name, kind in columns.items()], metadata)


def rows_of(batch: Batch, chunk: Chunk, names: Sequence[str] | None = None) -> list[Row]:
    """A row for each table of a chunk.

    Parameters
    ----------
    batch, chunk
        What was fitted.
    names
        Of the tables; by default the ones that they were read with.
    """
    found = []
    for i, (table, result) in enumerate(zip(chunk.tables, chunk.results, strict=True), start=chunk.start):
        name = names[i - chunk.start] if names else None
        row: Row = {"table": i, "seed": table_seed(batch.seed, i), "name": name, "fingerprint": ""}
        if table is not None:
            row |= {"name": name or table.name, "runs": len(table), "loss_unit": table.unit}
            row["fingerprint"] = table.fingerprint
        if isinstance(result, str) or table is None:
            row["failure"] = str(result)
        else:
            make = partial(fit_of if batch.rows.health else unassessed_fit, batch.model.bind(table), batch.engine)
            try:
                row |= _row(batch, make(row["seed"], result, batch.versions), result)
            except (ScalefitError, ArithmeticError, np.linalg.LinAlgError) as problem:
                row["failure"] = f"its row could not be computed: {problem}"
        found.append(row)
    return found


def _row(batch: Batch, fit: Fit, result: EngineResult) -> Row:
    """Of one fit."""
    settings, quantities = batch.rows, fit.draws | fit.law_derived
    notes = [check.sentence for check in result.checks]
    row = _intervals(quantities)
    if settings.budgets:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FitWarning)  # the row has its Pareto k
                row |= _intervals(fit.optima(settings.budgets, settings.discrepancy))
            if fit.resolve(settings.discrepancy):
                row["discrepancy_pareto_k"] = fit.discrepancy_posterior.pareto_k
        except ScalefitError as problem:
            notes.append(str(problem))
    known = {check.name: check for check in fit.health.checks}
    ess = [known[name].value for name in ("bulk ESS", "tail ESS") if name in known]
    if not settings.health and fit.kind == "posterior":
        found = convergence(quantities, fit.stats)
        ess = [figures[name] for figures in found.values() for name in ("ess_bulk", "ess_tail")]
    row["ess"] = float(np.min(ess)) if ess else None
    row["pareto_k"] = float(np.ravel(fit.stats["pareto_k"])[0]) if "pareto_k" in fit.stats else None
    if settings.health:
        row["verdict"] = fit.health.verdict
        row["checks"] = ", ".join(name for name, check in known.items() if check.verdict != "ok")
    return row | {"note": " ".join(notes) or None}


def _intervals(quantities: Mapping[str, np.ndarray]) -> Row:
    draws = np.stack([np.ravel(values) for values in quantities.values()])
    ends = [interval(draws, prob, axis=1) for prob in PROBS]
    columns = zip(PARTS, [ends[0][0], *(row for found in ends for row in found[1:])], strict=True)
    return {
        f"{name}_{part}": float(value)
        for part, values in columns
        for name, value in zip(quantities, values, strict=True)
    }


@contextmanager
def parquet_writer(path: Path, schema: "pa.Schema") -> Iterator["pq.ParquetWriter"]:
    """A Parquet file, complete when the block ends or not there at all; raises `StorageError` where that fails."""
    import pyarrow.parquet as pq

    try:
        with (
            atomic_path(path) as unfinished,
            pq.ParquetWriter(unfinished, schema, compression="zstd", write_page_checksum=True) as writer,
        ):
            yield writer
    except OSError as problem:
        reason = problem.strerror or problem
        raise StorageError(f"cannot write {shown(path)}: {reason}. Choose a folder that has room.") from problem


def write_rows(path: Path, batch: Batch, number: int, rows: list[Row]) -> None:
    """Write the rows of a chunk, all or nothing; raises `StorageError` where that fails."""
    import pyarrow as pa

    table = pa.Table.from_pylist(rows, schema_of(batch, batch.attrs, format=FORMAT, number=number))
    with parquet_writer(path, table.schema) as writer:
        writer.write_table(table)


def read_rows(path: Path, batch: Batch, number: int, remedy: str) -> "pa.Table":
    """The rows of a chunk; raises `StorageError` where they are damaged, or not those of this chunk and batch."""
    import pyarrow.parquet as pq

    with reading(path, remedy) as file:
        found = pq.ParquetFile(file, page_checksum_verification=True)
        about = json.loads((found.schema_arrow.metadata or {}).get(KEY, b"{}"))
        if (about.get("format"), about.get("number")) != (FORMAT, number):
            raise StorageError("it contains no rows, or those of another number")
        if about["format_version"] != FORMAT_VERSION or about["batch"] != batch.attrs:
            raise StorageError("it is of another batch or format")
        table = found.read(use_threads=False)
    if table.column("table").to_pylist() != list(batch.indices(number)):
        raise StorageError(f"{shown(path)} contains other tables than those of its number; {remedy}.")
    return table
