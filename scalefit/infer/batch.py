"""Many tables in one compiled program: `LANES` at a time, group after group, on every local device."""

from collections.abc import Hashable, Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jax import Array
from jaxtyping import Int, UInt32

from scalefit._aot import cached_jit, on_host
from scalefit._random import prng_keys
from scalefit.infer._devices import AHEAD, is_cpu, lanes_that_fit, on_devices
from scalefit.model.data import Data
from scalefit.model.model import BoundModel, Model, stacked

CHUNK = 256  # tables, on CPU
# On an H100 1,024 lanes take 14.4 us a table, 8,192 take 10.8; of few tables all lanes are computed.
LANES = {"cpu": 8, "elsewhere": 4096}
BYTES_PER_RUN = 1700  # of one lane's memory while it is solved: 421 MB for 1,024 tables of 256 runs in float32


@runtime_checkable
class Solver(Hashable, Protocol):
    """Options, hashable, with one pure function of a table."""

    def solve(self, model: Model, data: Data, key: UInt32[Array, " 2"]) -> Any:
        """Arrays, in dicts and tuples."""


def usual_chunk(tables: int | None = None, shards: int = 1) -> int:
    """How many tables to give to `solve_many` at a time.

    Parameters
    ----------
    tables
        How many there are in all, where they are dealt out to shards.
    shards
        How many there are: none should be without a chunk, or with one that fills no group.

    Returns
    -------
    int
        Enough for groups on every device; the same in all processes of a cluster.
    """
    lanes = LANES["cpu" if is_cpu() else "elsewhere"]
    most = CHUNK if is_cpu() else 2 * AHEAD * lanes * jax.device_count() // jax.process_count()
    if tables is None or shards == 1:
        return most
    return min(most, max(1, -(-tables // (shards * lanes))) * lanes)


def solve_many(solver: Solver, bounds: Sequence[BoundModel], seeds: Sequence[int]) -> Any:
    """`solver.solve(model, data, key)` of every table.

    Parameters
    ----------
    solver
        What is compiled.
    bounds
        Tables of one padded length, bound to one model.
    seeds
        One a table.

    Returns
    -------
    tree of arrays
        As `solve` gives it, in NumPy, each (table, ...).
    """
    runs = bounds[0].rows if bounds else 1
    lanes = lanes_for(runs)

    def solve(rows: Int[np.ndarray, " lane"], device: Any) -> Any:
        tables = stacked([bounds[row] for row in rows]), prng_keys([seeds[row] for row in rows])
        return on_host(solve_group(solver, bounds[0].model, *jax.device_put(tables, device)))

    return on_devices(solve, len(bounds), lanes, lanes * runs * BYTES_PER_RUN)


@cached_jit("solver", "model")
def solve_group(solver: Solver, model: Model, data: Data, keys: UInt32[Array, "table 2"]) -> Any:
    """`solver.solve` of tables stacked along a leading axis, as is its result."""
    return jax.vmap(partial(solver.solve, model))(data, keys)


def lanes_for(rows: int) -> int:
    """How many tables of `rows` padded runs are solved together."""
    return LANES["cpu"] if is_cpu() else lanes_that_fit(LANES["elsewhere"], BYTES_PER_RUN * rows)
