"""The weights of the discrepancy's basis, given law and noise: Laplace's approximation, and proposals around it.

The process at the runs is basis @ weights, with weights that are standard normal beforehand. Given law and noise, their
mode by iteratively reweighted least squares (IRLS) and the curvature there are exact for normal noise, and for heavy
tails the approximation of Rue, Martino and Chopin 2009 (J. R. Stat. Soc. B 71, 319), which importance corrects.

Errors that runs of a cluster share are integrated out of the runs' densities, exactly but for quadrature; in the
approximation of the weights they take from the precision of the runs what a cluster's mean could be (Woodbury). How
much that is depends on both scales, so that no coordinates keep the precision of the weights diagonal.
"""

from functools import partial
from typing import Any, NamedTuple, Self, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from scalefit.model.clusters import SHARED, Clusters, irls_precision, of_single_runs
from scalefit.model.data import Data, Theta
from scalefit.model.likelihood import log_density
from scalefit.model.model import Model
from scalefit.numerics.linalg import small_cholesky, small_solve_lower, small_solve_upper
from scalefit.numerics.newton import Minimum
from scalefit.sampling.alr import from_alr, unflatten

T = TypeVar("T")
SWEEPS = 3  # of reweighted least squares, from weights nearby
SMALL = 1e-3  # of sigma: nearer residuals have the IRLS weight of this one
WIDER = 1.3  # than Laplace's approximation are half of the proposals: noise of heavy tails leaves weights wider


class LaplaceWeights(NamedTuple):
    """Laplace's approximation of the weights, where all runs err alike in coordinates in which it is diagonal.

    Attributes
    ----------
    basis
        At the runs, rotated.
    rotation
        Of the rotated weights to those of the basis before.
    irls_weight
        How much each run counts beside one close to the law.
    gram
        Precision that the runs add to each weight, times sigma squared; where they do not err alike that of all weights
        together, (pivot, pivot), without what clusters take from it.
    curvature
        Mean curvature of the runs' densities, as a share of that of their IRLS weights.
    of_clusters
        Sums over the runs of every cluster of the basis times their IRLS weights; empty without clusters.
    """

    basis: Float[Array, "run pivot"]
    rotation: Float[Array, "pivot pivot"]
    irls_weight: Float[Array, " run"]
    gram: Float[Array, " pivot"]
    curvature: Float[Array, ""]
    of_clusters: Any = None

    @classmethod
    def uninformed(cls, basis: Float[Array, "run pivot"], data: Data) -> Self:
        """Without runs: the mode of all weights is zero."""
        runs, pivots = basis.shape
        zeros = partial(jnp.zeros, dtype=basis.dtype)
        gram = zeros(pivots) if data.scales_alike else zeros((pivots, pivots))
        of_clusters = None if data.clusters is None else zeros((len(data.clusters.real), pivots))
        return cls(basis, jnp.eye(pivots, dtype=basis.dtype), zeros(runs), gram, zeros(()), of_clusters)

    def mean_and_precision(
        self, data: Data, theta: Theta, r: Float[Array, " run"]
    ) -> tuple[Float[Array, " pivot"], Float[Array, " pivot ..."]]:
        """Of the weights, given residuals r of the law and the noise; where runs do not err alike the precision is the
        lower triangle whose product with its transpose is that of all weights."""
        sigma = theta["sigma"]
        if data.scales_alike:
            mean = (self.basis.T @ (self.irls_weight * r)) / (sigma**2 + self.gram)
            return mean, 1 + self.curvature * self.gram / sigma**2
        errors = Errors.of(data, theta, self.precision(data, theta))
        if data.variance is not None or errors.shared is None:
            added = self.basis.T @ errors.precise(self.basis)
        else:  # the same, from sums that do not depend on the scales
            taken = self.of_clusters.T @ (errors.shared[0][:, None] * self.of_clusters)
            added = self.gram / sigma**2 - taken / sigma**4
        root = small_cholesky(added + jnp.eye(len(added), dtype=added.dtype))
        pull = self.basis.T @ errors.precise(r)
        return small_solve_upper(root, small_solve_lower(root, pull[:, None]))[:, 0], root

    def precision(self, data: Data, theta: Theta) -> Float[Array, " run"]:
        """Of each run's own noise."""
        if data.variance is None:
            return self.irls_weight / theta["sigma"] ** 2
        return self.irls_weight / data.at_runs(theta)["sigma"] ** 2


