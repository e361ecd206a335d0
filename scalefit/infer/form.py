"""The posterior of a law together with its own error.

The process at the runs is linear in standard normal weights. Given law and noise these are taken as normal, around what
robustly weighted least squares makes of the residuals: exact for normal noise, and for heavy tails the approximation
of Rue, Martino and Chopin 2009 (J. R. Stat. Soc. B 71, 319). What is left to sample is the law and the noise. On the
240 Chinchilla runs, beside long NUTS runs of everything jointly, that puts the medians of sigma .7 and of beta .23
standard deviations too high, and those of E and alpha less than .1.
"""

from functools import partial
from typing import NamedTuple
from warnings import warn

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit._numerics import precision, product
from scalefit._programs import program
from scalefit.discrepancy import Form, make_paths
from scalefit.errors import FitWarning
from scalefit.fitted import Fit
from scalefit.health import PARETO_K
from scalefit.infer._coordinates import bent, constrain_straight, unconstrain_straight, unflatten
from scalefit.infer._importance import Schedule, importance
from scalefit.infer._mixture import at_modes
from scalefit.infer._mode import laplace_at
from scalefit.infer._newton import Bottom, autodiff, descend
from scalefit.model import Data, Model, Theta

SHAPE = (4, 250)  # paths are costly to look at, and a thousand say what is known of them
SCHEDULES = (Schedule(block=1000, rounds=20), Schedule(block=4000, rounds=40))  # the second where the first fails
ROUNDS = 3  # of descending to the mode and weighing the runs again there
SWEEPS = 8  # of reweighted least squares, at fixed law and noise


class Conditional(NamedTuple):
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

    def mean_and_precision(self, r: Array, sigma: Array) -> tuple[Array, Array]:
        """Each (pivot,), given residuals r (run,) of the law and the noise's scale."""
        mean = (self.basis.T @ (self.trust * r)) / (sigma**2 + self.gram)
        return mean, 1 + self.bend * self.gram / sigma**2


def conditional(model: Model, data: Data, basis: Array, straight: Array) -> Conditional:
    """At the law and noise of `straight` coordinates."""
    theta, r = _residuals(model, data, bent(model, straight))
    sigma = theta["sigma"]
    slope = jax.grad(lambda e: model.noise.log_density(theta, e))

    def trust_of(left: Array) -> Array:
        left = jnp.where(jnp.abs(left) < 1e-3 * sigma, 1e-3 * sigma, left)
        return data.weight * jnp.maximum(-jax.vmap(slope)(left) / left, 0.0) * sigma**2

    def sweep(_: int, left: Array) -> Array:
        trust = trust_of(left)
        gram = (basis.T * trust) @ basis + sigma**2 * jnp.eye(basis.shape[1])
        return r - basis @ jnp.linalg.solve(gram, basis.T @ (trust * r))

    left = jax.lax.fori_loop(0, SWEEPS, sweep, r)
    trust = trust_of(left)
    curvature = data.weight * jnp.maximum(-jax.vmap(jax.grad(slope))(left), 0.0) * sigma**2
    gram, turn = jnp.linalg.eigh((basis.T * trust) @ basis)
    return Conditional(basis @ turn, turn, trust, jnp.maximum(gram, 0.0), curvature.sum() / trust.sum())


def _residuals(model: Model, data: Data, flat: Array) -> tuple[Theta, Array]:
    theta = model.constrain(unflatten(model, flat))
    return theta, data.log_loss - model.log_mean(theta, data.x)


def _collapsed(model: Model, data: Data, given: Conditional, straight: Array) -> Array:
    """Minus ln density of law and noise, the weights integrated out by Laplace's method."""
    flat = bent(model, straight)
    theta, r = _residuals(model, data, flat)
    mean, precision = given.mean_and_precision(r, theta["sigma"])
    likelihood = (data.weight * model.noise.log_density(theta, r - given.basis @ mean)).sum()
    return model.prior_potential(unflatten(model, flat)) - likelihood + 0.5 * (mean @ mean + jnp.log(precision).sum())


def fit_form(fit: Fit) -> Form:
    """The posterior of a fit's law together with its own error, on the same runs; the fit's seed repeats it.

    Raises `ModelError` where the model leaves the error out; warns with `FitWarning` where the draws are not to be
    trusted.
    """
    bound, model = fit.bound, fit.model.with_error
    centres, basis = bound.basis
    middle = bound.to_unit({name: np.median(values) for name, values in fit.theta.items()})
    with precision():
        start = unconstrain_straight(model, {name: jnp.asarray(value, float) for name, value in middle.items()})
        key = jax.random.PRNGKey(fit.seed)
        for schedule in SCHEDULES:
            theta, weights, stats = solve_form(model, bound.data, jnp.asarray(basis), start, key, SHAPE, schedule)
            pareto_k = float(np.asarray(stats["pareto_k"]).flat[0])
            if pareto_k <= PARETO_K:
                break
    if not pareto_k <= PARETO_K:
        warn(f"Pareto k of the law with its own error is {pareto_k:.2f}, above {PARETO_K}: take its intervals as rough",
             FitWarning)  # fmt: skip
    raw = bound.to_raw({name: np.asarray(values, dtype=float).reshape(-1) for name, values in theta.items()})
    flat = np.asarray(weights, dtype=float).reshape(-1, weights.shape[-1])
    discrepancy = fit.model.discrepancy
    assert discrepancy is not None, "basis refuses a model without one"
    took = product(flat, basis[: len(bound.runs)].T).std(axis=1)
    paths = make_paths(discrepancy.scales, centres, flat, fit.seed)
    return Form(raw, paths, pareto_k, took)


@program("model", "shape", "schedule")
def solve_form(
    model: Model, data: Data, basis: Array, start: Array, key: Array, shape: tuple[int, int], schedule: Schedule
) -> tuple[Theta, Array, dict[str, Array]]:
    """Draws of law and noise, name -> (chain, draw), of the weights, (chain, draw, pivot), and statistics.

    basis : (padded run, pivot), zero where padded. start : straight coordinates from which the mode is sought.
    """

    def refine(_: int, bottom: Bottom) -> Bottom:
        given = conditional(model, data, basis, bottom.place)
        return descend(autodiff(partial(_collapsed, model, data, given)), bottom.place)

    one = jnp.ones((), start.dtype)
    bottom = jax.lax.fori_loop(0, ROUNDS, refine, Bottom(start, one, start, jnp.outer(start, start)))
    given = conditional(model, data, basis, bottom.place)
    found = jax.tree.map(lambda leaf: leaf[None], laplace_at(bottom))
    key, last = jax.random.split(key)
    log_target = jax.vmap(lambda straight: -_collapsed(model, data, given, straight))
    drawn = importance(at_modes(found), log_target, key, shape, schedule)

    def weights(straight: Array, normal: Array) -> Array:
        theta, r = _residuals(model, data, bent(model, straight))
        mean, precision = given.mean_and_precision(r, theta["sigma"])
        return given.turn @ (mean + normal / jnp.sqrt(precision))

    normal = jax.random.normal(last, (*shape, basis.shape[1]), drawn.z.dtype)
    return constrain_straight(model, drawn.z), jax.vmap(jax.vmap(weights))(drawn.z, normal), drawn.stats
