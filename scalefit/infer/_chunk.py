"""A batch of fits and the chunks of tables that it is made of, and how a chunk is one netCDF file."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from io import BytesIO
from typing import Any, NamedTuple, Self

import numpy as np

from scalefit._netcdf import Contents, Group, Variable, from_netcdf, to_netcdf
from scalefit._registry import lookup
from scalefit.errors import StorageError
from scalefit.fits.netcdf import (
    FORMAT_VERSION,
    SAMPLE,
    about_table,
    checked_seed,
    decode_checks,
    decode_model,
    decode_table,
    encode_columns,
    encode_model,
    options_of,
)
from scalefit.infer._contracts import Engine, EngineResult
from scalefit.model.model import Model
from scalefit.runs import Runs

FORMAT = "scalefit chunk"
PARTS = {"draws": "unit_free_posterior", "stats": "sample_stats"}  # of a result -> its group
NAMELESS = "by number"  # what tables of a sequence are called
UNIT_FREE = "inputs and loss are in units of the table's geometric means; scalefit.load(folder) gives raw units"


class RowSettings(NamedTuple):
    """What the row of a fit has beside its parameters.

    Attributes
    ----------
    budgets
        FLOP, at which it has the optimum.
    discrepancy
        Whether that includes the discrepancy; None does as the model has it.
    health
        Whether health is assessed.
    """

    budgets: tuple[float, ...] = ()
    discrepancy: bool | None = None
    health: bool = True


@dataclass(frozen=True)
class Batch:
    """What the chunks of a batch have in common.

    Attributes
    ----------
    model, engine, seed, precision, versions
        What every table is fitted with.
    tables, chunk
        How many tables there are, and how many a chunk has.
    draws
        Whether a folder keeps the draws beside the rows.
    rows
        What a row has.
    names
        A digest of the tables' names.
    """

    model: Model
    engine: Engine
    seed: int
    precision: str
    versions: Mapping[str, str]
    tables: int
    chunk: int
    draws: bool = True
    rows: RowSettings = field(default_factory=RowSettings)
    names: str = NAMELESS

    @property
    def chunks(self) -> range:
        """The numbers of its chunks."""
        return range(-(-self.tables // self.chunk))

    def indices(self, number: int) -> range:
        """The tables of a chunk."""
        return range(number * self.chunk, min((number + 1) * self.chunk, self.tables))

    @cached_property
    def attrs(self) -> dict[str, str | int]:
        """As attributes of a file.

        Raises
        ------
        StorageError
            Its model or engine cannot be found by name again.
        """
        numbers = {"seed": self.seed, "tables": self.tables, "chunk": self.chunk, "draws": int(self.draws)}
        engine, versions = json.dumps(_encode_engine(self.engine)), json.dumps(dict(self.versions))
        model = encode_model(self.model, by_digest=True)
        texts = {"precision": self.precision, "engine": engine, "model": model, "versions": versions}
        return {**numbers, **texts, "rows": json.dumps(self.rows), "names": self.names}

    @classmethod
    def of(cls, attrs: Mapping[str, Any], known: "Batch | None" = None) -> Self:
        """The inverse of `attrs`; raises any error on what was not made there.

        Parameters
        ----------
        attrs
            As they were read.
        known
            The batch they should be of, whose model is taken where it is the same: a law may be a function.
        """
        versions = {str(name): str(version) for name, version in json.loads(attrs["versions"]).items()}
        same = known is not None and known.attrs["model"] == attrs["model"]
        model = known.model if known and same else decode_model(attrs["model"])
        engine = _decode_engine(json.loads(attrs["engine"]))
        tables, chunk = attrs["tables"], attrs["chunk"]
        if min(tables, chunk - 1) < 0:
            raise StorageError("it counts its tables below zero")
        budgets, discrepancy, health = json.loads(attrs.get("rows", json.dumps(RowSettings())))
        rows = RowSettings(tuple(map(float, budgets)), discrepancy, bool(health))
        others = bool(attrs.get("draws", True)), rows, str(attrs.get("names", NAMELESS))  # of a folder without rows
        return cls(
            model, engine, checked_seed(attrs["seed"]), str(attrs["precision"]), versions, tables, chunk, *others
        )


@dataclass(frozen=True)
class Chunk:
    """Consecutive tables of a batch.

    Attributes
    ----------
    start
        Index of the first in the batch.
    tables
        Each as it was fitted; None where it could not be read.
    results
        A result for each, or the reason of its failure.
    """

    start: int
    tables: tuple[Runs | None, ...]
    results: tuple[EngineResult | str, ...]

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Of each table; empty where it could not be read."""
        return tuple("" if table is None else table.fingerprint for table in self.tables)

    @property
    def failures(self) -> dict[int, str]:
        """Index in the batch -> the reason, of tables without a fit."""
        return {self.start + i: result for i, result in enumerate(self.results) if isinstance(result, str)}

    def to_bytes(self) -> memoryview:
        """As a netCDF file that does not say of which batch."""
        return to_netcdf(self.encode({}), FORMAT_VERSION)

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """The inverse of `to_bytes`."""
        return cls.decode(from_netcdf(BytesIO(content), FORMAT_VERSION))

    def encode(self, batch: Mapping[str, str | int]) -> Group:
        """What its file has.

        Parameters
        ----------
        batch
            `Batch.attrs`.

        Returns
        -------
        Group
            One group for the tables of each layout: the same columns, and results of the same names and shapes. In it
            `table` (table,), indices in the batch; runs, the columns by number with one table after the other, (run,),
            and `row_count` (table,); and the results' parts, each (table, chain, draw).
        """
        layouts: dict[tuple, list[int]] = {}
        for i, (table, result) in enumerate(zip(self.tables, self.results, strict=True)):
            layouts.setdefault((_columns_layout(table), _result_layout(result)), []).append(i)
        attrs = {**batch, "format": FORMAT, "format_version": FORMAT_VERSION, "start": self.start}
        return Group(attrs, {}, {f"layout_{k}": self._encode(rows) for k, rows in enumerate(layouts.values())})

    def _encode(self, rows: list[int]) -> Group:
        """The tables of one layout: all of them could be read, or none; all were fitted, or none."""
        results = [self.results[i] for i in rows]
        tables = [table for i in rows if (table := self.tables[i]) is not None]
        fitted = [result for result in results if isinstance(result, EngineResult)]
        variables = {"table": Variable(("table",), [self.start + i for i in rows])}
        attrs, groups = {}, {}
        if tables:
            counts = Variable(("table",), [len(table) for table in tables], {"sample_dimension": "run"})
            about = json.dumps([about_table(table) for table in tables])
            groups["runs"] = Group({"tables": about}, {"row_count": counts, **encode_columns(tables)})
        if not fitted:
            variables["failure"] = Variable(("table",), [str(result) for result in results])
        else:
            attrs["checks"] = json.dumps([[asdict(check) for check in result.checks] for result in fitted])
            for part, group in PARTS.items():
                names = getattr(fitted[0], part)
                stacked = {name: [getattr(result, part)[name] for result in fitted] for name in names}
                note = {"comment": UNIT_FREE} if part == "draws" else {}
                groups[group] = Group(note, {k: Variable(("table", *SAMPLE), v) for k, v in stacked.items()})
        return Group(attrs, variables, groups)

    @classmethod
    def decode(cls, contents: Contents) -> Self:
        """The inverse of `encode`; raises any error on what was not made there."""
        if (found := contents.attrs["format"]) != FORMAT:
            raise StorageError(f"it is a {found}, not a {FORMAT}")
        tables: dict[int, Runs] = {}
        results: dict[int, EngineResult | str] = {}
        for group in contents.groups.values():
            indices = group.arrays["table"].tolist()
            if "runs" in group.groups:
                tables |= zip(indices, _decode_tables(group.groups["runs"]), strict=True)
            results |= zip(indices, _decode_results(group), strict=True)
        start = contents.attrs["start"]
        indices = range(start, start + len(results))
        return cls(start, tuple(tables.get(i) for i in indices), tuple(results[i] for i in indices))


