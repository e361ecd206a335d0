"""The weights of the discrepancy's basis, given law and noise: Laplace's approximation, and proposals around it.

The discrepancy f at the runs is basis @ weights, with weights that are standard normal beforehand, and a run's ln loss
is ln(E + (L - E) exp(f)) plus noise. Given law and noise, the mode of the weights by iteratively reweighted least
squares (IRLS) and the curvature there are the approximation of Rue, Martino and Chopin 2009 (J. R. Stat. Soc. B 71,
319), which importance corrects.
"""

from functools import partial
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from scalefit.model.data import Data, Theta
from scalefit.model.discrepancy import shifted
from scalefit.model.model import Model
from scalefit.numerics.linalg import small_cholesky, small_solve_lower, small_solve_upper
from scalefit.numerics.newton import Minimum
from scalefit.sampling.alr import from_alr, unflatten

SWEEPS = 3  # of reweighted least squares, from weights nearby
SMALL = 1e-3  # of sigma: nearer residuals have the IRLS weight of this one
WIDER = 1.3  # than Laplace's approximation are half of the proposals: noise of heavy tails leaves weights wider
LEAST_REDUCIBLE = 1e-3  # share of the loss: a law all floor still has a discrepancy to condition


class LawAtRuns(NamedTuple):
    """Law and noise of one draw, and what the law says of every run.

    Attributes
    ----------
    theta
        Parameters of law and noise.
    floor
        E, in the table's unit of loss.
    log_law
        ln loss by the law.
    reducible
        Share (L - E) / L of that.
    """

    theta: Theta
    floor: Float[Array, ""]
    log_law: Float[Array, " run"]
    reducible: Float[Array, " run"]

    def log_loss(self, f: Float[Array, "*set run"]) -> Float[Array, "*set run"]:
        """Of law and discrepancy."""
        return shifted(self.log_law, self.reducible, f)


def law_at_runs(model: Model, data: Data, alr: Float[Array, " dim"]) -> LawAtRuns:
    """At ALR coordinates."""
    theta = model.space.constrain(unflatten(model, from_alr(model, alr)))
    log_law, floor = model.log_mean(theta, data.x), model.law.floor(theta)
    return LawAtRuns(theta, floor, log_law, jnp.maximum(1 - floor * jnp.exp(-log_law), LEAST_REDUCIBLE))


class LaplaceWeights(NamedTuple):
    """Laplace's approximation of the weights: least squares around losses that law and discrepancy agree on.

    Whatever the law, the discrepancy takes its loss to about the same fitted value of each run, so that is where ln
    loss is linearised in the discrepancy. The slope there, 1 - E / fitted, depends on the floor alone, and the Gram
    matrix of all runs is a polynomial in the floor.

    Attributes
    ----------
    basis
        At the runs.
    log_fitted
        ln of the fitted loss of every run.
    irls_weight
        How much each run counts beside one close to the law.
    grams
        Of the basis, weighed by the IRLS weights over the fitted losses to the power of 0, 1 and 2.
    curvature
        Mean curvature of the runs' densities, as a share of that of their IRLS weights.
    """

    basis: Float[Array, "run pivot"]
    log_fitted: Float[Array, " run"]
    irls_weight: Float[Array, " run"]
    grams: Float[Array, "3 pivot pivot"]
    curvature: Float[Array, ""]

    @classmethod
    def of(cls, basis: Float[Array, "run pivot"], log_fitted: Array, irls_weight: Array, curvature: Array) -> Self:
        """With the Gram matrices of these runs."""
        weighted = [basis.T * (irls_weight * jnp.exp(-power * log_fitted)) for power in range(3)]
        return cls(basis, log_fitted, irls_weight, jnp.stack([each @ basis for each in weighted]), curvature)

    def linearised(self, data: Data, at: LawAtRuns) -> tuple[Float[Array, " run"], Float[Array, " run"]]:
        """The f that takes the law's loss to the fitted one and then, linearly, to that of the run; and the slope."""
        slope = jnp.maximum(1 - at.floor * jnp.exp(-self.log_fitted), LEAST_REDUCIBLE)
        to_fitted = jnp.log(slope / at.reducible) + self.log_fitted - at.log_law
        return to_fitted + (data.log_loss - self.log_fitted) / slope, slope

    def mean_and_root(self, data: Data, at: LawAtRuns) -> tuple[Float[Array, " pivot"], Float[Array, "pivot pivot"]]:
        """Mode of the weights given law and noise, and the Cholesky factor of their precision."""
        share, floor = self.curvature / at.theta["sigma"] ** 2, at.floor
        gram = self.grams[0] - 2 * floor * self.grams[1] + floor**2 * self.grams[2]
        towards, slope = self.linearised(data, at)
        pull = self.basis.T @ (share * self.irls_weight * slope**2 * towards)
        root = small_cholesky(jnp.eye(len(gram), dtype=gram.dtype) + share * gram)
        return small_solve_upper(root, small_solve_lower(root, pull[:, None]))[:, 0], root


