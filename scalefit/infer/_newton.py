"""Downhill in few dimensions, from anywhere: what modes and point estimates are found with."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

STEPS = 200


def lowest(heights: Array) -> Array:
    """Index of the smallest finite height."""
    return jnp.argmin(jnp.where(jnp.isfinite(heights), heights, jnp.inf))


def descend(potential: Callable[[Array], Array], start: Array) -> Array:
    """Damped Newton with the absolute Hessian (Dauphin et al. 2014, arXiv 1406.2572): downhill across saddles too.

    start : (dim,). Stops where a step would gain less than 1e-8.
    """

    def step(state: tuple) -> tuple:
        z, damping, _, count = state
        gradient, hessian = jax.grad(potential)(z), jax.hessian(potential)(z)
        curvature, axes = jnp.linalg.eigh(hessian)
        move = axes @ ((axes.T @ gradient) / (jnp.abs(curvature) + damping))
        better = potential(z - move) < potential(z)
        damping = jnp.where(better, 0.2 * damping, jnp.maximum(5 * damping, 1e-3))
        return jnp.where(better, z - move, z), damping, jnp.abs(gradient @ move), count + 1

    def unfinished(state: tuple) -> Array:
        _, damping, gain, count = state
        return (gain > 1e-8) & (damping < 1e8) & (count < STEPS)

    one = jnp.ones((), start.dtype)
    return jax.lax.while_loop(unfinished, step, (start, one, one, 0))[0]
