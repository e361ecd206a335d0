"""Many tables in one compiled program: `LANES` at a time, group after group, on every local device.

Each group is computed alike wherever it lies, and each device runs the program that one alone would run, so that
chunks, processes and devices do not change a table's numbers. (One program sharded over devices would: XLA has other
passes for it, and they round otherwise.)
"""

import os
from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jax import Array
from jaxtyping import UInt32

from scalefit._aot import cached_jit, on_host
from scalefit._batching import padded_rows
from scalefit._precision import precision, precision_in_force
from scalefit._random import prng_keys
from scalefit.model.data import Data
from scalefit.model.model import BoundModel, Model, stacked

CHUNK = 256  # tables, on CPU
# On an H100 1,024 lanes take 14.4 us a table, 8,192 take 10.8; of few tables all lanes are computed.
LANES = {"cpu": 8, "elsewhere": 4096}
BYTES_PER_RUN = 1700  # of one lane's memory while it is solved: 421 MB for 1,024 tables of 256 runs in float32
SHARE = 1 / 16  # of a device's memory for one group, of which several are there at a time
AHEAD = 2  # groups that an accelerator is given at a time: one is made ready while another is computed


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
    where = _where()
    most = CHUNK if where == "cpu" else 2 * AHEAD * LANES["elsewhere"] * jax.device_count() // jax.process_count()
    if tables is None or shards == 1:
        return most
    return min(most, max(1, -(-tables // (shards * LANES[where]))) * LANES[where])


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
    devices, kind, lanes = jax.local_devices(), precision_in_force(), lanes_for(bounds[0].rows if bounds else 1)
    groups = padded_rows(len(bounds), lanes).reshape(-1, lanes)

    def solve(number: int) -> Any:
        rows, device = groups[number], devices[number % len(devices)]
        tables = stacked([bounds[row] for row in rows]), prng_keys([seeds[row] for row in rows])
        with precision(kind):  # which each thread has its own of
            found = solve_group(solver, bounds[0].model, *jax.device_put(tables, device))
            return on_host(found)

    numbers = range(len(groups))
    # The first group traces the program and one on each other device compiles it there, before any is asked twice.
    waves = numbers[:1], numbers[1 : len(devices)], numbers[len(devices) :]
    group = lanes * (bounds[0].rows if bounds else 1) * BYTES_PER_RUN
    with ThreadPoolExecutor(_at_once(devices, group)) as pool:
        found = [part for wave in waves for part in pool.map(solve, wave)]
    return jax.tree.map(lambda *parts: np.concatenate(parts)[: len(bounds)], *found)


@cached_jit("solver", "model")
def solve_group(solver: Solver, model: Model, data: Data, keys: UInt32[Array, "table 2"]) -> Any:
    """`solver.solve` of tables stacked along a leading axis, as is its result."""
    return jax.vmap(partial(solver.solve, model))(data, keys)


def lanes_for(rows: int) -> int:
    """How many tables of `rows` padded runs are solved together.

    A power of two that the device's memory holds, whatever is free at the moment: other numbers round differently.
    """
    if _where() == "cpu":
        return LANES["cpu"]
    memory = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit", 16 * 2**30)
    most = int(SHARE * memory / (BYTES_PER_RUN * rows))
    return min(LANES["elsewhere"], 1 << max(3, most.bit_length() - 1))


def _where() -> str:
    return "cpu" if jax.default_backend() == "cpu" else "elsewhere"


def _at_once(devices: Sequence[Any], group: int) -> int:
    """Groups under way: on CPU one a core, which is less to wait for than a core's share of every operation.

    Elsewhere as many as the devices' free memory holds, of `group` bytes each, so that what else is there at the moment
    takes time and not numbers.
    """
    if _where() == "cpu":
        return max(len(devices), _cores())
    known = [device.memory_stats() or {} for device in devices]
    free = min(stats.get("bytes_limit", group * AHEAD) - stats.get("bytes_in_use", 0) for stats in known)
    return len(devices) * max(1, min(AHEAD, free // group))


def _cores() -> int:
    """Those that this process may use: a task of a batch system has a few of its node's."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux knows
        return os.cpu_count() or 1
