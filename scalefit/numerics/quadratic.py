"""A quadratic through noisy values at scattered places: what an approximate density is wrong by, learned from a few."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float


class Quadratic(NamedTuple):
    """Least squares in coordinates whitened over the places, constant along rays beyond the farthest of them.

    Parameters
    ----------
    mean, whiten
        (dim,) and (dim, dim): whiten @ (place - mean) has a covariance of one over the places.
    reach
        (), whitened distance of the farthest place.
    slopes
        (feature,), of `features`.
    """

    mean: Float[Array, " dim"]
    whiten: Float[Array, "dim dim"]
    reach: Float[Array, ""]
    slopes: Float[Array, " feature"]

    @classmethod
    def through(
        cls, places: Float[Array, "place dim"], values: Float[Array, " place"], weight: Float[Array, " place"]
    ) -> "Quadratic":
        """The quadratic through values at places, each counted by its weight; not at all where it is not finite."""
        weight = jnp.where(jnp.isfinite(values), weight, 0.0)
        mean = weight @ places / weight.sum()
        off = places - mean
        scale = jnp.linalg.cholesky((off.T * weight) @ off / weight.sum())
        whiten = solve_triangular(scale, jnp.eye(len(scale), dtype=scale.dtype), lower=True)
        whitened = off @ whiten.T
        seen = features(whitened)
        ridge = 1e-6 * weight.sum() * jnp.eye(seen.shape[1], dtype=seen.dtype)
        gram = (seen.T * weight) @ seen + ridge
        slopes = jnp.linalg.solve(gram, seen.T @ jnp.where(weight > 0, weight * values, 0.0))
        return cls(mean, whiten, jnp.sqrt((whitened**2).sum(1).max()), slopes)

    def __call__(self, place: Float[Array, " dim"]) -> Float[Array, ""]:
        """The value at one place."""
        whitened = self.whiten @ (place - self.mean)
        distance = jnp.sqrt((whitened**2).sum())
        return features(whitened * jnp.minimum(1.0, self.reach / jnp.maximum(distance, self.reach))) @ self.slopes


def features(u: Float[Array, "*batch dim"]) -> Float[Array, "*batch feature"]:
    """1, every u_i, and every u_i u_j."""
    i, j = np.triu_indices(u.shape[-1])
    return jnp.concatenate([jnp.ones_like(u[..., :1]), u, u[..., i] * u[..., j]], axis=-1)
