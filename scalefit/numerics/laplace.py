"""The modes of a posterior and the curvature there: where samplers start, and the metric that makes them fast."""

from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
from jax import Array

from scalefit.model.model import Model
from scalefit.numerics.newton import Minimum

NEGLIGIBLE = 8.0  # a mode this much higher, in nats, is left unsaid
# Unit-free coordinates have priors of scale one: no posterior is wider than this curvature allows.
LEAST_CURVATURE = 0.25


class Laplace(NamedTuple):
    """Normal approximations at modes, in straight coordinates (dim,).

    height : the potential there; mode + scale @ normal is a draw, scale (dim, dim). Several modes lie along a
    leading axis of each; some may be the same mode, reached from several starts.
    """

    value: Array
    mode: Array
    scale: Array

    @classmethod
    def shapes(cls, model: Model, *count: int) -> Self:
        """Of `count` modes, or of one."""
        dim, number = len(model.params()), jnp.result_type(float)
        leaves: Any = (jax.ShapeDtypeStruct((*count, *own), number) for own in ((), (dim,), (dim, dim)))
        return cls(*leaves)


def laplace_at(minimum: Minimum) -> Laplace:
    """Laplace's approximation from where a descent ended."""
    curvature, axes = jnp.linalg.eigh(minimum.hessian)
    return Laplace(minimum.value, minimum.x, axes / jnp.sqrt(jnp.maximum(curvature, LEAST_CURVATURE)))


def count_modes(found: Laplace) -> Array:
    """How many of the modes differ, by three standard deviations, and are not negligible beside the lowest."""
    whiten = jnp.linalg.inv(found.scale)
    off = found.mode[:, None] - found.mode[None]
    distance = jnp.linalg.norm(jnp.einsum("jab,ijb->ija", whiten, off), axis=-1)
    earlier = jnp.tril(jnp.ones(distance.shape, bool), -1)
    repeated = (earlier & (distance < 3.0)).any(axis=1)
    return (~repeated & (found.value < found.value[0] + NEGLIGIBLE)).sum()
