"""The posterior of a law together with its own error.

The process at the runs is linear in standard normal weights, so given the law and the noise they are almost normal:
their conditional, at robust weights of the runs, is proposed exactly and corrected by importance. What is left to
adapt to is the law and the noise, as without the error.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from scalefit.infer._importance import Drawn, Schedule, importance
from scalefit.infer._mixture import at_modes
from scalefit.infer._mode import _normal, constrain_flat, unflatten
from scalefit.infer._newton import autodiff, descend
from scalefit.model import Data, Model, Theta

ROUNDS = 3  # of finding the mode and weighing the runs again


class Conditional(NamedTuple):
    """Weights of the process given residuals: basis (run, pivot) turned so that precisions are diagonal.

    trust : how much each run counts, relative to one whose residual is small, (run,). turn : (pivot, pivot).
    """

    basis: Array
    turn: Array
    gram: Array
    trust: Array

    def mean_and_precision(self, r: Array, sigma: Array) -> tuple[Array, Array]:
        """Of the turned weights, each (pivot,), given residuals r (run,) of the law and the noise's scale."""
        precision = 1 + self.gram / sigma**2
        return (self.basis.T @ (self.trust * r)) / sigma**2 / precision, precision


def conditional(basis: Array, trust: Array) -> Conditional:
    """From a basis and how much each run counts."""
    gram, turn = jnp.linalg.eigh((basis.T * trust) @ basis)
    return Conditional(basis @ turn, turn, jnp.maximum(gram, 0.0), trust)


def _residuals(model: Model, data: Data, flat: Array) -> tuple[Theta, Array]:
    theta = model.constrain(unflatten(model, flat))
    return theta, data.log_loss - model.log_mean(theta, data.x)


def _height(model: Model, data: Data, given: Conditional, flat: Array, weights: Array) -> Array:
    """Minus ln density of law, noise and weights together, up to a constant."""
    theta, r = _residuals(model, data, flat)
    likelihood = (data.weight * model.noise.log_density(theta, r - given.basis @ weights)).sum()
    return model.prior_potential(unflatten(model, flat)) - likelihood + 0.5 * weights @ weights


def _collapsed(model: Model, data: Data, given: Conditional, flat: Array) -> Array:
    """Minus ln density of law and noise, the weights integrated out by Laplace's method."""
    theta, r = _residuals(model, data, flat)
    mean, precision = given.mean_and_precision(r, theta["sigma"])
    return _height(model, data, given, flat, mean) + 0.5 * jnp.log(precision).sum()


def _trust(model: Model, data: Data, given: Conditional, flat: Array) -> Array:
    """How much each run counts: weights of iteratively reweighted least squares, times sigma squared."""
    theta, r = _residuals(model, data, flat)
    left = r - given.basis @ given.mean_and_precision(r, theta["sigma"])[0]
    left = jnp.where(jnp.abs(left) < 1e-3 * theta["sigma"], 1e-3 * theta["sigma"], left)
    slope = jax.vmap(jax.grad(lambda e: model.noise.log_density(theta, e)))(left)
    return data.weight * jnp.maximum(-slope / left, 0.0) * theta["sigma"] ** 2


@partial(jax.jit, static_argnames=("model", "shape", "schedule"))
def solve_form(
    model: Model, data: Data, basis: Array, start: Array, key: Array, shape: tuple[int, int], schedule: Schedule
) -> tuple[Theta, Array, dict[str, Array]]:
    """Draws of law and noise, name -> (chain, draw), of the weights, (chain, draw, pivot), and statistics.

    basis : (padded run, pivot), zero where padded. start : flat parameters from which the mode is sought.
    """

    def refine(_: int, state: tuple[Array, Array]) -> tuple[Array, Array]:
        flat, trust = state
        given = conditional(basis, trust)
        flat = descend(autodiff(partial(_collapsed, model, data, given)), flat).place
        return flat, _trust(model, data, given, flat)

    flat, trust = jax.lax.fori_loop(0, ROUNDS, refine, (start, data.weight))
    given = conditional(basis, trust)
    bottom = autodiff(partial(_collapsed, model, data, given))(flat)

    def one(flat: Array, normal: Array) -> tuple[Array, Array]:
        theta, r = _residuals(model, data, flat)
        mean, precision = given.mean_and_precision(r, theta["sigma"])
        weights = mean + normal / jnp.sqrt(precision)
        log_proposal = 0.5 * jnp.log(precision).sum() - 0.5 * normal @ normal
        return -_height(model, data, given, flat, weights) - log_proposal, given.turn @ weights

    def target(z: Array, key: Array) -> tuple[Array, Array]:
        return jax.vmap(one)(z, jax.random.normal(key, (len(z), basis.shape[1]), z.dtype))

    found = jax.tree.map(lambda leaf: leaf[None], _normal(bottom))
    drawn: Drawn = importance(at_modes(found), target, key, shape, schedule)
    return constrain_flat(model, drawn.z), drawn.extra, drawn.stats
