"""The weights of the law's own error given law and noise: approximately normal, and what that is wrong by.

The process at the runs is linear in weights that are standard normal beforehand. What robustly weighted least squares
makes of the residuals is exact for normal noise, and for heavy tails the approximation of Rue, Martino and Chopin 2009
(J. R. Stat. Soc. B 71, 319); importance corrects it.
"""

from functools import partial
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit.model.data import Data, Theta, over_draws
from scalefit.model.model import Model
from scalefit.sampling.alr import from_alr, unflatten

SWEEPS = 3  # of reweighted least squares, from weights nearby


class ConditionalWeights(NamedTuple):
    """The weights of the process given law and noise, in coordinates that make precisions diagonal.

    basis : (run, pivot), turned by `turn` (pivot, pivot). trust : how much each run counts beside one close to the law,
    (run,). gram : what the runs say about each weight, times sigma squared, (pivot,). bend : the runs' mean curvature,
    as a share of what their trust would make it.
    """

    basis: Array
    turn: Array
    trust: Array
    gram: Array
    bend: Array

    @classmethod
    def uninformed(cls, basis: np.ndarray) -> Self:
        """As if no run said anything: all weights are zero."""
        runs, pivots = basis.shape
        zeros = partial(np.zeros, dtype=basis.dtype)
        return cls(basis, np.eye(pivots, dtype=basis.dtype), zeros(runs), zeros(pivots), zeros(()))  # type: ignore

    def mean_and_precision(self, r: Array, sigma: Array) -> tuple[Array, Array]:
        """Each (pivot,), given residuals r (run,) of the law and the noise's scale."""
        mean = (self.basis.T @ (self.trust * r)) / (sigma**2 + self.gram)
        return mean, 1 + self.bend * self.gram / sigma**2


def law_residuals(model: Model, data: Data, alr: Array) -> tuple[Theta, Array]:
    """Law and noise of `alr` coordinates, and what the law leaves of each run's log loss, (run,)."""
    theta = model.space.constrain(unflatten(model, from_alr(model, alr)))
    return theta, data.log_loss - model.log_mean(theta, data.x)


def conditional(model: Model, data: Data, near: ConditionalWeights, theta: Theta, r: Array) -> ConditionalWeights:
    """At law and noise `theta`, which leave the residuals r, starting from what it is at others `near`."""
    sigma, basis = theta["sigma"], near.basis
    slope = jax.grad(lambda e: model.noise.log_density(theta, e))

    def trust_of(left: Array) -> Array:
        left = jnp.where(jnp.abs(left) < 1e-3 * sigma, 1e-3 * sigma, left)
        return data.weight * jnp.maximum(-jax.vmap(slope)(left) / left, 0.0) * sigma**2

    def sweep(_: int, left: Array) -> Array:
        trust = trust_of(left)
        gram = (basis.T * trust) @ basis + sigma**2 * jnp.eye(basis.shape[1])
        return r - basis @ jnp.linalg.solve(gram, basis.T @ (trust * r))

    start = r - basis @ near.mean_and_precision(r, sigma)[0]
    left = jax.lax.fori_loop(0, SWEEPS, sweep, start)
    trust = trust_of(left)
    curvature = data.weight * jnp.maximum(-jax.vmap(jax.grad(slope))(left), 0.0) * sigma**2
    gram, turn = jnp.linalg.eigh((basis.T * trust) @ basis)
    gram = jnp.maximum(gram, 0.0)
    return ConditionalWeights(basis @ turn, near.turn @ turn, trust, gram, curvature.sum() / trust.sum())


def log_likelihood(model: Model, data: Data, given: ConditionalWeights, theta: Theta, r: Array) -> Array:
    """ln density of the runs, the weights integrated out by Laplace's method."""
    mean, precision = given.mean_and_precision(r, theta["sigma"])
    fit = (data.weight * model.noise.log_density(theta, r - given.basis @ mean)).sum()
    return fit - 0.5 * (mean @ mean + jnp.log(precision).sum())


def propose_weights(
    model: Model, data: Data, given: ConditionalWeights, theta: Theta, r: Array, normal: Array
) -> tuple[Array, Array]:
    """Weights made of standard `normal` numbers (try, pivot), and ln of what each says of the runs' density.

    The mean of exp(ln) over all weights is what `log_likelihood` approximates.
    """
    mean, precision = given.mean_and_precision(r, theta["sigma"])
    weights = mean + normal / jnp.sqrt(precision)
    one = lambda weights: (data.weight * model.noise.log_density(theta, r - given.basis @ weights)).sum()
    return weights, over_draws(one, data)(weights) + 0.5 * ((normal**2 - weights**2).sum(1) - jnp.log(precision).sum())


def marginal_potential(model: Model, data: Data, given: ConditionalWeights, alr: Array) -> Array:
    """Minus ln density of law and noise, the weights integrated out by Laplace's method."""
    log_prior = model.space.log_density(unflatten(model, from_alr(model, alr)))
    return -log_prior - log_likelihood(model, data, given, *law_residuals(model, data, alr))
