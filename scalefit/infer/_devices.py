"""Many like things on every local device: a group of them at a time, by the program that one device alone would run.

Each group is computed alike wherever it lies, so that chunks, processes and devices do not change a table's numbers.
(One program sharded over devices would: XLA has other passes for it, and they round otherwise.)
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from scalefit._batching import padded_rows
from scalefit._precision import precision, precision_in_force

SHARE = 1 / 16  # of a device's memory for one group, of which several are there at a time
AHEAD = 2  # groups that an accelerator is given at a time: one is made ready while another is computed


def on_devices(solve: Callable[[Int[np.ndarray, " lane"], Any], Any], count: int, lanes: int, size: int) -> Any:
    """Results of many things, a group at a time.

    Parameters
    ----------
    solve
        From the rows of a group, the last of them repeated where there are too few, and a device to trees of NumPy
        arrays, each (lane, ...). It is called in threads, in the precision in force.
    count, lanes
        How many things there are, and how many make a group.
    size
        Bytes that a group takes of the device's memory.

    Returns
    -------
    tree of arrays
        Each (thing, ...).
    """
    devices, kind = jax.local_devices(), precision_in_force()
    groups = padded_rows(count, lanes).reshape(-1, lanes)

    def of_group(number: int) -> Any:
        with precision(kind):  # which each thread has its own of
            return solve(groups[number], devices[number % len(devices)])

    numbers = range(len(groups))
    # The first group traces the program and one on each other device compiles it there, before any is asked twice.
    waves = numbers[:1], numbers[1 : len(devices)], numbers[len(devices) :]
    with ThreadPoolExecutor(at_once(devices, size)) as pool:
        found = [part for wave in waves for part in pool.map(of_group, wave)]
    return jax.tree.map(lambda *parts: np.concatenate(parts)[:count], *found)


def lanes_that_fit(most: int, bytes_each: float) -> int:
    """A power of two of lanes that an accelerator's memory holds, whatever is free: other numbers round differently."""
    memory = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit", 16 * 2**30)
    return min(most, 1 << max(3, int(SHARE * memory / bytes_each).bit_length() - 1))


def is_cpu() -> bool:
    """Whether programs run on the host."""
    return jax.default_backend() == "cpu"


def at_once(devices: Sequence[Any], size: int) -> int:
    """Groups under way: on CPU one a core, which is less to wait for than a core's share of every operation.

    Elsewhere as many as the devices' free memory holds, of `size` bytes each, so that what else is there at the moment
    takes time and not numbers.
    """
    if is_cpu():
        return max(len(devices), cores())
    known = [device.memory_stats() or {} for device in devices]
    free = min(stats.get("bytes_limit", size * AHEAD) - stats.get("bytes_in_use", 0) for stats in known)
    return len(devices) * max(1, min(AHEAD, free // size))


def cores() -> int:
    """Those that this process may use: a task of a batch system has a few of its node's."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux knows
        return os.cpu_count() or 1
