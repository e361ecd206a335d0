"""Small numerical tools shared by every floor: precision, a root finder, intervals."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

T = TypeVar("T")
GROUP = 32


def by_groups(f: Callable[..., T], in_axes: Any = 0, size: int | None = None) -> Callable[..., T]:
    """`jax.vmap(f, in_axes)`, a group of `size` at a time; the last is filled up, for a smaller one is compiled again.

    By default, on a CPU, `GROUP`: what takes few steps does not wait for what takes many. in_axes : 0 and None, or
    trees of these, of every argument.
    """
    is_axis: Any = lambda axis: axis is None

    def call(*args: Any) -> T:
        mapped = jax.tree.map(lambda axis, part: None if axis is None else part, in_axes, args, is_leaf=is_axis)
        count = len(jax.tree.leaves(mapped)[0])
        group = size or (GROUP if jax.default_backend() == "cpu" else count)
        if count <= group:
            return jax.vmap(f, in_axes)(*args)

        def one(row: Array) -> T:
            at = lambda axis, part: part if axis is None else jax.tree.map(lambda leaf: leaf[row], part)
            return f(*jax.tree.map(at, in_axes, args, is_leaf=is_axis))

        found = jax.lax.map(one, jnp.asarray(padded_rows(count, group)), batch_size=group)
        return jax.tree.map(lambda leaf: leaf[:count], found)

    return call


def small_matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a @ b without BLAS, whose threads cost more than they save where a thousand draws meet a few dozen numbers."""
    return np.einsum("ij,jk->ik", a, b)


def padded_rows(count: int, step: int) -> np.ndarray:
    """Indices of rows, the last repeated up to a multiple of `step`: tables of about one size share programs."""
    return np.minimum(np.arange(-(-count // step) * step), count - 1)
