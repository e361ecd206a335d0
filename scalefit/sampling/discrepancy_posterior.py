"""The posterior of a law together with its discrepancy, and with the discrepancy's scales.

Each set of scales has a mode and a marginal likelihood by Laplace's method, which say how many proposals it gets. The
proposals, a mixture of t distributions around the modes, come with weights of the discrepancy proposed around their own
approximation, and importance makes all of it exact: law, noise, scales and discrepancy are drawn together, in
proportion to their joint density.
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
from jaxtyping import Array, Float, Int, PRNGKeyArray, Shaped

from scalefit._aot import cached_jit, on_host
from scalefit._batching import by_groups
from scalefit._precision import in_background, precision
from scalefit._random import prng_key, quasirandom
from scalefit.errors import FitWarning, QuestionError
from scalefit.model.data import Data, Theta
from scalefit.model.model import BoundModel, Model
from scalefit.model.paths import AtPivots, sample_paths, values_at
from scalefit.numerics.importance import Drawn, Schedule, at_shares, doubt, pareto_k_of, pseudo_marginal_importance
from scalefit.numerics.laplace import Laplace, laplace_at
from scalefit.numerics.linalg import small_matmul
from scalefit.numerics.mixture import at_modes
from scalefit.numerics.newton import Minimum, descend
from scalefit.numerics.quadratic import Quadratic
from scalefit.sampling.alr import constrain_alr, unconstrain_alr
from scalefit.sampling.marginal_discrepancy import (
    LaplaceWeights,
    laplace_weights,
    law_residuals,
    marginal_derivatives,
    marginal_potential,
    propose_weights,
)
from scalefit.sampling.monotone import LEAST_KEPT, falling_paths

DRAWN = (4, 1000)
SHAPE = (4, 250)  # of them: paths are costly to evaluate

SCHEDULES = Schedule(1000, rounds=6), Schedule(4000, rounds=40)  # the second where the first fails
PASSES = 2  # of correcting the approximation where the draws of the pass before are
PLACES, SETS = 256, 64  # laws at which the approximation's error is measured, and sets of weights for each
CHOICES = 16  # sets of weights that a draw chooses from
ROUNDS = 2  # of descending to a mode and reweighting the runs there
AT_ONCE = 2**18  # proposals times sets times rows evaluated together: what a cache holds
GROUP = 20  # proposals that share a set of scales
LEAST_SHARE = 0.002  # of the proposals that a set of scales gets, whatever its marginal likelihood


@dataclass(frozen=True, eq=False)
class DiscrepancyPosterior:
    """Draws of a law together with its discrepancy.

    Attributes
    ----------
    theta
        Raw parameters of law and noise, each (draw,).
    paths
        What `discrepancy_at` takes, each (draw, ...).
    component
        Which of the discrepancy's scales each draw has.
    pareto_k
        Of the importance weights.
    sd_at_runs
        Standard deviation of the discrepancy over the runs, in ln loss.
    doubt
        Why the draws are not to be trusted, empty where they are.
    """

    theta: dict[str, Float[np.ndarray, " draw"]]
    paths: dict[str, np.ndarray]
    component: Int[np.ndarray, " draw"]
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
        Draws of the raw parameters of law and noise, around whose median the modes are sought: those of the law alone
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
    centres, bases = bound.bases
    assert discrepancy is not None, "bases refuses a model without one"
    middle = bound.to_unit({name: np.median(values) for name, values in theta.items()})
    with precision():
        log_prior = np.log(discrepancy.probabilities)
        drawn, latent, stats, why = joint_draws(model, bound.data, bases, middle, log_prior, seed, DRAWN)
    if not all(np.isfinite(values).all() for values in (latent["weights"], *drawn.values())):
        raise QuestionError(
            f"the posterior with discrepancy of {bound.runs.name} has draws that are not finite. "
            "Remove copies of runs, or leave the discrepancy out."
        )
    if why:
        warn(f"{why}, of the law with discrepancy: take its intervals as rough", FitWarning)
    raw = bound.to_raw({name: np.asarray(values, dtype=float).reshape(-1) for name, values in drawn.items()})
    weights = np.asarray(latent["weights"], dtype=float).reshape(-1, bases.shape[-1])
    component = np.asarray(latent["component"]).reshape(-1)
    sd_at_runs = np.zeros(len(weights))
    for k in np.unique(component):
        rows = component == k
        sd_at_runs[rows] = small_matmul(weights[rows], bases[k, : len(bound.runs)].T).std(axis=1)
    at = [AtPivots.of(*each) for each in zip(discrepancy.scales, centres, strict=True)]
    with precision():
        rng, values = np.random.default_rng(seed), partial(values_at, at, component)
        some_paths, count = partial(sample_paths, at, component, weights, rng), SHAPE[0] * SHAPE[1]
        draw, paths, kept = falling_paths(model.law, raw, bound.runs, some_paths, values, count, rng)
    if not why and kept < LEAST_KEPT:
        why = "in few draws does the loss fall with parameters and tokens"
        warn(f"{why}: take intervals with discrepancy as rough", FitWarning)
    theta_of = {name: values[draw] for name, values in raw.items()}
    return DiscrepancyPosterior(theta_of, paths, component[draw], pareto_k_of(stats), sd_at_runs[draw], why)


def joint_draws(
    model: Model,
    data: Data,
    bases: Float[np.ndarray, "component run pivot"],
    start: Mapping[str, Any],
    log_prior: Float[np.ndarray, " component"],
    seed: int,
    shape: tuple[int, int],
) -> tuple[Any, Any, Any, str]:
    """`joint_draw` around `joint_modes`, and why its draws are not to be trusted; for use inside `precision()`."""
    key, number = prng_key(seed), jnp.result_type(float)
    some, prior = jnp.asarray(bases, number), jnp.asarray(log_prior, number)
    at = {name: jnp.asarray(value, number) for name, value in start.items()}
    given_shapes = jax.eval_shape(jax.vmap(lambda basis: LaplaceWeights.uninformed(basis, data)), some)
    shapes = Laplace.shapes(len(model.free), len(some))
    with in_background(
        lambda: joint_draw.prepare(model, data, tuple(given_shapes), shapes, prior, key, shape, SCHEDULES[0])
    ):
        given, found = on_host(joint_modes(model, data, some, at))
    for schedule in SCHEDULES:
        drawn, latent, stats = joint_draw(model, data, given, Laplace(*found), prior, key, shape, schedule)
        if not (why := doubt(stats)):
            break
    return drawn, latent, stats, why


@cached_jit("model")
def joint_modes(
    model: Model, data: Data, bases: Float[Array, "component run pivot"], start: Theta
) -> tuple[tuple[Any, ...], tuple[Array, ...]]:
    """Laplace's approximations at the mode of every set of scales: of the weights, and of law and noise.

    Sought one after another, each from the one before, the first from the law and noise `start`.
    """

    def mode(x: Float[Array, " dim"], basis: Array) -> tuple[Array, tuple[LaplaceWeights, Minimum]]:
        def refine(_: Any, state: tuple[LaplaceWeights, Minimum]) -> tuple[LaplaceWeights, Minimum]:
            near, minimum = state
            given = laplace_weights(model, data, near, *law_residuals(model, data, minimum.x))
            return given, descend(partial(marginal_derivatives, model, data, given), minimum.x)

        begin = LaplaceWeights.uninformed(basis, data), Minimum.unevaluated(x)
        given, minimum = jax.lax.fori_loop(0, ROUNDS, refine, begin)
        return minimum.x, (given, minimum)

    _, (given, minima) = jax.lax.scan(mode, unconstrain_alr(model, start), bases)
    leaves: Any = given
    return tuple(leaves), tuple(jax.vmap(laplace_at)(minima))


@cached_jit("model", "shape", "schedule")
def joint_draw(
    model: Model,
    data: Data,
    given: tuple[Any, ...],
    found: Laplace,
    log_prior: Float[Array, " component"],
    key: PRNGKeyArray,
    shape: tuple[int, int],
    schedule: Schedule,
) -> tuple[dict[str, Float[Array, "chain draw"]], dict[str, Array], dict[str, Shaped[Array, "chain draw"]]]:
    """Draws of law and noise by name; "weights" and "component" of each; and statistics.

    Proposals are made around a mode at zero with a scale of one, and carried to that of their set of scales.
    """
    draws, dim, number = shape[0] * shape[1], found.mode.shape[1], found.mode.dtype
    log_volume = jnp.linalg.slogdet(found.scale)[1]
    log_evidence = jnp.where(jnp.isfinite(found.value), log_prior - found.value + log_volume, -jnp.inf)
    share = jnp.maximum(jax.nn.softmax(log_evidence), LEAST_SHARE)
    share = share / share.sum()
    log_factor = log_prior + log_volume - jnp.log(share)

    def carried(pick: Int[Array, ""], z: Float[Array, " dim"]) -> tuple[LaplaceWeights, Float[Array, " dim"]]:
        """The approximation that a proposal takes, and its law and noise."""
        return jax.tree.map(lambda leaf: leaf[pick], LaplaceWeights(*given)), found.mode[pick] + found.scale[pick] @ z

    def log_density(pick: Int[Array, ""], z: Float[Array, " dim"]) -> Float[Array, ""]:
        return log_factor[pick] - marginal_potential(model, data, *carried(pick, z))

    def log_error(pick: Int[Array, ""], z: Float[Array, " dim"], normal: Array) -> tuple[Array, Array]:
        """ln of the exact density over that of `log_density`, and the effective number of sets behind it.

        The logarithm of a mean is too low by half its variance.
        """
        given_there, alr = carried(pick, z)
        log_importance = propose_weights(model, data, given_there, alr, normal)[1]
        log_sum, sets = logsumexp(log_importance), len(log_importance)
        effective = jnp.exp(2 * log_sum - logsumexp(2 * log_importance))
        log_mean = log_sum - jnp.log(sets) + 0.5 / effective - 0.5 / sets
        return log_mean + marginal_potential(model, data, given_there, alr), effective

    def chosen(pick: Int[Array, ""], z: Float[Array, " dim"], normal: Array, at_share: Array) -> Array:
        weights, log_importance = propose_weights(model, data, *carried(pick, z), normal)
        return weights[at_shares(jnp.exp(log_importance - log_importance.max()), at_share)]

    some = lambda each: max(1, AT_ONCE // (each * len(data.weight)))
    of_groups = by_groups(jax.vmap(log_density, (None, 0)), size=some(GROUP))
    errors, choose = by_groups(log_error, size=some(SETS)), by_groups(chosen, size=some(CHOICES))
    components = lambda count, offset: at_shares(share, (jnp.arange(count) + offset) / count)
    normal_key, pass_key = jax.random.split(key)
    # Drawn at once, and used for both: a generator is much to compile, and so is another.
    normal = jax.random.normal(normal_key, (PLACES, SETS // 4, given[0].shape[-1] + dim), number)
    first, normal = normal[:, 0, :dim], normal[..., dim:]
    start = at_modes(Laplace(jnp.zeros(1, number), jnp.zeros((1, dim), number), jnp.eye(dim)[None], jnp.ones(1, bool)))

    def corrected(places: tuple[Array, Array], key: PRNGKeyArray) -> tuple[tuple[Array, Array], Drawn]:
        pick, z = places
        correction = Quadratic.through(z, *errors(pick, z, normal))

        def log_target(z: Float[Array, "draw dim"], key: PRNGKeyArray) -> tuple[Array, dict[str, Array]]:
            groups = len(z) // GROUP
            pick = components(groups, jax.random.uniform(key, dtype=number))
            log_densities = of_groups(pick, z.reshape(groups, GROUP, dim)).reshape(-1)
            return log_densities + jax.vmap(lambda each: correction(each))(z), {"component": jnp.repeat(pick, GROUP)}

        drawn = pseudo_marginal_importance(start, log_target, key, shape, schedule)
        spread = np.arange(PLACES) * draws // PLACES
        return (drawn.latent["component"].reshape(-1)[spread], drawn.z.reshape(draws, dim)[spread]), drawn

    _, passes = jax.lax.scan(corrected, (components(PLACES, 0.5), first), jax.random.split(pass_key, PASSES))
    drawn = jax.tree.map(lambda leaf: leaf[-1], passes)
    pick, z = drawn.latent["component"].reshape(draws), drawn.z.reshape(draws, dim)
    shares = jnp.asarray(quasirandom(draws, 1, first=0, offset=0.0)[:, 0], number)
    weights = choose(pick, z, jnp.resize(normal, (draws, CHOICES // 4, normal.shape[-1])), shares)
    weights = jnp.einsum("nij,nj->ni", LaplaceWeights(*given).rotation[pick], weights)
    alr = found.mode[pick] + jnp.einsum("nij,nj->ni", found.scale[pick], z)
    latent = {"weights": weights.reshape(*shape, -1), "component": drawn.latent["component"]}
    return constrain_alr(model, alr.reshape(*shape, dim)), latent, drawn.stats
