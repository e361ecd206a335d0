"""Padding and chunking: many like things computed by few programs, in bounded memory.

Every shape is a program of its own to compile. So tables are padded to a few lengths, and what is long is taken in
chunks of one size, of which the last is filled up with copies that are dropped afterwards.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

R = TypeVar("R")
T = TypeVar("T")
GROUP = 32  # on a CPU, where lanes of one group wait for the slowest of them


def padded_rows(count: int, step: int) -> Int[np.ndarray, " padded"]:
    """Indices that pad `count` rows to a multiple of `step`, by repeating the last row."""
    return np.minimum(np.arange(-(-count // step) * step), count - 1)


def chunks(count: int, size: int) -> Iterator[range]:
    """Consecutive indices, at most `size` at a time, that together are those of `count` rows."""
    return (range(start, min(start + size, count)) for start in range(0, count, size))


def in_chunks(
    f: Callable[[T], R], rows: T, size: int, *, axis: int = 0, report: Callable[[int, int], object] | None = None
) -> R:
    """The results of `f` on `size` rows at a time, as if it had been called once on all of them.

    Parameters
    ----------
    f
        Compiled, or a few calls of what is: trees of arrays, `size` long, to trees of arrays.
    rows
        A tree of arrays of one length along their first axis.
    size
        Of every chunk: the last repeats the last row, so that one program serves all.
    axis
        Of the results, the one that belongs to the rows.
    report
        Called with the rows done and the rows in all after every chunk.

    Returns
    -------
    R
        NumPy arrays.
    """
    host = jax.tree.map(np.asarray, rows)
    count = len(jax.tree.leaves(host)[0])
    parts = []
    for chunk in padded_rows(count, size).reshape(-1, size):
        found = f(jax.tree.map(lambda leaf: leaf[chunk], host))  # noqa: B023
        parts.append(jax.tree.map(np.asarray, found))
        if report:
            report(min(len(parts) * size, count), count)
    joined = jax.tree.map(lambda *leaves: np.concatenate(leaves, axis), *parts)
    return jax.tree.map(lambda leaf: leaf[(slice(None),) * axis + (slice(count),)], joined)


def at_rows(in_axes: Any, parts: T, rows: Any) -> T:
    """Rows of every leaf of a tree that has lanes.

    Parameters
    ----------
    in_axes
        0 or None for parts of the tree, as for `jax.vmap`.
    parts
        The tree, of arrays.
    rows
        Which, (row,), or one of them.
    """
    some = lambda axis, part: part if axis is None else jax.tree.map(lambda leaf: leaf[rows], part)
    return jax.tree.map(some, in_axes, parts, is_leaf=lambda axis: axis is None)


def by_groups(f: Callable[..., T], in_axes: Any = 0, size: int | None = None) -> Callable[..., T]:
    """`jax.vmap(f, in_axes)` inside a program, a group of lanes at a time.

    Parameters
    ----------
    f
        A pure function of trees of arrays.
    in_axes
        0 or None for every argument, or trees of these.
    size
        Lanes of a group; the last is filled up, for a smaller one would be compiled again. By default `GROUP` on a
        CPU, so that what takes few steps does not wait for what takes many, and elsewhere all of them.

    Returns
    -------
    Callable
        Its results have the lanes along their first axis.
    """
    is_axis: Any = lambda axis: axis is None

    def call(*args: Any) -> T:
        mapped = jax.tree.map(lambda axis, part: None if axis is None else part, in_axes, args, is_leaf=is_axis)
        count = len(jax.tree.leaves(mapped)[0])
        group = size or (GROUP if jax.default_backend() == "cpu" else count)
        if count <= group:
            return jax.vmap(f, in_axes)(*args)

        lanes = jax.tree.map(jnp.asarray, args)
        one = lambda row: f(*at_rows(in_axes, lanes, row))
        found = jax.lax.map(one, jnp.asarray(padded_rows(count, group)), batch_size=group)
        return jax.tree.map(lambda leaf: leaf[:count], found)

    return call


def groups_alike(
    kind: Int[Array, " row"], kinds: int, size: int
) -> tuple[Int[Array, " group"], Int[Array, "group size"], Bool[Array, "group size"]]:
    """Groups of rows of one kind, inside a program: what a kind needs is then looked up once a group.

    Parameters
    ----------
    kind
        Of every row, from 0 to `kinds` - 1.
    kinds
        How many there are.
    size
        Rows of a group.

    Returns
    -------
    tuple
        The kind of each group, its rows, and which of these count: every row counts once, others fill groups up.
    """
    count = jnp.bincount(kind, length=kinds)
    groups = -(-count // size)
    number = jnp.arange(-(-len(kind) // size) + kinds)
    of_group = jnp.minimum(jnp.searchsorted(jnp.cumsum(groups), number, side="right"), kinds - 1)
    place = (number - (jnp.cumsum(groups) - groups)[of_group])[:, None] * size + jnp.arange(size)
    counts = place < count[of_group][:, None]
    at = jnp.minimum((jnp.cumsum(count) - count)[of_group][:, None] + place, len(kind) - 1)
    return of_group, jnp.argsort(kind)[at], counts