def half_log_det(precision: Float[Array, " pivot ..."]) -> Float[Array, ""]:
    """Half of ln of the determinant of `LaplaceWeights.mean_and_precision`'s second."""
    return 0.5 * jnp.log(precision).sum() if precision.ndim == 1 else jnp.log(jnp.diagonal(precision)).sum()


class Errors(NamedTuple):
    """Approximately normal errors of the runs: the inverse of their covariance.

    Attributes
    ----------
    precision
        Of each run's own.
    shared
        What the clusters' errors take, (cluster,), and which clusters; None without clusters.
    """

    precision: Float[Array, " run"]
    shared: tuple[Float[Array, " cluster"], Clusters] | None

    @classmethod
    def of(cls, data: Data, theta: Theta, precision: Float[Array, " run"]) -> Self:
        """From the precision of the runs' own noise, and the scale of what they share."""
        if data.clusters is None:
            return cls(precision, None)
        variance = theta[SHARED] ** 2
        return cls(precision, (variance / (1 + variance * data.clusters.total(precision)), data.clusters))

    def precise(self, values: Float[Array, "run ..."]) -> Float[Array, "run ..."]:
        """The inverse covariance times values."""
        column = lambda v: v.reshape(-1, *[1] * (values.ndim - 1))
        own = column(self.precision) * values
        return own if self.shared is None else own - column(self.precision) * self.common(own)

    def common(self, own: Float[Array, "run ..."]) -> Float[Array, "run ..."]:
        """The error that each run's cluster shares, where the runs' own pull with `own`; zero without clusters."""
        if self.shared is None:
            return jnp.zeros_like(own)
        share, clusters = self.shared
        total = clusters.total(own)
        return (share.reshape(-1, *[1] * (total.ndim - 1)) * total)[clusters.of_run]


def law_residuals(model: Model, data: Data, alr: Float[Array, " dim"]) -> tuple[Theta, Float[Array, " run"]]:
    """Law and noise of ALR coordinates, and ln loss of every run less the law's."""
    theta = model.space.constrain(unflatten(model, from_alr(model, alr)))
    return theta, data.log_loss - model.log_mean(theta, data.x)


def in_precision_of(given: LaplaceWeights, tree: T) -> T:
    """Arrays of a tree in the precision of an approximation.

    The law is evaluated in that in force, its residuals are small numbers: single precision then serves for all that is
    done with them, in half of the time.
    """
    number = given.basis.dtype
    return jax.tree.map(lambda leaf: leaf.astype(number) if leaf.dtype.kind == "f" else leaf, tree)


