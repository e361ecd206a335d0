"""Downhill in few dimensions, from anywhere: what modes and point estimates are found with."""

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
from jax import Array

STEPS = 200
CLOSE = 1e-8  # in nats
CAREFUL = 1000.0  # damping of the first step, beside which only the steepest curvatures show


class Bottom(NamedTuple):
    """Where a descent ended: place (dim,), and the height, gradient and Hessian there or a last small step before."""

    place: Array
    height: Array
    gradient: Array
    hessian: Array

    @classmethod
    def unseen(cls, start: Array) -> Self:
        """Not looked at yet, so higher than any other place."""
        height = jnp.full((), jnp.inf, start.dtype)
        return cls(start, height, jnp.zeros_like(start), jnp.eye(start.size, dtype=start.dtype))


def lowest(heights: Array) -> Array:
    """Index of the smallest finite height."""
    return jnp.argmin(jnp.where(jnp.isfinite(heights), heights, jnp.inf))


def ranked(heights: Array) -> Array:
    """Indices from the smallest height up, those not finite last."""
    return jnp.argsort(jnp.where(jnp.isfinite(heights), heights, jnp.inf))


def autodiff(potential: Callable[[Array], Array]) -> Callable[[Array], Bottom]:
    """Height, gradient and Hessian of any potential, from one pass over it.

    Forward twice: in few dimensions that costs no more than a reverse pass, and half as much to compile.
    """

    def with_height(z: Array) -> tuple[Array, Array]:
        height = potential(z)
        return height, height

    def with_gradient(z: Array) -> tuple[Array, tuple[Array, Array]]:
        gradient, height = jax.jacfwd(with_height, has_aux=True)(z)
        return gradient, (height, gradient)

    def look(z: Array) -> Bottom:
        hessian, (height, gradient) = jax.jacfwd(with_gradient, has_aux=True)(z)
        return Bottom(z, height, gradient, hessian)

    return look


class Descent(NamedTuple):
    """On its way: the best place so far, the one to look at next, and what the step between them would gain."""

    best: Bottom
    trial: Array
    damping: Array
    gain: Array
    count: Any


def descend(look: Callable[[Array], Bottom], start: Array) -> Bottom:
    """Damped Newton with the absolute Hessian (Dauphin et al. 2014, arXiv 1406.2572): downhill across saddles too.

    look : what is to be seen from a place, such as `autodiff(potential)`; it stands in one place of the program, which
    is most of what there is to compile. start : (dim,). Stops where a step would gain less than `CLOSE`, and takes that
    step unseen: so near the bottom it doubles the digits.
    """
    return jax.tree.map(lambda leaf: leaf[0], descend_each(look, start[None]))


def descend_each(look: Callable[[Array], Bottom], starts: Array) -> Bottom:
    """`descend` from each of `starts` (start, dim), the leaves of the result stacked.

    One loop for all, so that tables that share a program wait for each other once and not at every start.
    """

    def step(state: tuple) -> tuple:
        row, ends, now = state
        now = _step(look, now)
        ends = jax.tree.map(lambda leaf, new: leaf.at[row].set(new), ends, _end(now))
        over = ~_unfinished(now)
        afresh = _begin(starts[jnp.minimum(row + 1, len(starts) - 1)])
        return row + over, ends, jax.tree.map(lambda new, old: jnp.where(over, new, old), afresh, now)

    unseen = jax.vmap(Bottom.unseen)(starts)
    return jax.lax.while_loop(lambda state: state[0] < len(starts), step, (0, unseen, _begin(starts[0])))[1]


def _begin(start: Array) -> Descent:
    one = jnp.ones((), start.dtype)
    return Descent(Bottom.unseen(start), start, CAREFUL * one, one, jnp.zeros((), int))


def _step(look: Callable[[Array], Bottom], now: Descent) -> Descent:
    found = look(now.trial)
    better = found.height < now.best.height
    best = jax.tree.map(lambda new, old: jnp.where(better, new, old), found, now.best)
    damping = jnp.where(better, 0.1 * now.damping, jnp.maximum(10 * now.damping, 1e-3))
    curvature, axes = jnp.linalg.eigh(best.hessian)
    move = axes @ ((axes.T @ best.gradient) / (jnp.abs(curvature) + damping))
    return Descent(best, best.place - move, damping, jnp.abs(best.gradient @ move), now.count + 1)


def _unfinished(now: Descent) -> Array:
    return ~_close(now) & (now.damping < 1e8) & (now.count < STEPS)


def _close(now: Descent) -> Array:
    """No more to be gained than `CLOSE`, or than the height is rounded by."""
    rounding = jnp.finfo(now.gain.dtype).eps * jnp.abs(now.best.height)
    return now.gain <= jnp.maximum(CLOSE, jnp.where(jnp.isfinite(rounding), rounding, 0.0))


def _end(now: Descent) -> Bottom:
    return now.best._replace(place=jnp.where(_close(now), now.trial, now.best.place))
