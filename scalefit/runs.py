"""Runs: the frozen, validated table of training runs that everything starts from."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import islice
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Shaped

from scalefit._bad_cells import POSITIVE_COLUMNS, bad_cells, refuse
from scalefit._results import PROB, Result
from scalefit._row_errors import RowErrors
from scalefit._tables import Table
from scalefit.counting import OMEGA, check_convention, flops_6nd, refuse_mix, to_non_embedding, to_total
from scalefit.errors import DataError
from scalefit.loss_units import NATS, check_bytes, in_unit, read_unit
from scalefit.units import format_count, format_flops

TABLE = "number of the table"  # a column of joined tables, whose clusters it keeps apart


@dataclass(frozen=True, eq=False, repr=False)
class Runs(RowErrors, Result):
    """A table of training runs, one row a run, under canonical names.

    Parameters
    ----------
    columns
        Name -> values (run,). `params` and `tokens` are raw counts, `flops` is in FLOP, `loss` in `unit`s;
        further columns (`unique_tokens`, `group`, ...) are kept for the laws that take them.
    name
        What the table is called in messages.
    notes
        What was derived or looks doubtful, a sentence each.
    convention
        What `params` counts: "total", "non_embedding" or "active" parameters; None where it is not stated.
    unit
        Of the loss: "nats per token", "bits per byte", "error rate" or any name.
    cluster
        The column, or columns, whose values identify the runs that share an error: checkpoints of one run, repeated
        seeds, several evaluations of a run. Runs with the same values in all of them are one cluster.
    weight
        The column of each run's known precision: the variance of its own noise is sigma^2 / weight, as of the mean of
        so many runs.
    sd
        The column of each loss's known measurement error, a standard deviation in the unit of the loss: its variance,
        relative to the loss, adds to that of the run's own noise.

    Raises
    ------
    DataError
        A value cannot be used, columns differ in length, or there is no run. The sentence names every bad row.
    OptionError
        The convention is unknown, or the unit is no name.
    """

    columns: Mapping[str, Any]
    name: str = "runs"
    notes: tuple[str, ...] = field(default=())
    convention: str | None = None
    unit: str = NATS
    cluster: str | tuple[str, ...] = ()
    weight: str | None = None
    sd: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "unit", read_unit(self.unit))
        if self.convention is not None:
            check_convention(self.convention)
        columns = {name: _frozen(name, values) for name, values in self.columns.items()}
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"{self.name}: the columns differ in length: {lengths}. Give one row for every run.")
        if not lengths.get("loss"):
            raise DataError(f"{self.name}: the table has no runs. Give a table with a loss for every run.")
        refuse(bad_cells(columns, self.unit), self.name)
        object.__setattr__(self, "columns", MappingProxyType(columns))
        object.__setattr__(self, "cluster", (self.cluster,) if isinstance(self.cluster, str) else tuple(self.cluster))
        refuse(self.bad_errors(), self.name)

    def __reduce__(self) -> tuple:
        own = (getattr(self, each.name) for each in fields(self))
        return type(self), (dict(self.columns), *islice(own, 1, None))  # a mapping proxy has no pickle

    def __len__(self) -> int:
        return len(self.columns["loss"])

    def __getitem__(self, column: str) -> Shaped[np.ndarray, " run"]:
        if column not in self.columns:
            known = ", ".join(self.columns)
            raise DataError(f"{self.name} has no column {column!r}, only {known}. Add it, or map another column to it.")
        return self.columns[column]

    @property
    def params(self) -> Float[np.ndarray, " run"]:
        """Parameters N of each run, (run,)."""
        return self["params"]

    @property
    def tokens(self) -> Float[np.ndarray, " run"]:
        """Training tokens D of each run, (run,)."""
        return self["tokens"]

    @property
    def loss(self) -> Float[np.ndarray, " run"]:
        """Final loss of each run in `unit`s, (run,)."""
        return self["loss"]

    @property
    def flops(self) -> Float[np.ndarray, " run"]:
        """Training compute of each run in FLOP, (run,): the column where there is one, else 6 N D of what is active."""
        if "flops" in self.columns:
            return self.columns["flops"]
        return flops_6nd(self.columns.get("active_params", self.params), self.tokens)

    @property
    def fingerprint(self) -> str:
        """A SHA-256 of column names, values, stated convention, unit and errors, for one table whatever its name."""
        digest = hashlib.sha256(((self.convention or "") + (self.unit if self.unit != NATS else "")).encode())
        if self.cluster or self.weight or self.sd:
            digest.update(repr((self.cluster, self.weight, self.sd)).encode())
        for name in sorted(self.columns):
            values = self.columns[name]
            raw = values.tobytes() if values.dtype.kind == "f" else "\0".join(map(str, values)).encode()
            digest.update(f"{name}:{len(values)}:".encode() + raw)
        return digest.hexdigest()

    def subset(self, keep: Any) -> Self:
        """The runs that `keep` selects, a mask (run,) or an array of indices, in this order."""
        return replace(self, columns={name: values[keep] for name, values in self.columns.items()})

    def split(self, first: Any) -> tuple[Self, Self]:
        """The runs that the mask `first` (run,) selects, and the others."""
        first = np.asarray(first, dtype=bool)
        return self.subset(first), self.subset(~first)

    def joined(self, *others: Self) -> Self:
        """These runs and then those of other tables.

        Parameters
        ----------
        *others
            Tables that count N by the same convention.

        Returns
        -------
        Runs
            All runs, with the columns that every table has; runs of different tables share no cluster.

        Raises
        ------
        DataError
            The tables count N by different conventions, or one states a convention and another does not; their losses
            are in different units, or clusters or measurement errors are in other columns.
        """
        tables = (self, *others)
        for other in others:
            refuse_mix(self.convention, other.convention, other.name)
            refuse_other_unit(self.unit, other.unit, other.name)
            if (self.cluster, self.weight, self.sd) != (other.cluster, other.weight, other.sd):
                raise DataError(
                    f"{self.name} and {other.name} have other columns of cluster, weight or sd. Name the same for both."
                )
            if self.convention != other.convention:
                raise DataError(
                    f"only one of {self.name} and {other.name} states what its params count. "
                    "State it for both, as in read_runs(..., convention='total')."
                )
        shared = [name for name in self.columns if all(name in table.columns for table in others)]
        columns = {name: np.concatenate([table[name] for table in tables]) for name in shared}
        cluster = self.cluster
        if cluster and TABLE not in cluster:
            columns[TABLE] = np.repeat(np.arange(1.0, len(tables) + 1), [len(table) for table in tables])
            cluster = (*cluster, TABLE)
        return replace(self, columns=columns, name=" + ".join(table.name for table in tables), cluster=cluster)

    def with_convention(self, convention: str, omega: float = OMEGA) -> Self:
        """Count N by another convention, by N_T = N_E + omega N_E^(1/3).

        Parameters
        ----------
        convention
            "total" or "non_embedding".
        omega
            `counting.embedding_scale(vocabulary, aspect)` of these models.

        Returns
        -------
        Runs
            The same runs with the other N. Tokens and loss stay; compute that was 6 N D is counted again with the new
            N, measured compute stays.

        Raises
        ------
        DataError
            The table does not state what it counts, or one of the two is "active", which depends on the routing.
        OptionError
            The convention is unknown.

        References
        ----------
        Pearce & Song 2024 (arXiv 2406.12907), see `counting.to_total`.
        """
        if self.convention is None:
            raise DataError(
                f"{self.name} does not state what its params count. State it, as in read_runs(..., convention='total')."
            )
        if check_convention(convention) == self.convention:
            return self
        if "active" in (self.convention, convention):
            raise DataError(f"{self.name}: active parameters depend on the routing. Count the shape of each model.")
        params = (to_total if convention == "total" else to_non_embedding)(self.params, omega)
        columns = {**self.columns, "params": params}
        if "flops" in columns and np.allclose(self.flops, flops_6nd(self.params, self.tokens), rtol=1e-6):
            columns["flops"] = flops_6nd(params, self.tokens)
        note = f"params were converted from {self.convention} to {convention} with omega {omega:g} (Pearce & Song 2024)"
        return replace(self, columns=columns, notes=(*self.notes, note), convention=convention)

    def in_nats(self, bytes_per_token: float) -> Self:
        """Losses in nats per token, from bits or nats per byte.

        Parameters
        ----------
        bytes_per_token
            Of the tokenizer on the data.

        Returns
        -------
        Runs
            The same runs, with a note.

        Raises
        ------
        OptionError
            The losses are not for each byte, or the number is out of range.
        """
        factor = check_bytes(self.unit, bytes_per_token)
        errors = {} if self.sd is None else {self.sd: factor * self[self.sd]}
        note = f"losses were converted from {self.unit} to {NATS} with {bytes_per_token:g} bytes per token"
        columns = {**self.columns, "loss": factor * self.loss, **errors}
        return replace(self, columns=columns, notes=(*self.notes, note), unit=NATS)

    def describe(self) -> str:
        """One line: how many runs, and the range of each count and of the loss."""
        return f"{self.name}: {len(self)} runs; {self._ranges()}"

    def headline(self, prob: float = PROB) -> str:
        """How many runs, the range of each count and of the loss, and the notes."""
        notes = "".join(f"\nnote: {note}" for note in self.notes)
        return f"{self.name} has {len(self)} runs ({self._ranges()}).{notes}"

    def _table(self, prob: float) -> Table:
        return Table("run", range(1, len(self) + 1), self.columns).loss_in(self.unit)

    def _ranges(self) -> str:
        stated = {"params": f" ({self.convention.replace('_', '-')})" if self.convention else ""}
        counts = [
            f"{symbol} {format_count(self[name].min())} to {format_count(self[name].max())}{stated.get(name, '')}"
            for symbol, name in (("N", "params"), ("D", "tokens"))
            if name in self.columns
        ]
        if {"params", "tokens"} <= set(self.columns):
            counts.append(f"C {format_flops(self.flops.min())} to {format_flops(self.flops.max())} FLOP")
        loss = in_unit(f"loss {self.loss.min():.3f} to {self.loss.max():.3f}", self.unit)
        return "; ".join([*counts, loss])


def refuse_other_unit(wanted: str, found: str, what: str) -> None:
    """Raise `DataError` where losses are in another unit."""
    if wanted != found:
        raise DataError(f"the losses of {what} are in {found}, not in {wanted}. Convert them, or state their unit.")


def _frozen(name: str, values: object) -> Shaped[np.ndarray, " run"]:
    """A read-only column of floats, or of texts where its values are not numbers."""
    if isinstance(values, np.ma.MaskedArray):
        kind = float if values.dtype.kind in "fiub" else object
        values = np.ma.filled(values.astype(kind), np.nan)
    if type(values) is np.ndarray and values.base is None and not values.flags.writeable:
        array = values
    else:
        array = np.array(values)
    if array.ndim != 1:
        raise DataError(f"column {name!r} has shape {array.shape}. Give one value for every run.")
    if name in POSITIVE_COLUMNS and array.size and array.dtype.kind not in "fiu":
        raise DataError(f"column {name!r} has values of type {array.dtype}. Read the table with `read_runs`.")
    if array.dtype.kind != "U":
        array = array.astype(float) if array.dtype.kind in "fiub" else np.array([str(value) for value in array])
    array.flags.writeable = False
    return array
