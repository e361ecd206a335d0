"""The posterior of a law together with its discrepancy.

Law and noise are sampled with the weights of the discrepancy integrated out by Laplace's method; the error of that is
measured by importance where the draws are, and a quadratic through it is added to the log density. Each draw then takes
one of several sets of weights, by their own density. On the 240 Chinchilla runs this agrees with long NUTS runs of
everything jointly; uncorrected, the median of sigma was .7 of its standard deviations too high, and that of beta .23.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from warnings import warn

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from scalefit._aot import cached_jit, on_host
from scalefit._precision import in_background, precision
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
    LaplaceWeights,
    laplace_weights,
    law_residuals,
    log_likelihood,
    marginal_potential,
    propose_weights,
)

SHAPE = (4, 250)  # paths are costly to evaluate, and a thousand are enough for intervals
SCHEDULES = (Schedule(block=1000, rounds=20), Schedule(block=4000, rounds=40))  # the second where the first fails
ROUNDS = 4  # of descending to the mode and reweighting the runs there
PASSES = 2  # of correcting the approximation where the draws of the pass before are
PLACES, SETS = 256, 64  # laws at which the approximation's error is measured, and sets of weights for each
CHOICES = 16  # sets of weights that a draw chooses from
MANY = 2048  # runs beyond which fewer sets do: more runs leave less to correct, and cost more


@dataclass(frozen=True, eq=False)
class DiscrepancyPosterior:
    """Draws of a law together with its discrepancy.

    Attributes
    ----------
    theta
        Raw parameters of law and noise, each (draw,).
    paths
        What `discrepancy_at` takes, each (draw, ...) or shared by all draws, along `PATH_AXES`.
    pareto_k
        Of the importance weights.
    sd_at_runs
        Standard deviation of the discrepancy over the runs, in ln loss.
    doubt
        Why the draws are not to be trusted, empty where they are.
    """

    theta: dict[str, Float[np.ndarray, " draw"]]
    paths: dict[str, np.ndarray]
    pareto_k: float
    sd_at_runs: Float[np.ndarray, " draw"]
    doubt: str = ""


def sample_discrepancy_posterior(
    bound: BoundModel, theta: Mapping[str, Float[np.ndarray, "..."]], seed: int
) -> DiscrepancyPosterior:
    """Draws of a law together with its discrepancy on the runs of `bound`.

    Parameters
    ----------
    bound
        Model and runs.
    theta
        Draws of the raw parameters of law and noise, around whose median the mode is sought: those of the law alone
        serve.
    seed
        The same seed gives the same draws.

    Raises
    ------
    QuestionError
        The model has no discrepancy, or the draws are not finite.

    Warns
    -----
    FitWarning
        The draws are not to be trusted.
    """
    model, discrepancy = bound.model.with_discrepancy_priors, bound.model.discrepancy
    centres, basis = bound.basis
    assert discrepancy is not None, "basis refuses a model without one"
    middle = bound.to_unit({name: np.median(values) for name, values in theta.items()})
    with precision():
        data, key = bound.data, prng_key(seed)
        start = {name: jnp.asarray(value, float) for name, value in middle.items()}
        uninformed = LaplaceWeights.uninformed(basis.astype(jnp.result_type(float)))
        shapes = Laplace.shapes(len(model.free))
        with in_background(lambda: joint_draw.prepare(model, data, uninformed, shapes, key, SHAPE, SCHEDULES[0])):
            given, found = on_host(joint_mode(model, data, uninformed, start))
        for schedule in SCHEDULES:
            begin = LaplaceWeights(*given), Laplace(*found)
            drawn, weights, stats = joint_draw(model, data, *begin, key, SHAPE, schedule)
            if not (why := doubt(stats)):
                break
    if not all(np.isfinite(values).all() for values in (weights, *drawn.values())):
        raise QuestionError(
            f"the posterior with discrepancy of {bound.runs.name} has draws that are not finite. "
            "Remove copies of runs, or leave the discrepancy out."
        )
    if why:
        warn(f"{why}, of the law with discrepancy: take its intervals as rough", FitWarning)
    raw = bound.to_raw({name: np.asarray(values, dtype=float).reshape(-1) for name, values in drawn.items()})
    flat = np.asarray(weights, dtype=float).reshape(-1, weights.shape[-1])
    sd_at_runs = small_matmul(flat, basis[: len(bound.runs)].T).std(axis=1)
    paths = sample_paths(discrepancy.scales, centres, flat, seed)
    return DiscrepancyPosterior(raw, paths, pareto_k_of(stats), sd_at_runs, why)


@cached_jit("model")
def joint_mode(
    model: Model, data: Data, uninformed: LaplaceWeights, start: Theta
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Laplace's approximations at the mode next to the law and noise `start`: of the weights, and of law and noise."""

    def refine(_: Any, state: tuple[LaplaceWeights, Minimum]) -> tuple[LaplaceWeights, Minimum]:
        near, minimum = state
        given = laplace_weights(model, data, near, *law_residuals(model, data, minimum.x))
        return given, descend(autodiff_value_grad_hess(partial(marginal_potential, model, data, given)), minimum.x)

    begin = Minimum.unevaluated(unconstrain_alr(model, start))
    given, minimum = jax.lax.fori_loop(0, ROUNDS, refine, (uninformed, begin))
    return tuple(given), tuple(laplace_at(minimum))


