"""The weights of the discrepancy's basis, given law and noise: Laplace's approximation, and proposals around it.

The process at the runs is basis @ weights, with weights that are standard normal beforehand. Given law and noise, their
mode by iteratively reweighted least squares (IRLS) and the curvature there are exact for normal noise, and for heavy
tails the approximation of Rue, Martino and Chopin 2009 (J. R. Stat. Soc. B 71, 319), which importance corrects.
"""

from functools import partial
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from scalefit.model.data import Data, Theta, over_draws
from scalefit.model.model import Model
from scalefit.sampling.alr import from_alr, unflatten

SWEEPS = 3  # of reweighted least squares, from weights nearby
SMALL = 1e-3  # of sigma: nearer residuals have the IRLS weight of this one


class LaplaceWeights(NamedTuple):
    """Laplace's approximation of the weights, in coordinates in which their precision is diagonal.

    Attributes
    ----------
    basis
        At the runs, rotated.
    rotation
        Of the rotated weights to those of the basis before.
    irls_weight
        How much each run counts beside one close to the law.
    gram
        Precision that the runs add to each weight, times sigma squared.
    curvature
        Mean curvature of the runs' densities, as a share of that of their IRLS weights.
    """

    basis: Float[Array, "run pivot"]
    rotation: Float[Array, "pivot pivot"]
    irls_weight: Float[Array, " run"]
    gram: Float[Array, " pivot"]
    curvature: Float[Array, ""]

    @classmethod
    def uninformed(cls, basis: Float[np.ndarray, "run pivot"]) -> Self:
        """Without runs: the mode of all weights is zero."""
        runs, pivots = basis.shape
        zeros = partial(np.zeros, dtype=basis.dtype)
        return cls(basis, np.eye(pivots, dtype=basis.dtype), zeros(runs), zeros(pivots), zeros(()))  # type: ignore

    def mean_and_precision(
        self, r: Float[Array, " run"], sigma: Float[Array, ""]
    ) -> tuple[Float[Array, " pivot"], Float[Array, " pivot"]]:
        """Of the weights, given residuals r of the law and the noise's scale."""
        mean = (self.basis.T @ (self.irls_weight * r)) / (sigma**2 + self.gram)
        return mean, 1 + self.curvature * self.gram / sigma**2


def law_residuals(model: Model, data: Data, alr: Float[Array, " dim"]) -> tuple[Theta, Float[Array, " run"]]:
    """Law and noise of ALR coordinates, and ln loss of every run less the law's."""
    theta = model.space.constrain(unflatten(model, from_alr(model, alr)))
    return theta, data.log_loss - model.log_mean(theta, data.x)


def laplace_weights(
    model: Model, data: Data, near: LaplaceWeights, theta: Theta, r: Float[Array, " run"]
) -> LaplaceWeights:
    """At law and noise `theta`, which leave the residuals r, starting from the approximation `near` others."""
    sigma, basis = theta["sigma"], near.basis
    slope = jax.grad(lambda e: model.noise.log_density(theta, e))

    def irls_weight_of(rest: Float[Array, " run"]) -> Float[Array, " run"]:
        rest = jnp.where(jnp.abs(rest) < SMALL * sigma, SMALL * sigma, rest)
        return data.weight * jnp.maximum(-jax.vmap(slope)(rest) / rest, 0.0) * sigma**2

    def sweep(_: Any, rest: Float[Array, " run"]) -> Float[Array, " run"]:
        irls_weight = irls_weight_of(rest)
        gram = (basis.T * irls_weight) @ basis + sigma**2 * jnp.eye(basis.shape[1])
        return r - basis @ jnp.linalg.solve(gram, basis.T @ (irls_weight * r))

    start = r - basis @ near.mean_and_precision(r, sigma)[0]
    rest = jax.lax.fori_loop(0, SWEEPS, sweep, start)
    irls_weight = irls_weight_of(rest)
    curvature = data.weight * jnp.maximum(-jax.vmap(jax.grad(slope))(rest), 0.0) * sigma**2
    gram, rotation = jnp.linalg.eigh((basis.T * irls_weight) @ basis)
    gram = jnp.maximum(gram, 0.0)
    share = curvature.sum() / irls_weight.sum()
    return LaplaceWeights(basis @ rotation, near.rotation @ rotation, irls_weight, gram, share)


def log_likelihood(
    model: Model, data: Data, given: LaplaceWeights, theta: Theta, r: Float[Array, " run"]
) -> Float[Array, ""]:
    """ln density of the runs, the weights integrated out by Laplace's method."""
    mean, precision = given.mean_and_precision(r, theta["sigma"])
    fit = (data.weight * model.noise.log_density(theta, r - given.basis @ mean)).sum()
    return fit - 0.5 * (mean @ mean + jnp.log(precision).sum())


def propose_weights(
    model: Model,
    data: Data,
    given: LaplaceWeights,
    theta: Theta,
    r: Float[Array, " run"],
    normal: Float[Array, "proposal pivot"],
) -> tuple[Float[Array, "proposal pivot"], Float[Array, " proposal"]]:
    """Weights made of standard `normal` numbers, and ln of the importance of each.

    The mean of exp(ln) over all weights is the density of the runs that `log_likelihood` approximates.
    """
    mean, precision = given.mean_and_precision(r, theta["sigma"])
    weights = mean + normal / jnp.sqrt(precision)
    one = lambda weights: (data.weight * model.noise.log_density(theta, r - given.basis @ weights)).sum()
    return weights, over_draws(one, data)(weights) + 0.5 * ((normal**2 - weights**2).sum(1) - jnp.log(precision).sum())


def marginal_potential(model: Model, data: Data, given: LaplaceWeights, alr: Float[Array, " dim"]) -> Float[Array, ""]:
    """Minus ln density of law and noise, the weights integrated out by Laplace's method."""
    log_prior = model.space.log_density(unflatten(model, from_alr(model, alr)))
    return -log_prior - log_likelihood(model, data, given, *law_residuals(model, data, alr))