def laplace_weights(
    model: Model, data: Data, near: LaplaceWeights, theta: Theta, r: Float[Array, " run"]
) -> LaplaceWeights:
    """At law and noise `theta`, which leave the residuals r, starting from the approximation `near` others."""
    if not data.is_plain:
        return _laplace_weights(model, data, near, theta, r)
    sigma, basis = theta["sigma"], near.basis
    slope = jax.grad(lambda e: model.noise.log_density(theta, e))

    def irls_weight_of(rest: Float[Array, " run"]) -> Float[Array, " run"]:
        rest = jnp.where(jnp.abs(rest) < SMALL * sigma, SMALL * sigma, rest)
        return data.weight * jnp.maximum(-jax.vmap(slope)(rest) / rest, 0.0) * sigma**2

    def sweep(_: Any, rest: Float[Array, " run"]) -> Float[Array, " run"]:
        irls_weight = irls_weight_of(rest)
        root = small_cholesky((basis.T * irls_weight) @ basis + sigma**2 * jnp.eye(basis.shape[1]))
        pull = small_solve_lower(root, (basis.T @ (irls_weight * r))[:, None])
        return r - basis @ small_solve_upper(root, pull)[:, 0]

    start = r - basis @ near.mean_and_precision(data, theta, r)[0]
    rest = jax.lax.fori_loop(0, SWEEPS, sweep, start)
    irls_weight = irls_weight_of(rest)
    curvature = data.weight * jnp.maximum(-jax.vmap(jax.grad(slope))(rest), 0.0) * sigma**2
    gram, rotation = jnp.linalg.eigh((basis.T * irls_weight) @ basis)
    share = curvature.sum() / irls_weight.sum()
    return LaplaceWeights(basis @ rotation, near.rotation @ rotation, irls_weight, jnp.maximum(gram, 0.0), share)


def _laplace_weights(
    model: Model, data: Data, near: LaplaceWeights, theta: Theta, r: Float[Array, " run"]
) -> LaplaceWeights:
    """The same where errors are shared, or differ in scale."""
    basis, noise, at_runs = near.basis, of_single_runs(model.noise), data.at_runs(theta)
    precision_of = lambda left: data.weight * irls_precision(noise, at_runs, left)
    unit = jnp.eye(basis.shape[1], dtype=basis.dtype)

    def sweep(_: Any, state: tuple[Array, Array]) -> tuple[Array, Array]:
        rest, common = state
        errors = Errors.of(data, theta, precision_of(rest - common))
        root = small_cholesky(basis.T @ errors.precise(basis) + unit)
        pull = small_solve_lower(root, (basis.T @ errors.precise(r))[:, None])
        rest = r - basis @ small_solve_upper(root, pull)[:, 0]
        return rest, errors.common(errors.precision * rest)

    start = r - basis @ near.mean_and_precision(data, theta, r)[0]
    begin = start, Errors.of(data, theta, precision_of(start)).common(precision_of(start) * start)
    rest, common = jax.lax.fori_loop(0, SWEEPS, sweep, begin)
    left = rest - common
    errors = Errors.of(data, theta, precision_of(left))
    gradient = jax.grad(lambda e: noise.log_density(at_runs, e).sum())
    curvature = data.weight * jnp.maximum(-jax.jvp(gradient, (left,), (jnp.ones_like(left),))[1], 0.0)
    share = curvature.sum() / errors.precision.sum()
    alike = theta["sigma"] ** 2 if data.variance is None else at_runs["sigma"] ** 2
    irls_weight = errors.precision * alike
    gram = basis.T @ (irls_weight[:, None] * basis)
    of_clusters = None if data.clusters is None else data.clusters.total(irls_weight[:, None] * basis)
    if data.scales_alike:
        gram, turn = jnp.linalg.eigh(gram)
        return LaplaceWeights(basis @ turn, near.rotation @ turn, irls_weight, jnp.maximum(gram, 0.0), share)
    return LaplaceWeights(basis, near.rotation, irls_weight, gram, share, of_clusters)


def log_density_of(
    model: Model,
    data: Data,
    given: LaplaceWeights,
    theta: Theta,
    r: Float[Array, " run"],
    weights: Float[Array, "*set pivot"],
) -> Float[Array, "*set"]:
    """ln density of the runs and of the weights, less the constant of the weights' prior."""
    rest = r - weights @ given.basis.T
    if data.clusters is None:
        of_runs = (data.weight * model.noise.log_density(data.at_runs(theta), rest)).sum(-1)
    else:
        precision = given.precision(data, theta)
        one = lambda rest: log_density(model.noise, theta, data, rest, precision)
        of_runs = jnp.vectorize(one, signature="(run)->()")(rest)
    return of_runs - 0.5 * (weights**2).sum(-1)


