"""Draws of a law together with its discrepancy, and with the discrepancy's scales, on one table.

Each set of scales has a mode and a marginal likelihood by Laplace's method, which say how many proposals it gets. The
proposals, a mixture of t distributions around the modes, come with weights of the discrepancy proposed around their own
approximation, and importance makes all of it exact: law, noise, scales and discrepancy are drawn together, in
proportion to their joint density.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Int, PRNGKeyArray, Shaped, UInt32

from scalefit._aot import cached_jit, on_host
from scalefit._batching import by_groups, groups_alike
from scalefit._precision import in_background
from scalefit._random import prng_key, quasirandom
from scalefit.model.data import Data, Theta
from scalefit.model.model import Model
from scalefit.numerics.importance import Drawn, Schedule, at_shares, doubt, pseudo_marginal_importance
from scalefit.numerics.laplace import Laplace, laplace_at
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

SCHEDULES = Schedule(1000, rounds=6), Schedule(4000, rounds=40)  # the second where the first fails
PASSES = 2  # of correcting the approximation where the draws of the pass before are
PLACES, SETS = 256, 32  # laws at which the approximation's error is measured, and sets of weights for each
CHOICES = 16  # sets of weights that a draw chooses from
ROUNDS = 2  # of descending to a mode and reweighting the runs there
AT_ONCE = 2**18  # proposals times sets times rows evaluated together: what a cache holds
SINGLE = np.float32  # the precision of what sets of weights are weighed in
ROUGH = 0.125  # of the proposals that all passes but the last make
GROUP = 20  # proposals that share a set of scales
LEAST_SHARE = 0.002  # of the proposals that a set of scales gets, whatever its marginal likelihood


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


@cached_jit("model", "shape", "schedule")
def joint_draws_of_tables(
    model: Model,
    data: Data,
    bases: Float[Array, "table component run pivot"],
    start: Theta,
    log_prior: Float[Array, " component"],
    keys: UInt32[Array, "table 2"],
    shape: tuple[int, int],
    schedule: Schedule,
) -> tuple[dict[str, Array], dict[str, Array], dict[str, Array]]:
    """`joint_draw` around `joint_modes` of tables stacked along a leading axis, as is its result: for accelerators."""

    def one(data: Data, basis: Array, start: Theta, key: Array) -> Any:
        given, found = joint_modes(model, data, basis, start)
        return joint_draw(model, data, given, Laplace(*found), log_prior, key, shape, schedule)

    return jax.vmap(one)(data, bases, start, keys)


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
    near = LaplaceWeights(*jax.tree.map(lambda leaf: leaf.astype(SINGLE), given))
    log_volume = jnp.linalg.slogdet(found.scale)[1]
    log_evidence = jnp.where(jnp.isfinite(found.value), log_prior - found.value + log_volume, -jnp.inf)
    share = jnp.maximum(jax.nn.softmax(log_evidence), LEAST_SHARE)
    share = share / share.sum()
    log_factor = log_prior + log_volume - jnp.log(share)

    def carried(pick: Int[Array, ""], z: Float[Array, " dim"]) -> tuple[LaplaceWeights, Float[Array, " dim"]]:
        """The approximation that a proposal takes, and its law and noise."""
        return jax.tree.map(lambda leaf: leaf[pick], near), found.mode[pick] + found.scale[pick] @ z

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

    def chosen(pick: Int[Array, ""], z: Float[Array, "draw dim"], normal: Array, at_share: Array) -> Array:
        """Weights for draws of one set of scales, in the basis before its rotation."""

        def one(z: Float[Array, " dim"], normal: Array, at_share: Array) -> Array:
            weights, log_importance = propose_weights(model, data, *carried(pick, z), normal)
            return weights[at_shares(jnp.exp(log_importance - log_importance.max()), at_share)]

        return jax.vmap(one)(z, normal, at_share) @ near.rotation[pick].T

    some = lambda each: max(1, AT_ONCE // (each * len(data.weight)))
    of_groups = by_groups(jax.vmap(log_density, (None, 0)), size=some(GROUP))
    errors, choose = by_groups(log_error, size=some(SETS)), by_groups(chosen, size=some(CHOICES * GROUP))
    components = lambda count, offset: at_shares(share, (jnp.arange(count) + offset) / count)
    normal_key, pass_key = jax.random.split(key)
    # Drawn at once, and used for both: a generator is much to compile, and so is another.
    normal = jax.random.normal(normal_key, (PLACES, SETS // 4, near.basis.shape[-1] + dim), SINGLE)
    first, normal = normal[:, 0, :dim].astype(number), normal[..., dim:]
    start = at_modes(Laplace(jnp.zeros(1, number), jnp.zeros((1, dim), number), jnp.eye(dim)[None], jnp.ones(1, bool)))

    def corrected(
        before: tuple[Array, Array, Any], this: tuple[Array, Array]
    ) -> tuple[tuple[Array, Array, Any], Drawn]:
        (pick, z, start), (key, made) = before, this
        correction = Quadratic.through(z, *errors(pick, z, normal))

        def log_target(z: Float[Array, "draw dim"], key: PRNGKeyArray) -> tuple[Array, dict[str, Array]]:
            groups = len(z) // GROUP
            pick = components(groups, jax.random.uniform(key, dtype=number))
            log_densities = of_groups(pick, z.reshape(groups, GROUP, dim)).reshape(-1)
            return log_densities + jax.vmap(lambda each: correction(each))(z), {"component": jnp.repeat(pick, GROUP)}

        drawn = pseudo_marginal_importance(start, log_target, key, shape, schedule, made)
        spread = np.arange(PLACES) * draws // PLACES
        pick, z = drawn.latent["component"].reshape(-1)[spread], drawn.z.reshape(draws, dim)[spread]
        return (pick, z, drawn.proposals), drawn

    made = jnp.full(PASSES, ROUGH, number).at[-1].set(1.0)
    _, passes = jax.lax.scan(
        corrected, (components(PLACES, 0.5), first, start), (jax.random.split(pass_key, PASSES), made)
    )
    drawn = jax.tree.map(lambda leaf: leaf[-1], passes)
    pick, z = drawn.latent["component"].reshape(draws), drawn.z.reshape(draws, dim)
    shares = jnp.asarray(quasirandom(draws, 1, first=0, offset=0.0)[:, 0], number)
    normal = jnp.resize(normal, (draws, CHOICES // 4, normal.shape[-1]))
    of_group, rows, counted = groups_alike(pick, len(share), GROUP)
    weights = choose(of_group, z[rows], normal[rows], shares[rows])
    weights = jnp.zeros_like(weights, shape=(draws, weights.shape[-1])).at[jnp.where(counted, rows, draws)].set(weights)
    alr = found.mode[pick] + jnp.einsum("nij,nj->ni", found.scale[pick], z)
    latent = {"weights": weights.reshape(*shape, -1), "component": drawn.latent["component"]}
    return constrain_alr(model, alr.reshape(*shape, dim)), latent, drawn.stats
