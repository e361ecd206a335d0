"""A row a fit: medians, intervals, health, ESS and Pareto k, or why there is none; and rows as a Parquet file.

Its bytes depend on nothing but the rows and the batch: not on shards, nor on when it was written.
"""

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scalefit._atomic import atomic_path
from scalefit._batching import chunks
from scalefit._intervals import interval
from scalefit._netcdf import reading, shown
from scalefit._quantities import at_budget
from scalefit.errors import FitWarning, StorageError
from scalefit.fits.fit import Fit
from scalefit.infer._chunk import Batch, Chunk, RowSettings, table_seed
from scalefit.infer._fit import fit_of, unassessed_fit
from scalefit.infer._with_discrepancy import UNCOMPUTED, draw_discrepancies, usual_number
from scalefit.model.clusters import SHARED
from scalefit.model.model import BoundModel, Model
from scalefit.numerics.effective import PER_DRAW
from scalefit.units import distinct_labels

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

FORMAT, FORMAT_VERSION, KEY = "scalefit rows", 2, b"scalefit"
PROBS = (0.5, 0.9)
PARTS = ("median", *(f"{end}_{100 * prob:.0f}" for prob in PROBS for end in ("lower", "upper")))
OPTIMUM = ("N_opt", "D_opt", "tokens_per_param", "loss")
BEFORE = {"table": "int64", "name": "string", "runs": "int64", "loss_unit": "string", "seed": "int64"}
AFTER = {
    "verdict": "string",  # of health: ok, review or fail
    "checks": "string",  # those that are not ok, by name
    "pareto_k": "float64",
    "ess": "float64",  # the least, bulk or tail, of parameters and what follows; without health, that of the weights
    "discrepancy_pareto_k": "float64",  # where optima include the discrepancy
    "note": "string",  # why the engine is another one, or why there is no optimum
    "failure": "string",  # why there is no fit
    "fingerprint": "string",  # of the table; empty where it could not be read
}
Row = dict[str, Any]
Draws = Mapping[str, np.ndarray]


def quantities_of(model: Model, budgets: Sequence[float]) -> list[str]:
    """Parameters of law and noise, those of clusters, what the law derives, and the optima at the budgets."""
    ones = {p.name: np.ones(1) for p in model.params()}
    with np.errstate(all="ignore"):
        derived = model.law.derived(ones)
    labels = distinct_labels(budgets) if budgets else []
    return [*ones, SHARED, *derived, *(at_budget(name, label) for label in labels for name in OPTIMUM)]


def schema_of(batch: Batch, attrs: Mapping[str, Any], **about: str | int) -> "pa.Schema":
    """The columns of a batch's rows; the metadata have `attrs` of the batch, and what is said `about` the file."""
    import pyarrow as pa

    names = quantities_of(batch.model, batch.rows.budgets)
    columns = BEFORE | {f"{name}_{part}": "float64" for name in names for part in PARTS} | AFTER
    metadata = {KEY: json.dumps({**about, "format_version": FORMAT_VERSION, "batch": attrs})}
    return pa.schema([pa.field(name, getattr(pa, kind)()) for name, kind in columns.items()], metadata)


def rows_of(
    batch: Batch, chunk: Chunk, names: Sequence[str] | None = None, bounds: Sequence[BoundModel | str] = ()
) -> list[Row]:
    """A row for each table of a chunk.

    Parameters
    ----------
    batch, chunk
        What was fitted.
    names
        Of the tables; by default the ones that they were read with.
    bounds
        The tables bound to the model, where that is done already.
    """
    found: list[Row] = []
    drawn: list[tuple[Row, Draws]] = []
    for some in chunks(len(chunk.tables), usual_number()):
        fits: list[tuple[Row, Fit]] = []
        for i in some:
            row, fit = _fitted_row(batch, chunk, i, names[i] if names else None, bounds[i] if bounds else None)
            found.append(row)
            fits += [(row, fit)] if fit else []
        drawn += [(row, fit.draws | fit.law_derived) for row, fit in fits]
        if batch.rows.budgets:
            drawn += _optima(batch.rows, fits)
    _add_intervals(drawn)
    return found


