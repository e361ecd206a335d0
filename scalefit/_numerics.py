"""Small numerical tools shared by every floor: precision, a root finder, intervals."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit.errors import ScalefitError


@contextmanager
def precision() -> Iterator[None]:
    """float64 on CPU; float32 on accelerators, where centred coordinates keep it exact enough.

    Accelerators otherwise multiply matrices in 10 bits or fewer, which the whitened coordinates would feel.
    """
    double = jax.enable_x64(True) if jax.default_backend() == "cpu" else nullcontext()
    with double, jax.default_matmul_precision("highest"):
        yield


def find_root(f: Callable[[Array], tuple[Array, Array]], low: Array, high: Array, start: Array) -> Array:
    """Root of a decreasing function: Newton's step where it stays in the bracket, else bisection.

    `f(u)` returns value and slope. Converges to rounding; a root outside the bracket gives its nearer end,
    NaN gives NaN. All arguments are scalars: vectorise with `jax.vmap`.
    """
    tolerance = 16 * jnp.finfo(jnp.result_type(float)).eps * jnp.maximum(1.0, jnp.abs(high))

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


def check_prob(prob: float) -> float:
    """The probability of an interval, strictly between 0 and 1; raises `ScalefitError` otherwise."""
    if not 0 < prob < 1:
        raise ScalefitError(f"prob must lie between 0 and 1, as in 0.9; got {prob}")
    return prob


def interval(draws: np.ndarray, prob: float, axis: int | tuple[int, ...] = 0) -> np.ndarray:
    """Median, lower and upper end of the equal-tailed interval, stacked on a new first axis.

    One draw, a point estimate, has no interval: its ends are NaN.
    """
    tail = (1 - check_prob(prob)) / 2
    found = np.quantile(draws, [0.5, tail, 1 - tail], axis=axis)
    if np.prod(np.take(draws.shape, axis)) == 1:
        found[1:] = np.nan
    return found
