"""Linear algebra on few numbers, where calling a library takes longer than the arithmetic."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def small_solve(a: Float[Array, "n n"], b: Float[Array, " n"]) -> Float[Array, " n"]:
    """x of a x = b, a positive definite, by Gauss and Jordan's elimination.

    Under `jax.vmap`, where `jnp.linalg.solve` calls LAPACK for every system: 64,000 systems of two unknowns take 0.8 ms
    on a CPU core where that takes 11 ms, of three 1.2 and 18 ms.
    """
    rows = jnp.column_stack([a, b])
    for i in range(len(b)):
        pivot = rows[i] / rows[i, i]
        rows = jnp.where(jnp.arange(len(b))[:, None] == i, pivot, rows - rows[:, i, None] * pivot)
    return rows[:, -1]


def small_cholesky(a: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Lower triangle with root @ root.T = a, column by column.

    Under `jax.vmap` inside a loop, where `jnp.linalg.cholesky` calls LAPACK for every matrix, and a large batch of such
    calls has been seen to wait forever for XLA's own threads.
    """
    row = jnp.arange(len(a))

    def step(k: Any, state: tuple[Array, Array]) -> tuple[Array, Array]:
        left, root = state
        column = jnp.where(row >= k, left[:, k] * jax.lax.rsqrt(left[k, k]), 0.0)
        return left - jnp.outer(column, column), root.at[:, k].set(column)

    return jax.lax.fori_loop(0, len(a), step, (a, jnp.zeros_like(a)))[1]


def small_solve_lower(root: Float[Array, "n n"], b: Float[Array, "n m"]) -> Float[Array, "n m"]:
    """x of root x = b, root a lower triangle; for use as `small_cholesky`."""
    row = jnp.arange(len(b))[:, None]

    def step(k: Any, x: Array) -> Array:
        found = x[k] / root[k, k]
        return jnp.where(row > k, x - root[:, k, None] * found, jnp.where(row == k, found, x))

    return jax.lax.fori_loop(0, len(b), step, b)


def small_solve_upper(root: Float[Array, "n n"], b: Float[Array, "n m"]) -> Float[Array, "n m"]:
    """x of root.T x = b, root a lower triangle; for use as `small_cholesky`."""
    last = len(b) - 1
    row = jnp.arange(len(b))[:, None]

    def step(i: Any, x: Array) -> Array:
        k = last - i
        found = x[k] / root[k, k]
        return jnp.where(row < k, x - root[k, :, None] * found, jnp.where(row == k, found, x))

    return jax.lax.fori_loop(0, len(b), step, b)