def _fitted_row(
    batch: Batch, chunk: Chunk, place: int, name: str | None, known: BoundModel | str | None
) -> tuple[Row, Fit | None]:
    """The row of one table of a chunk, but for its intervals, and the fit where there is one."""
    table, result, number = chunk.tables[place], chunk.results[place], chunk.start + place
    row: Row = {"table": number, "seed": table_seed(batch.seed, number), "name": name, "fingerprint": ""}
    if table is not None:
        row |= {"name": name or table.name, "runs": len(table), "loss_unit": table.unit}
        row["fingerprint"] = table.fingerprint
    if isinstance(result, str) or table is None:
        return row | {"failure": str(result)}, None
    make = fit_of if batch.rows.health else unassessed_fit
    row["note"] = " ".join(check.sentence for check in result.checks) or None
    try:
        bound = known if isinstance(known, BoundModel) else batch.model.bind(table)
        fit = make(bound, batch.engine, row["seed"], result, batch.versions)
        return row | (_judged(fit) if batch.rows.health else _of_weights(fit)), fit
    except UNCOMPUTED as problem:
        return row | {"failure": f"its row could not be computed: {problem}"}, None


def _optima(settings: RowSettings, fits: list[tuple[Row, Fit]]) -> list[tuple[Row, Draws]]:
    """Draws of the optima of those fits that have some."""
    found: list[tuple[Row, Draws]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)  # the row has its Pareto k
        if settings.discrepancy is not False:
            draw_discrepancies([fit for _, fit in fits])
        for row, fit in fits:
            try:
                found.append((row, fit.optima(settings.budgets, settings.discrepancy)))
                if fit.resolve(settings.discrepancy):
                    row["discrepancy_pareto_k"] = fit.discrepancy_posterior.pareto_k
            except UNCOMPUTED as problem:
                row["note"] = " ".join(filter(None, (row["note"], str(problem))))
    return found


def _judged(fit: Fit) -> Row:
    """What its health says."""
    known = {check.name: check for check in fit.health.checks}
    least = min([known[name].value for name in ("bulk ESS", "tail ESS") if name in known], default=None)
    doubtful = ", ".join(name for name, check in known.items() if check.verdict != "ok")
    return {"verdict": fit.health.verdict, "checks": doubtful, "ess": least, **_pareto_k(fit)}


def _of_weights(fit: Fit) -> Row:
    """What the sampler's own numbers say, which are there already: other ESS takes longer than the fit."""
    log_weight = fit.stats.get("log_weight")
    ess = None if log_weight is None else PER_DRAW * log_weight.size / np.exp(log_weight, dtype=float).mean()
    return {"ess": ess, **_pareto_k(fit)}


def _pareto_k(fit: Fit) -> Row:
    return {"pareto_k": float(fit.stats["pareto_k"].flat[0])} if "pareto_k" in fit.stats else {}


def _add_intervals(drawn: list[tuple[Row, Draws]]) -> None:
    """Medians and intervals into each row, for all fits at once that have as many draws of the same quantities."""
    alike: dict[tuple, list[tuple[Row, Draws]]] = {}
    for row, quantities in drawn:
        alike.setdefault((*quantities, next(iter(quantities.values())).size), []).append((row, quantities))
    for (*names, _), some in alike.items():
        draws = np.array([[np.ravel(values) for values in quantities.values()] for _, quantities in some])
        ends = [interval(draws, prob, axis=2) for prob in PROBS]
        middle_and_ends = np.stack([ends[0][0], *(part for found in ends for part in found[1:])], axis=-1)
        columns = [f"{name}_{part}" for name in names for part in PARTS]
        for (row, _), values in zip(some, middle_and_ends.reshape(len(some), -1).tolist(), strict=True):
            row |= zip(columns, values, strict=True)


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