@cached_jit("model", "shape", "schedule")
def joint_draw(
    model: Model,
    data: Data,
    given: LaplaceWeights,
    found: Laplace,
    key: PRNGKeyArray,
    shape: tuple[int, int],
    schedule: Schedule,
) -> tuple[
    dict[str, Float[Array, "chain draw"]], Float[Array, "chain draw pivot"], dict[str, Shaped[Array, "chain draw"]]
]:
    """Draws of law and noise by name, of the weights, and statistics."""
    draws, pivots, (dim,) = shape[0] * shape[1], len(given.gram), found.mode.shape
    sets, choices = (max(4, count * MANY // max(MANY, len(data.weight)) // 2 * 2) for count in (SETS, CHOICES))
    normal_key, pass_key = jax.random.split(key)
    # Drawn at once, and used for both: a generator is much to compile, and so is another.
    normal = jax.random.normal(normal_key, (PLACES, sets // 2, pivots + dim), given.basis.dtype)
    first, normal = found.mode + normal[:, 0, pivots:] @ found.scale.T, normal[..., :pivots]
    log_error = over_draws(partial(_log_error, model, data, given), data, each=sets)

    def corrected(places: Float[Array, "place dim"], key: PRNGKeyArray) -> tuple[Float[Array, "place dim"], Drawn]:
        correction = Quadratic.through(places, *log_error(places, normal))
        log_density = lambda alr: correction(alr) - marginal_potential(model, data, given, alr)
        start = at_modes(jax.tree.map(lambda leaf: leaf[None], found))
        drawn = importance(start, over_draws(log_density, data), key, shape, schedule)
        return drawn.z.reshape(draws, dim)[np.arange(PLACES) * draws // PLACES], drawn

    _, passes = jax.lax.scan(corrected, first, jax.random.split(pass_key, PASSES))
    drawn = jax.tree.map(lambda leaf: leaf[-1], passes)
    again = jnp.resize(normal, (draws, choices // 2, pivots))
    choose = over_draws(partial(_chosen, model, data, given), data, each=choices)
    shares = quasirandom(draws, 1, first=0, offset=0.0)[:, 0].astype(again.dtype)
    weights = choose(drawn.z.reshape(draws, dim), again, shares)
    return constrain_alr(model, drawn.z), weights.reshape(*shape, pivots), drawn.stats


def _log_error(
    model: Model, data: Data, given: LaplaceWeights, alr: Float[Array, " dim"], normal: Float[Array, "half pivot"]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """ln of the exact density at `alr` over that of `marginal_potential`, and the effective number of sets behind it.

    By importance around the approximation there; the logarithm of a mean is too low by half its variance.
    """
    theta, r = law_residuals(model, data, alr)
    near = laplace_weights(model, data, given, theta, r)
    _, log_importance = propose_weights(model, data, near, theta, r, _antithetic(normal))
    log_sum, sets = logsumexp(log_importance), len(log_importance)
    effective = jnp.exp(2 * log_sum - logsumexp(2 * log_importance))
    log_mean = log_sum - jnp.log(sets) + 0.5 / effective - 0.5 / sets
    return log_mean - log_likelihood(model, data, given, theta, r), effective


def _chosen(
    model: Model,
    data: Data,
    given: LaplaceWeights,
    alr: Float[Array, " dim"],
    normal: Float[Array, "half pivot"],
    share: Float[Array, ""],
) -> Float[Array, " pivot"]:
    """Weights of a draw: of several, those at a `share` of their importance."""
    theta, r = law_residuals(model, data, alr)
    weights, log_importance = propose_weights(model, data, given, theta, r, _antithetic(normal))
    return given.rotation @ weights[at_shares(jnp.exp(log_importance - log_importance.max()), share)]


def _antithetic(normal: Float[Array, "half pivot"]) -> Float[Array, "all pivot"]:
    return jnp.concatenate([normal, -normal])
