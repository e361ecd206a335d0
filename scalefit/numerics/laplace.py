"""Laplace's approximation: modes and the curvature there, where samplers start and which shape their proposals."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from scalefit.numerics.newton import Minimum

NEGLIGIBLE = 8.0  # a mode this much higher, in nats, is left unsaid
# Unit-free coordinates have priors of scale one: no posterior is wider than this curvature allows.
LEAST_CURVATURE = 0.25


class Laplace(NamedTuple):
    """Normal approximations at modes.

    Several modes lie along a leading axis of every field; some may be the same mode, reached from several starts.

    Parameters
    ----------
    value
        (), the potential at the mode.
    mode
        (dim,).
    scale
        (dim, dim): mode + scale @ normal is a draw.
    converged
        (), whether the descent to the mode did.
    """

    value: Float[Array, ""]
    mode: Float[Array, " dim"]
    scale: Float[Array, "dim dim"]
    converged: Bool[Array, ""]

    @classmethod
    def shapes(cls, dim: int, *count: int) -> "Laplace":
        """Of `count` modes, or of one, in the precision in force."""
        number = jnp.result_type(float)
        of: Any = lambda dtype, *own: jax.ShapeDtypeStruct((*count, *own), dtype)
        return cls(of(number), of(number, dim), of(number, dim, dim), of(bool))


def laplace_at(minimum: Minimum) -> Laplace:
    """Laplace's approximation from where a descent ended."""
    curvature, axes = jnp.linalg.eigh(minimum.hessian)
    scale = axes / jnp.sqrt(jnp.maximum(curvature, LEAST_CURVATURE))
    return Laplace(minimum.value, minimum.x, scale, jnp.asarray(minimum.converged))


def count_modes(found: Laplace) -> Int[Array, ""]:
    """How many of the modes differ, by three standard deviations, and are not negligible beside the lowest."""
    whiten = jnp.linalg.inv(found.scale)
    off = found.mode[:, None] - found.mode[None]
    distance = jnp.linalg.norm(jnp.einsum("jab,ijb->ija", whiten, off), axis=-1)
    earlier = jnp.tril(jnp.ones(distance.shape, bool), -1)
    repeated = (earlier & (distance < 3.0)).any(axis=1)
    return (~repeated & ~_negligible(found)).sum()


def all_converged(found: Laplace) -> Bool[Array, ""]:
    """Whether the descents to all modes that are not negligible converged."""
    return (found.converged | _negligible(found)).all()


def _negligible(found: Laplace) -> Bool[Array, " mode"]:
    return ~(found.value < found.value[0] + NEGLIGIBLE)