def table_seed(seed: int, index: int) -> int:
    """The seed of one table: from the seed of all and its index alone."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _columns_layout(table: Runs | None) -> tuple | None:
    return None if table is None else tuple((name, v.dtype.kind) for name, v in table.columns.items())


def _result_layout(result: EngineResult | str) -> tuple | None:
    """What must agree for two results to be stacked."""
    if isinstance(result, str):
        return None
    parts = [{name: np.asarray(values) for name, values in getattr(result, part).items()} for part in PARTS]
    return tuple(tuple((name, v.shape, str(v.dtype)) for name, v in part.items()) for part in parts)


def _decode_tables(runs: Contents) -> Iterator[Runs]:
    ends = np.cumsum(runs.arrays["row_count"]).tolist()
    for about, start, end in zip(json.loads(runs.attrs["tables"]), [0, *ends], ends, strict=False):
        yield decode_table(about, runs.arrays, slice(start, end))


def _decode_results(group: Contents) -> Iterator[EngineResult | str]:
    if "failure" in group.arrays:
        yield from map(str, group.arrays["failure"])
        return
    draws, stats = (group.groups[name].arrays for name in PARTS.values())
    for i, checks in enumerate(json.loads(group.attrs["checks"])):
        row = [{name: values[i] for name, values in part.items()} for part in (draws, stats)]
        yield EngineResult(row[0], row[1], decode_checks(checks))


def _encode_engine(engine: Engine) -> dict[str, Any]:
    """Its name and options, engines among them included."""
    if Engine.registry.get(engine.name) is not type(engine):
        raise StorageError(f"the engine {engine} cannot be stored: no engine is registered by that name.")
    options = {k: {"engine": _encode_engine(v)} if isinstance(v, Engine) else v for k, v in vars(engine).items()}
    return {"name": engine.name, "options": options}


def _decode_engine(stored: dict[str, Any]) -> Engine:
    options = {k: _decode_engine(v["engine"]) if isinstance(v, dict) else v for k, v in options_of(stored).items()}
    return lookup(stored["name"], Engine.registry, "engine")(**options)
