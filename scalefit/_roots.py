"""Small numerical tools shared by every floor: precision, a root finder, intervals."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import Array

T = TypeVar("T")


def find_root(
    f: Callable[[Array], tuple[Array, Array]], low: Array, high: Array, start: Array, within: float = 0.0
) -> Array:
    """Root of a decreasing function: Newton's step where it stays in the bracket, else bisection.

    `f(u)` returns value and slope. Converges to rounding, or until a step is no longer than `within`; a root outside
    the bracket gives its nearer end, NaN gives NaN. All arguments are scalars: vectorise with `jax.vmap`, where the
    slowest root decides how long all take, or with `by_groups` where it takes far longer than most.
    """
    rounding = 16 * jnp.finfo(jnp.result_type(float)).eps * jnp.maximum(1.0, jnp.abs(high))
    tolerance = jnp.maximum(rounding, within)

    def step(state: tuple) -> tuple:
        low, high, u, _, count = state
        value, slope = f(u)
        low, high = jnp.where(value > 0, u, low), jnp.where(value > 0, high, u)
        newton = u - value / slope
        new = jnp.where((newton >= low) & (newton <= high), newton, 0.5 * (low + high))
        new = jnp.where(jnp.isnan(value), jnp.nan, new)
        return low, high, new, jnp.abs(new - u), count + 1

    def unfinished(state: tuple) -> Array:
        return (state[3] > tolerance) & (state[4] < 100)

    state = (low, high, start, jnp.full_like(start, jnp.inf), 0)
    return jax.lax.while_loop(unfinished, step, state)[2]