def marginal_potential(model: Model, data: Data, given: LaplaceWeights, alr: Float[Array, " dim"]) -> Float[Array, ""]:
    """Minus ln density of law and noise, the weights integrated out by Laplace's method; in `given`'s precision."""
    data, theta, r = in_precision_of(given, (data, *law_residuals(model, data, alr)))
    mean, precision = given.mean_and_precision(data, theta, r)
    log_likelihood = log_density_of(model, data, given, theta, r, mean) - half_log_det(precision)
    return -model.space.log_density(unflatten(model, from_alr(model, alr))) - log_likelihood


def marginal_derivatives(model: Model, data: Data, given: LaplaceWeights, alr: Float[Array, " dim"]) -> Minimum:
    """`marginal_potential` with its gradient, and with Gauss and Newton's Hessian.

    The law's part of it is that of least squares with the discrepancy as one more source of error. Differentiating the
    mode of the weights twice would take many times as long.
    """
    theta, r = law_residuals(model, data, alr)
    mean, precision = given.mean_and_precision(data, theta, r)
    rest = r - given.basis @ mean

    def prior_and_noise(alr: Float[Array, " dim"]) -> Float[Array, ""]:
        z = unflatten(model, from_alr(model, alr))
        theta = model.space.constrain(z)
        known = None if data.clusters is None else given.precision(data, theta)
        return -model.space.log_density(z) - log_density(model.noise, theta, data, rest, known)

    value, gradient = jax.value_and_grad(partial(marginal_potential, model, data, given))(alr)
    slopes = jax.jacfwd(lambda alr: law_residuals(model, data, alr)[1])(alr)
    if data.scales_alike:
        weighted = (given.curvature / theta["sigma"] ** 2 * given.irls_weight)[:, None] * slopes
        shared = (given.basis.T @ weighted) / jnp.sqrt(precision)[:, None]
    else:
        weighted = given.curvature * Errors.of(data, theta, given.precision(data, theta)).precise(slopes)
        shared = small_solve_lower(precision, given.basis.T @ weighted) / jnp.sqrt(given.curvature)
    hessian = slopes.T @ weighted - shared.T @ shared + jax.hessian(prior_and_noise)(alr)
    return Minimum(alr, value, gradient, hessian)


def propose_weights(
    model: Model, data: Data, given: LaplaceWeights, alr: Float[Array, " dim"], normal: Float[Array, "quarter pivot"]
) -> tuple[Float[Array, "set pivot"], Float[Array, " set"]]:
    """Sets of weights around their approximation, and ln of the importance of each.

    The mean of exp(ln) over all sets is an estimate of the density of law and noise, that of `marginal_potential` but
    for its error. The precision is that of `given`.

    Parameters
    ----------
    model, data, given
        The model, its table, and the approximation.
    alr
        Law and noise.
    normal
        Standard normal numbers; each makes two sets, mirrored, and two that are `WIDER`.
    """
    data, theta, r = in_precision_of(given, (data, *law_residuals(model, data, alr)))
    mean, precision = given.mean_and_precision(data, theta, r)
    scaled = jnp.concatenate([normal, -normal, WIDER * normal, -WIDER * normal])
    if data.scales_alike:
        weights = mean + scaled / jnp.sqrt(precision)
    else:
        weights = mean + small_solve_upper(precision, scaled.T).T
    distance = (scaled**2).sum(1)
    narrow, wide = -0.5 * distance, -0.5 * distance / WIDER**2 - len(mean) * np.log(WIDER)
    log_proposal = jnp.logaddexp(narrow, wide) - np.log(2) + half_log_det(precision)
    log_prior = model.space.log_density(unflatten(model, from_alr(model, alr)))
    return weights, log_prior + log_density_of(model, data, given, theta, r, weights) - log_proposal