def laplace_weights(
    model: Model, data: Data, near: LaplaceWeights, at: LawAtRuns, sweeps: int = SWEEPS
) -> LaplaceWeights:
    """At a law and noise, starting from the approximation `near` others."""
    theta, variance = at.theta, at.theta["sigma"] ** 2
    slope_of = jax.grad(lambda e: model.noise.log_density(theta, e))

    def sweep(_: Any, near: LaplaceWeights) -> LaplaceWeights:
        log_fitted = at.log_loss(near.basis @ near.mean_and_root(data, at)[0])
        rest = data.log_loss - log_fitted
        near_zero = jnp.where(jnp.abs(rest) < SMALL * theta["sigma"], SMALL * theta["sigma"], rest)
        irls_weight = data.weight * jnp.maximum(-jax.vmap(slope_of)(near_zero) / near_zero, 0.0) * variance
        curvature = data.weight * jnp.maximum(-jax.vmap(jax.grad(slope_of))(rest), 0.0) * variance
        return LaplaceWeights.of(near.basis, log_fitted, irls_weight, curvature.sum() / irls_weight.sum())

    return jax.lax.fori_loop(0, sweeps, sweep, near)


def laplace_weights_at_start(data: Data, basis: Float[Array, "run pivot"]) -> LaplaceWeights:
    """Every run as good as any, and fitted by itself."""
    return LaplaceWeights.of(basis, data.log_loss, data.weight, jnp.ones((), basis.dtype))


def log_density_of(
    model: Model, data: Data, given: LaplaceWeights, at: LawAtRuns, weights: Float[Array, "*set pivot"]
) -> Float[Array, "*set"]:
    """ln density of the runs and of the weights, less the constant of the weights' prior."""
    rest = data.log_loss - at.log_loss(weights @ given.basis.T)
    return (data.weight * model.noise.log_density(at.theta, rest)).sum(-1) - 0.5 * (weights**2).sum(-1)


def marginal_potential(model: Model, data: Data, given: LaplaceWeights, alr: Float[Array, " dim"]) -> Float[Array, ""]:
    """Minus ln density of law and noise, the weights integrated out by Laplace's method."""
    at = law_at_runs(model, data, alr)
    mean, root = given.mean_and_root(data, at)
    log_likelihood = log_density_of(model, data, given, at, mean) - jnp.log(jnp.diagonal(root)).sum()
    return -model.space.log_density(unflatten(model, from_alr(model, alr))) - log_likelihood


def marginal_derivatives(model: Model, data: Data, given: LaplaceWeights, alr: Float[Array, " dim"]) -> Minimum:
    """`marginal_potential` with its gradient, and with Gauss and Newton's Hessian.

    The law's part of it is that of least squares with the discrepancy as one more source of error. Differentiating the
    mode of the weights twice would take many times as long.
    """
    at = law_at_runs(model, data, alr)
    mean, root = given.mean_and_root(data, at)
    rest = data.log_loss - at.log_loss(given.basis @ mean)

    def prior_and_noise(alr: Float[Array, " dim"]) -> Float[Array, ""]:
        z = unflatten(model, from_alr(model, alr))
        log_density = model.noise.log_density(model.space.constrain(z), rest)
        return -model.space.log_density(z) - (data.weight * log_density).sum()

    value, gradient = jax.value_and_grad(partial(marginal_potential, model, data, given))(alr)
    slope = given.linearised(data, at)[1]
    towards = jax.jacfwd(lambda alr: given.linearised(data, law_at_runs(model, data, alr))[0])(alr)
    weighted = (given.curvature / at.theta["sigma"] ** 2 * given.irls_weight * slope**2)[:, None] * towards
    shared = small_solve_lower(root, given.basis.T @ weighted)
    hessian = towards.T @ weighted - shared.T @ shared + jax.hessian(prior_and_noise)(alr)
    return Minimum(alr, value, gradient, hessian)


def propose_weights(
    model: Model, data: Data, given: LaplaceWeights, alr: Float[Array, " dim"], normal: Float[Array, "quarter pivot"]
) -> tuple[Float[Array, "set pivot"], Float[Array, " set"]]:
    """Sets of weights around their approximation, and ln of the importance of each.

    The mean of exp(ln) over all sets is an estimate of the density of law and noise, that of `marginal_potential` but
    for its error.

    Parameters
    ----------
    model, data, given
        The model, its table, and the approximation.
    alr
        Law and noise.
    normal
        Standard normal numbers; each makes two sets, mirrored, and two that are `WIDER`.
    """
    at = law_at_runs(model, data, alr)
    mean, root = given.mean_and_root(data, at)
    scaled = jnp.concatenate([normal, -normal, WIDER * normal, -WIDER * normal])
    weights = mean + small_solve_upper(root, scaled.T).T
    distance = (scaled**2).sum(1)
    narrow, wide = -0.5 * distance, -0.5 * distance / WIDER**2 - len(mean) * np.log(WIDER)
    log_proposal = jnp.logaddexp(narrow, wide) - np.log(2) + jnp.log(jnp.diagonal(root)).sum()
    log_prior = model.space.log_density(unflatten(model, from_alr(model, alr)))
    return weights, log_prior + log_density_of(model, data, given, at, weights) - log_proposal
