"""The posterior mode and its curvature: where samplers start, and the metric that makes them fast."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from scalefit.model import Data, Model, Theta

STARTS = 8
STEPS = 200
# Unit-free coordinates have priors of scale one: no posterior is wider than this curvature allows.
LEAST_CURVATURE = 0.25


class Laplace(NamedTuple):
    """Mode in flat unconstrained coordinates (dim,), and scale (dim, dim): mode + scale @ normal is Laplace's draw."""

    mode: Array
    scale: Array


def flat_potential(model: Model, data: Data, flat: Array) -> Array:
    """`Model.potential` of a flat vector (parameters in alphabetical order)."""
    return model.potential(unflatten(model, flat), data)


def unflatten(model: Model, flat: Array) -> Theta:
    """A flat vector as unconstrained parameters by name."""
    return dict(zip(sorted(p.name for p in model.params()), flat, strict=True))


@partial(jax.jit, static_argnames="model")
def laplace(model: Model, data: Data, key: Array) -> Laplace:
    """The lowest of the modes found from `STARTS` prior draws, with the curvature there."""
    prior = model.unconstrain(model.sample_prior(key, STARTS))
    starts = jax.vmap(lambda z: ravel_pytree(z)[0])(prior)
    potential = jax.jit(partial(flat_potential, model, data))
    ends = jax.lax.map(partial(_descend, potential), starts)
    heights = jax.lax.map(potential, ends)
    mode = ends[jnp.argmin(jnp.where(jnp.isfinite(heights), heights, jnp.inf))]
    curvature, axes = jnp.linalg.eigh(jax.hessian(potential)(mode))
    return Laplace(mode, axes / jnp.sqrt(jnp.maximum(curvature, LEAST_CURVATURE)))


def _descend(potential, start: Array) -> Array:  # type: ignore[no-untyped-def]
    """Damped Newton with the absolute Hessian (Dauphin et al. 2014, arXiv 1406.2572): downhill across saddles too."""

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
