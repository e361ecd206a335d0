"""Many tables in one compiled program: `LANES` at a time, group after group, on every local device.

The program has a fixed shape and a variable number of groups, so that it is compiled once however many tables there
are; and each group is computed alike wherever it lies, so that chunks, processes and the number of devices do not
change a table's numbers. (One device alone differs from several in rounding: XLA has another pipeline for it.)
"""

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache, partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from scalefit._programs import quick
from scalefit.model import BoundModel, Data, Model, stacked

LANES = {"cpu": 8, "elsewhere": 1024}
BUFFER = {"cpu": 2**23, "elsewhere": 2**30}  # bytes of tables and results that a device holds at a time
AXIS = PartitionSpec("tables")


class Solver(Hashable, Protocol):
    """Options, hashable, with one pure function of a table."""

    def solve(self, model: Model, data: Data, key: Array) -> Any:
        """Any tree of arrays."""


def solve_many(solver: Solver, bounds: Sequence[BoundModel], seeds: Sequence[int]) -> Any:
    """`solver.solve(model, data, key)` of every table: its tree of NumPy arrays, each (table, ...).

    One model; tables of one padded length.
    """
    devices = tuple(jax.local_devices())
    lanes = LANES[_where(devices)]
    program, groups = _program(solver, bounds[0].model, devices, lanes, bounds[0].rows)
    step, found = groups * lanes * len(devices), []
    for start in range(0, len(bounds), step):
        part = slice(start, start + step)
        found.append(_solve_step(program, bounds[part], seeds[part], (len(devices), groups, lanes)))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *found)


def _where(devices: tuple) -> str:
    return "cpu" if devices[0].platform == "cpu" else "elsewhere"


def _solve_step(program: Any, bounds: Sequence[BoundModel], seeds: Sequence[int], shape: tuple) -> Any:
    """One call of the program: tables are dealt to the devices in whole groups, the last one filled by repetition."""
    devices, groups, lanes = shape
    needed = -(-len(bounds) // lanes)
    share = [needed // devices + (device < needed % devices) for device in range(devices)]
    first = np.cumsum([0, *share[:-1]])
    # Row of each (device, group, lane); groups beyond a device's share are never looked at.
    row = lanes * (first[:, None, None] + np.arange(groups)[:, None]) + np.arange(lanes)
    row = np.minimum(row, len(bounds) - 1)
    data, keys = jax.tree.map(lambda leaf: leaf[row], (stacked(bounds), _keys(seeds)))
    out = program(data, keys, np.asarray(share, np.int32)[:, None])
    kept = np.arange(groups) < np.array(share)[:, None]
    return jax.tree.map(lambda leaf: _by_table(np.asarray(leaf)[kept])[: len(bounds)], out)


def _by_table(groups: np.ndarray) -> np.ndarray:
    """From (group, lane, ...) to (table, ...)."""
    return groups.reshape(-1, *groups.shape[2:])


def _keys(seeds: Sequence[int]) -> np.ndarray:
    """`jax.random.PRNGKey` of every seed, (seed, 2), at once."""
    wide = np.asarray(seeds, np.uint64)
    return np.stack([wide >> np.uint64(32), wide & np.uint64(0xFFFFFFFF)], axis=1).astype(np.uint32)


@lru_cache(maxsize=16)
def _program(solver: Solver, model: Model, devices: tuple, lanes: int, rows: int) -> tuple[Any, int]:
    """The compiled program, and how many groups a device takes a call."""
    lane = partial(solver.solve, model)
    group = jax.vmap(lane)

    def on_device(data: Data, keys: Array, share: Array) -> Any:
        data, keys = jax.tree.map(lambda leaf: leaf[0], (data, keys))
        at = lambda g: jax.tree.map(lambda leaf: leaf[g], (data, keys))
        shapes = jax.eval_shape(group, *at(0))
        empty = jax.tree.map(lambda s: jnp.zeros((len(keys), *s.shape), s.dtype), shapes)

        def body(g: Array, out: Any) -> Any:
            return jax.tree.map(lambda whole, part: whole.at[g].set(part), out, group(*at(g)))

        out = jax.lax.fori_loop(0, share[0, 0], body, empty)
        return jax.tree.map(lambda leaf: leaf[None], out)

    mesh = Mesh(np.asarray(devices), ("tables",))
    sharded = jax.shard_map(on_device, mesh=mesh, in_specs=AXIS, out_specs=AXIS, check_vma=False)
    placed = NamedSharding(mesh, AXIS)
    options = quick(devices[0].platform)
    program = jax.jit(sharded, in_shardings=placed, out_shardings=placed, compiler_options=options)
    return program, max(1, BUFFER[_where(devices)] // (lanes * _bytes(lane, model, rows)))


def _bytes(lane: Callable, model: Model, rows: int) -> int:
    """Of one table and its results."""
    number: Any = jax.ShapeDtypeStruct((rows,), jnp.result_type(float))
    unit: Any = jax.ShapeDtypeStruct((), number.dtype)
    inputs = model.law.inputs
    data = Data(dict.fromkeys(inputs, number), number, number, dict.fromkeys((*inputs, "loss"), unit))
    found = jax.eval_shape(lane, data, jax.ShapeDtypeStruct((2,), jnp.uint32))
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves((data, found)))
