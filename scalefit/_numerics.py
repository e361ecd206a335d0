"""Small numerical tools shared by every floor: precision, a root finder, intervals."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit.errors import ScalefitError

T = TypeVar("T")
Precision = Literal["float32", "float64"]
GROUP = 32
_asked: ContextVar[Precision | None] = ContextVar("precision", default=None)


@contextmanager
def precision(kind: Precision | None = None) -> Iterator[None]:
    """The precision of everything computed inside: `with sf.precision("float32"): sf.fit(runs)`.

    By default float64 on CPU, and float32 on accelerators, where centred coordinates keep it exact enough. Matrices
    are multiplied in full, since accelerators otherwise use 10 bits or fewer, which whitened coordinates would feel.
    Raises `ScalefitError` on another kind.
    """
    if kind not in (None, "float32", "float64"):
        raise ScalefitError(f"precision is float32 or float64, not {kind!r}.")
    kind = kind or _asked.get()
    token = _asked.set(kind)
    try:
        with jax.enable_x64(precision_in_force() == "float64"), jax.default_matmul_precision("highest"):
            yield
    finally:
        _asked.reset(token)


@contextmanager
def meanwhile(f: Callable[[], object]) -> Iterator[None]:
    """Run `f` beside the block, in its precision; what it raises is raised when the block ends."""
    kind = precision_in_force()

    def run() -> None:
        with precision(kind):  # which each thread has its own of
            f()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run)
        yield
        future.result()


def precision_in_force() -> Precision:
    """What is asked for, or what suits the device."""
    return _asked.get() or ("float64" if jax.default_backend() == "cpu" else "float32")


def keys_of(seeds: Sequence[int]) -> np.ndarray:
    """`jax.random.PRNGKey` of every seed, (seed, 2), in any precision: its own drops high bits in float32."""
    wide = np.asarray(seeds, np.uint64)
    return np.stack([wide >> np.uint64(32), wide & np.uint64(0xFFFFFFFF)], axis=-1).astype(np.uint32)


def key_of(seed: int) -> Array:
    """The same of one seed, (2,)."""
    return jax.device_put(keys_of([seed])[0])


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


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a @ b without BLAS, whose threads cost more than they save where a thousand draws meet a few dozen numbers."""
    return np.einsum("ij,jk->ik", a, b)


def padded_rows(count: int, step: int) -> np.ndarray:
    """Indices of rows, the last repeated up to a multiple of `step`: tables of about one size share programs."""
    return np.minimum(np.arange(-(-count // step) * step), count - 1)


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
