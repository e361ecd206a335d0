"""Downhill in few dimensions, from anywhere: what modes and point estimates are found with."""

from collections.abc import Callable
from typing import NamedTuple

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


def lowest(heights: Array) -> Array:
    """Index of the smallest finite height."""
    return jnp.argmin(jnp.where(jnp.isfinite(heights), heights, jnp.inf))


def autodiff(potential: Callable[[Array], Array]) -> Callable[[Array], Bottom]:
    """Height, gradient and Hessian of any potential, from one pass over it."""

    def with_gradient(z: Array) -> tuple[Array, tuple[Array, Array]]:
        height, gradient = jax.value_and_grad(potential)(z)
        return gradient, (height, gradient)

    def look(z: Array) -> Bottom:
        hessian, (height, gradient) = jax.jacfwd(with_gradient, has_aux=True)(z)
        return Bottom(z, height, gradient, hessian)

    return look


def descend(look: Callable[[Array], Bottom], start: Array) -> Bottom:
    """Damped Newton with the absolute Hessian (Dauphin et al. 2014, arXiv 1406.2572): downhill across saddles too.

    look : what is to be seen from a place, such as `autodiff(potential)`; it stands in one place of the program, which
    is most of what there is to compile. start : (dim,). Stops where a step would gain less than `CLOSE`, and takes that
    step unseen: so near the bottom it doubles the digits.
    """

    def step(state: tuple) -> tuple:
        best, trial, damping, _, count = state
        found = look(trial)
        better = found.height < best.height
        best = jax.tree.map(lambda new, old: jnp.where(better, new, old), found, best)
        damping = jnp.where(better, 0.1 * damping, jnp.maximum(10 * damping, 1e-3))
        curvature, axes = jnp.linalg.eigh(best.hessian)
        move = axes @ ((axes.T @ best.gradient) / (jnp.abs(curvature) + damping))
        return best, best.place - move, damping, jnp.abs(best.gradient @ move), count + 1

    def unfinished(state: tuple) -> Array:
        _, _, damping, gain, count = state
        return (gain > CLOSE) & (damping < 1e8) & (count < STEPS)

    one = jnp.ones((), start.dtype)
    unseen = Bottom(start, jnp.inf * one, jnp.zeros_like(start), jnp.eye(start.size, dtype=start.dtype))
    best, trial, _, gain, _ = jax.lax.while_loop(unfinished, step, (unseen, start, CAREFUL * one, one, 0))
    return best._replace(place=jnp.where(gain <= CLOSE, trial, best.place))
