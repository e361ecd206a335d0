"""Mixtures of multivariate t distributions: proposals that have the posterior's shape and heavier tails.

Adapted by importance-weighted expectation-maximisation, which lowers the Kullback-Leibler divergence from the target.

References
----------
Cappé, Douc, Guillin, Marin and Robert 2008, Stat. Comput. 18, 447; section 5 for t components.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import logsumexp, ndtri
from jaxtyping import Array, Float, UInt32

from scalefit.numerics.laplace import Laplace

COPIES = 3
APART = 1.0  # standard deviations between components that begin at one mode
DF = 12  # even, so that a chi-square is a sum of DF / 2 exponentials


class Mixture(NamedTuple):
    """A mixture of t distributions with `DF` degrees of freedom.

    Parameters
    ----------
    log_weight
        (component,).
    mean
        (component, dim).
    scale
        (component, dim, dim), lower triangular.
    """

    log_weight: Float[Array, " component"]
    mean: Float[Array, "component dim"]
    scale: Float[Array, "component dim dim"]


def at_modes(found: Laplace) -> Mixture:
    """Laplace's approximation at every mode, weighed by the mass it sees there.

    Each mode has several components, set apart so that adaptation can bend them around a posterior that is not
    elliptic; alike they would stay alike.
    """
    value, mode, scale = (jnp.concatenate([leaf] * COPIES) for leaf in (found.value, found.mode, found.scale))
    scale = jnp.linalg.cholesky(scale @ scale.mT)
    apart = APART * np.random.default_rng(0).normal(size=mode.shape).astype(mode.dtype)
    mean = mode + jnp.einsum("kij,kj->ki", scale, apart)
    return Mixture(jax.nn.log_softmax(_log_volume(scale) - value), mean, scale)


def sample(mixture: Mixture, key: UInt32[Array, " 2"], count: int) -> Float[Array, "draw dim"]:
    """Independent draws. All randomness is drawn at once: each generator is much to compile."""
    dim, dtype = mixture.mean.shape[1], mixture.mean.dtype
    u = jax.random.uniform(key, (count, 1 + DF // 2 + dim), dtype, minval=jnp.finfo(dtype).tiny)
    pick, radius, normal = jnp.split(u, [1, 1 + DF // 2], axis=1)
    edges = jnp.cumsum(jnp.exp(mixture.log_weight))
    which = jnp.searchsorted(edges[:-1], edges[-1] * pick[:, 0])
    chi_square = -2 * jnp.log(radius).sum(axis=1)
    z = ndtri(normal) * jnp.sqrt(DF / chi_square)[:, None]
    return mixture.mean[which] + jnp.einsum("sij,sj->si", mixture.scale[which], z)


def log_density(mixture: Mixture, z: Float[Array, "draw dim"]) -> Float[Array, " draw"]:
    """ln density at each z, up to a constant."""
    return logsumexp(_log_joint(mixture, _distance(mixture, z)), axis=0)


def adapted(mixture: Mixture, z: Float[Array, "draw dim"], weight: Float[Array, " draw"]) -> Mixture:
    """One step of weighted EM towards draws z of normalised importance `weight`.

    A component's new shape is shrunk to its old one as if it had seen a few draws per dimension before.
    """
    distance = _distance(mixture, z)
    dim = z.shape[1]
    share = weight * jax.nn.softmax(_log_joint(mixture, distance), axis=0)
    near = share * (DF + dim) / (DF + distance)
    mass = share.sum(1)
    seen = mass**2 / jnp.maximum((share**2).sum(1), 1e-30)
    trust = seen / (seen + 2 * dim)

    def component(mean: Array, scale: Array, near: Array, mass: Array, trust: Array) -> tuple[Array, Array]:
        new = (near @ z) / jnp.maximum(near.sum(), 1e-30)
        off = (z - new).T
        cov = (off * near) @ off.T / jnp.maximum(mass, 1e-30)
        cov = trust * cov + (1 - trust) * scale @ scale.T
        return trust * new + (1 - trust) * mean, jnp.linalg.cholesky(cov)

    mean, scale = jax.vmap(component)(mixture.mean, mixture.scale, near, mass, trust)
    return Mixture(jnp.log(0.9 * mass + 0.1 * jnp.exp(mixture.log_weight)), mean, scale)


def _distance(mixture: Mixture, z: Float[Array, "draw dim"]) -> Float[Array, "component draw"]:
    """Squared Mahalanobis distance to each component."""
    whiten = jax.vmap(lambda scale: solve_triangular(scale, jnp.eye(len(scale), dtype=scale.dtype), lower=True))
    # One product for all components: draws are whitened around the first mean, then moved to each component's own.
    first, by_component = mixture.mean[0], whiten(mixture.scale)
    off = jnp.einsum("kij,sj->kis", by_component, z - first)
    return ((off - jnp.einsum("kij,kj->ki", by_component, mixture.mean - first)[..., None]) ** 2).sum(1)


def _log_joint(mixture: Mixture, distance: Float[Array, "component draw"]) -> Float[Array, "component draw"]:
    """ln of weight times density of each component, up to a constant."""
    dim = mixture.mean.shape[1]
    level = mixture.log_weight - _log_volume(mixture.scale)
    return level[:, None] - 0.5 * (DF + dim) * jnp.log1p(distance / DF)


def _log_volume(scale: Float[Array, "component dim dim"]) -> Float[Array, " component"]:
    """ln determinant of each triangle."""
    return jnp.log(jnp.diagonal(scale, axis1=1, axis2=2)).sum(-1)
