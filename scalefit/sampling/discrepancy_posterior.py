"""The posterior of a law together with its own error.

Law and noise are sampled with the weights of the error integrated out, approximately; what that is wrong by is looked
at where the draws are, by importance, and a quadratic through it is added to the density. Each draw then takes one of
several sets of weights, by their own density. On the 240 Chinchilla runs this agrees with long NUTS runs of everything
jointly; uncorrected, the median of sigma was .7 of its standard deviations too high, and that of beta .23.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from warnings import warn

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import logsumexp

from scalefit._aot import cached_jit, on_host
from scalefit._precision import meanwhile, precision
from scalefit._random import prng_key, quasirandom
from scalefit.errors import FitWarning, QuestionError
from scalefit.model.data import Data, Theta, over_draws
from scalefit.model.discrepancy import sample_paths
from scalefit.model.model import BoundModel, Model
from scalefit.numerics.importance import Drawn, Schedule, at_shares, doubt, importance, pareto_k_of
from scalefit.numerics.laplace import Laplace, laplace_at
from scalefit.numerics.linalg import small_matmul
from scalefit.numerics.mixture import at_modes
from scalefit.numerics.newton import Minimum, autodiff_value_grad_hess, descend
from scalefit.numerics.quadratic import Quadratic
from scalefit.sampling.alr import constrain_alr, unconstrain_alr
from scalefit.sampling.marginal_discrepancy import (
    ConditionalWeights,
    conditional,
    law_residuals,
    log_likelihood,
    marginal_potential,
    propose_weights,
)

SHAPE = (4, 250)  # paths are costly to look at, and a thousand say what is known of them
SCHEDULES = (Schedule(block=1000, rounds=20), Schedule(block=4000, rounds=40))  # the second where the first fails
ROUNDS = 4  # of descending to the mode and weighing the runs again there
PASSES = 2  # of looking at what the approximation is wrong by, where the last pass's draws are
PLACES, TRIES = 256, 64  # laws at which to look, and sets of weights for each
CHOICES = 16  # sets of weights that a draw chooses from
MANY = 2048  # runs beyond which fewer sets do: more runs leave less to correct, and more to look at


@dataclass(frozen=True, eq=False)
class DiscrepancyPosterior:
    """Draws of a law together with its discrepancy.

    theta : name -> (draw,), raw parameters of law and noise. paths : what `discrepancy_at` takes, name -> (draw, ...).
    pareto_k : of the importance weights. sd_at_runs : standard deviation of the discrepancy over the runs, in ln loss,
    (draw,). doubt : why the draws are not to be trusted, empty where they are.
    """

    theta: dict[str, np.ndarray]
    paths: dict[str, np.ndarray]
    pareto_k: float
    sd_at_runs: np.ndarray
    doubt: str = ""


def sample_discrepancy_posterior(bound: BoundModel, theta: Mapping[str, np.ndarray], seed: int) -> DiscrepancyPosterior:
    """Draws of a law together with its discrepancy on the runs of `bound`; the same seed, the same draws.

    theta : raw parameters of law and noise, name -> (draw,), around whose median the mode is sought: those of the law
    alone serve. Raises `QuestionError` where the model has no discrepancy; warns with `FitWarning` where the draws are
    not to be trusted.
    """
    model, discrepancy = bound.model.with_discrepancy_priors, bound.model.discrepancy
    centres, basis = bound.basis
    assert discrepancy is not None, "basis refuses a model without one"
    middle = bound.to_unit({name: np.median(values) for name, values in theta.items()})
    with precision():
        data, key = bound.data, prng_key(seed)
        start = {name: jnp.asarray(value, float) for name, value in middle.items()}
        uninformed = ConditionalWeights.uninformed(basis.astype(jnp.result_type(float)))
        shapes = Laplace.shapes(len(model.params()))
        with meanwhile(lambda: _draw.prepare(model, data, uninformed, shapes, key, SHAPE, SCHEDULES[0])):
            given, found = on_host(_mode(model, data, uninformed, start))
        for schedule in SCHEDULES:
            begin = ConditionalWeights(*given), Laplace(*found)
            drawn, weights, stats = _draw(model, data, *begin, key, SHAPE, schedule)
            if not (why := doubt(stats)):
                break
    if not all(np.isfinite(values).all() for values in (weights, *drawn.values())):
        raise QuestionError(
            f"the posterior with discrepancy of {bound.runs.name} has draws that are not finite. Remove copies of runs, or "
            "leave the discrepancy out."
        )
    if why:
        warn(f"{why}, of the law with discrepancy: take its intervals as rough", FitWarning)
    raw = bound.to_raw({name: np.asarray(values, dtype=float).reshape(-1) for name, values in drawn.items()})
    flat = np.asarray(weights, dtype=float).reshape(-1, weights.shape[-1])
    sd_at_runs = small_matmul(flat, basis[: len(bound.runs)].T).std(axis=1)
    paths = sample_paths(discrepancy.scales, centres, flat, seed)
    return DiscrepancyPosterior(raw, paths, pareto_k_of(stats), sd_at_runs, why)


@cached_jit("model")
def _mode(
    model: Model, data: Data, uninformed: ConditionalWeights, start: Theta
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """The approximation of the weights at the mode of law and noise, and the normal one there of law and noise.

    start : law and noise from which the mode is sought.
    """

    def refine(_: int, state: tuple[ConditionalWeights, Minimum]) -> tuple[ConditionalWeights, Minimum]:
        near, minimum = state
        given = conditional(model, data, near, *law_residuals(model, data, minimum.x))
        return given, descend(autodiff_value_grad_hess(partial(marginal_potential, model, data, given)), minimum.x)

    begin = Minimum.unevaluated(unconstrain_alr(model, start))
    given, minimum = jax.lax.fori_loop(0, ROUNDS, refine, (uninformed, begin))
    return tuple(given), tuple(laplace_at(minimum))


@cached_jit("model", "shape", "schedule")
def _draw(
    model: Model,
    data: Data,
    given: ConditionalWeights,
    found: Laplace,
    key: Array,
    shape: tuple[int, int],
    schedule: Schedule,
) -> tuple[Theta, Array, dict[str, Array]]:
    """Draws of law and noise, name -> (chain, draw), of the weights, (chain, draw, pivot), and statistics."""
    draws, pivots, (dim,) = shape[0] * shape[1], len(given.gram), found.mode.shape
    tries, choices = (max(4, count * MANY // max(MANY, len(data.weight)) // 2 * 2) for count in (TRIES, CHOICES))
    normal_key, pass_key = jax.random.split(key)
    # Drawn at once, and used for both: a generator is much to compile, and so is another.
    normal = jax.random.normal(normal_key, (PLACES, tries // 2, pivots + dim), given.basis.dtype)
    first, normal = found.mode + normal[:, 0, pivots:] @ found.scale.T, normal[..., :pivots]
    look = over_draws(partial(_log_error, model, data, given), data, each=tries)

    def improved(places: Array, key: Array) -> tuple[Array, Drawn]:
        correction = Quadratic.through(places, *look(places, normal))
        log_density = lambda alr: correction(alr) - marginal_potential(model, data, given, alr)
        start = at_modes(jax.tree.map(lambda leaf: leaf[None], found))
        drawn = importance(start, over_draws(log_density, data), key, shape, schedule)
        return drawn.z.reshape(draws, dim)[np.arange(PLACES) * draws // PLACES], drawn

    _, passes = jax.lax.scan(improved, first, jax.random.split(pass_key, PASSES))
    drawn = jax.tree.map(lambda leaf: leaf[-1], passes)
    again = jnp.resize(normal, (draws, choices // 2, pivots))
    choose = over_draws(partial(_chosen, model, data, given), data, each=choices)
    shares = quasirandom(draws, 1, first=0, offset=0.0)[:, 0].astype(again.dtype)
    weights = choose(drawn.z.reshape(draws, dim), again, shares)
    return constrain_alr(model, drawn.z), weights.reshape(*shape, pivots), drawn.stats


def _log_error(model: Model, data: Data, given: ConditionalWeights, alr: Array, normal: Array) -> tuple[Array, Array]:
    """ln of the exact density at `alr` over that of `marginal_potential`, and how many sets of weights it is worth.

    By importance around the approximation there; the logarithm of a mean is too low by half its variance.
    """
    seen = law_residuals(model, data, alr)
    near = conditional(model, data, given, *seen)
    _, log_each = propose_weights(model, data, near, *seen, _antithetic(normal))
    log_sum = logsumexp(log_each)
    worth = jnp.exp(2 * log_sum - logsumexp(2 * log_each))
    tries = len(log_each)
    log_mean = log_sum - jnp.log(tries) + 0.5 / worth - 0.5 / tries
    return log_mean - log_likelihood(model, data, given, *seen), worth


def _chosen(model: Model, data: Data, given: ConditionalWeights, alr: Array, normal: Array, share: Array) -> Array:
    """Weights (pivot,) of a draw: of several, those at a `share` of their density."""
    weights, log_each = propose_weights(model, data, given, *law_residuals(model, data, alr), _antithetic(normal))
    return given.turn @ weights[at_shares(jnp.exp(log_each - log_each.max()), share)]


def _antithetic(normal: Array) -> Array:
    """Numbers (try, pivot) with either sign."""
    return jnp.concatenate([normal, -normal])
