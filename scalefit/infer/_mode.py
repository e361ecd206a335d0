"""The posterior mode and its curvature: where samplers start, and the metric that makes them fast."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from scalefit.infer._newton import descend, lowest
from scalefit.model import Data, Model, Theta

STARTS = 8
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
    ends = jax.lax.map(partial(descend, potential), starts)
    mode = ends[lowest(jax.lax.map(potential, ends))]
    curvature, axes = jnp.linalg.eigh(jax.hessian(potential)(mode))
    return Laplace(mode, axes / jnp.sqrt(jnp.maximum(curvature, LEAST_CURVATURE)))
