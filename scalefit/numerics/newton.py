"""Downhill in few dimensions, from anywhere: what modes and point estimates are found with."""

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
from jax import Array

STEPS = 200
CLOSE = 1e-8  # in nats
CAREFUL = 1000.0  # damping of the first step, beside which only the steepest curvatures show


class Minimum(NamedTuple):
    """Where a descent ended: place (dim,), and the height, gradient and Hessian there or a last small step before."""

    x: Array
    value: Array
    gradient: Array
    hessian: Array

    @classmethod
    def unevaluated(cls, start: Array) -> Self:
        """Not looked at yet, so higher than any other place."""
        height = jnp.full((), jnp.inf, start.dtype)
        return cls(start, height, jnp.zeros_like(start), jnp.eye(start.size, dtype=start.dtype))


def lowest(heights: Array) -> Array:
    """Index of the smallest finite height."""
    return jnp.argmin(jnp.where(jnp.isfinite(heights), heights, jnp.inf))


def ranked(heights: Array) -> Array:
    """Indices from the smallest height up, those not finite last."""
    return jnp.argsort(jnp.where(jnp.isfinite(heights), heights, jnp.inf))


def autodiff_value_grad_hess(potential: Callable[[Array], Array]) -> Callable[[Array], Minimum]:
    """Height, gradient and Hessian of any potential, from one pass over it.

    Forward twice: in few dimensions that costs no more than a reverse pass, and half as much to compile.
    """

    def with_height(z: Array) -> tuple[Array, Array]:
        height = potential(z)
        return height, height

    def with_gradient(z: Array) -> tuple[Array, tuple[Array, Array]]:
        gradient, height = jax.jacfwd(with_height, has_aux=True)(z)
        return gradient, (height, gradient)

    def value_grad_hess(z: Array) -> Minimum:
        hessian, (height, gradient) = jax.jacfwd(with_gradient, has_aux=True)(z)
        return Minimum(z, height, gradient, hessian)

    return value_grad_hess


class Descent(NamedTuple):
    """On its way: the best place so far, the one to value_grad_hess at next, and what the step between them would gain."""

    best: Minimum
    trial: Array
    damping: Array
    gain: Array
    count: Any


def descend(value_grad_hess: Callable[[Array], Minimum], start: Array) -> Minimum:
    """Damped Newton with the absolute Hessian (Dauphin et al. 2014, arXiv 1406.2572): downhill across saddles too.

    value_grad_hess : what is to be seen from a place, such as `autodiff_value_grad_hess(potential)`; it stands in one place of the program, which
    is most of what there is to compile. start : (dim,). Stops where a step would gain less than `CLOSE`, and takes that
    step unevaluated: so near the bottom it doubles the digits.
    """
    return jax.tree.map(lambda leaf: leaf[0], descend_each(value_grad_hess, start[None]))


def descend_each(value_grad_hess: Callable[[Array], Minimum], starts: Array) -> Minimum:
    """`descend` from each of `starts` (start, dim), the leaves of the result stacked.

    One loop for all, so that tables that share a program wait for each other once and not at every start.
    """

    def step(state: tuple) -> tuple:
        row, ends, now = state
        now = _step(value_grad_hess, now)
        ends = jax.tree.map(lambda leaf, new: leaf.at[row].set(new), ends, _end(now))
        over = ~_unfinished(now)
        afresh = _begin(starts[jnp.minimum(row + 1, len(starts) - 1)])
        return row + over, ends, jax.tree.map(lambda new, old: jnp.where(over, new, old), afresh, now)

    unevaluated = jax.vmap(Minimum.unevaluated)(starts)
    return jax.lax.while_loop(lambda state: state[0] < len(starts), step, (0, unevaluated, _begin(starts[0])))[1]


def _begin(start: Array) -> Descent:
    one = jnp.ones((), start.dtype)
    return Descent(Minimum.unevaluated(start), start, CAREFUL * one, one, jnp.zeros((), int))


def _step(value_grad_hess: Callable[[Array], Minimum], now: Descent) -> Descent:
    found = value_grad_hess(now.trial)
    better = found.value < now.best.value
    best = jax.tree.map(lambda new, old: jnp.where(better, new, old), found, now.best)
    damping = jnp.where(better, 0.1 * now.damping, jnp.maximum(10 * now.damping, 1e-3))
    curvature, axes = jnp.linalg.eigh(best.hessian)
    move = axes @ ((axes.T @ best.gradient) / (jnp.abs(curvature) + damping))
    return Descent(best, best.x - move, damping, jnp.abs(best.gradient @ move), now.count + 1)


def _unfinished(now: Descent) -> Array:
    return ~_close(now) & (now.damping < 1e8) & (now.count < STEPS)


def _close(now: Descent) -> Array:
    """No more to be gained than `CLOSE`, or than the height is rounded by."""
    rounding = jnp.finfo(now.gain.dtype).eps * jnp.abs(now.best.value)
    return now.gain <= jnp.maximum(CLOSE, jnp.where(jnp.isfinite(rounding), rounding, 0.0))


def _end(now: Descent) -> Minimum:
    return now.best._replace(x=jnp.where(_close(now), now.trial, now.best.x))
