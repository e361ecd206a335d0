"""Adaptive importance sampling: a mixture of t distributions moves to the target, and its last draws are weighted.

Weights are Pareto-smoothed and the draws resampled; Pareto k says whether to trust them.

References
----------
Vehtari, Simpson, Gelman, Yao and Gabry 2024, arXiv 1507.02646.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped, UInt32
from numpy.typing import ArrayLike

from scalefit.numerics.mixture import Mixture, adapted, log_density, sample

PARETO_K = 0.7  # above this, importance weights are not to be trusted (Vehtari et al. 2024)
LEAST_EFFECTIVE = 400
ENOUGH = 0.7  # efficiency of the pilot draws at which adaptation stops


class Schedule(NamedTuple):
    """How long to adapt and to draw.

    Parameters
    ----------
    block
        Proposals that are weighted together.
    rounds
        The most blocks that adaptation takes.
    wider
        Factor by which the last proposals are wider than the best fit, so that weights in the tails stay small.
    """

    block: int
    rounds: int
    wider: float = 1.2


Latent = dict[str, Array]
"""What is drawn together with z, name -> (draw, ...)."""


class Drawn(NamedTuple):
    """Kept draws, (chain, draw, dim); what was drawn with each, (chain, draw, ...); statistics, each (chain, draw); and
    the proposals they come from, before these were made wider."""

    z: Float[Array, "chain draw dim"]
    latent: Latent
    stats: dict[str, Shaped[Array, "chain draw"]]
    proposals: Mixture


def importance(
    start: Mixture,
    log_target: Callable[[Array], Array],
    key: UInt32[Array, " 2"],
    shape: tuple[int, int],
    schedule: Schedule,
) -> Drawn:
    """`pseudo_marginal_importance` of a density that is known."""
    return pseudo_marginal_importance(start, lambda z, key: (log_target(z), {}), key, shape, schedule)


def pseudo_marginal_importance(
    start: Mixture,
    log_target: Callable[[Array, Array], tuple[Array, Latent]],
    key: UInt32[Array, " 2"],
    shape: tuple[int, int],
    schedule: Schedule,
    share: float | Float[Array, ""] = 1.0,
) -> Drawn:
    """Draws of a density, from at least twice as many proposals.

    An unbiased estimate of the density is as good as the density: the draws of both together have the right
    distribution (Andrieu and Roberts 2009, Ann. Stat. 37, 697).

    Parameters
    ----------
    start
        The first proposals.
    log_target
        z (draw, dim) and a key -> ln of an estimate of the density (draw,), unbiased up to a constant factor, and what
        was drawn to make it.
    key
        Of all that is random.
    shape
        Chains, and draws of each.
    schedule
        How long to adapt.
    share
        Of the proposals that are made, for rough draws; the program is the same.

    Returns
    -------
    Drawn
        Statistics are `log_weight`, relative to the mean weight, and `pareto_k`.
    """
    blocks = -(-2 * shape[0] * shape[1] // schedule.block)
    *block_keys, last_key = jax.random.split(key, schedule.rounds + blocks + 1)
    enough = jnp.ceil(share * blocks).astype(int)
    z, latent, log_ratio, mixture = _propose(start, log_target, jnp.stack(block_keys), blocks, enough, schedule)
    kept, stats = resampled(last_key, log_ratio, shape)
    kept_latent = {name: values[kept].reshape(*shape, *values.shape[1:]) for name, values in latent.items()}
    return Drawn(z[kept].reshape(*shape, -1), kept_latent, stats, mixture)


def resampled(
    key: UInt32[Array, " 2"], log_ratio: Float[Array, " proposal"], shape: tuple[int, int]
) -> tuple[Int[Array, " kept"], dict[str, Shaped[Array, "chain draw"]]]:
    """Proposals chosen in proportion to Pareto-smoothed ratios of target over proposal, and `Drawn.stats`."""
    from blackjax.diagnostics import psis_weights

    log_weight, pareto_k = psis_weights(log_ratio)
    kept = systematic(key, jnp.exp(log_weight), shape[0] * shape[1])
    relative = log_weight[kept].reshape(shape) + jnp.log(len(log_weight))
    return kept, {"log_weight": relative, "pareto_k": jnp.broadcast_to(pareto_k, shape)}


def pareto_k_of(stats: Mapping[str, ArrayLike]) -> float:
    """The one number that all draws carry."""
    return float(np.asarray(stats["pareto_k"]).flat[0])


def doubt(stats: Mapping[str, ArrayLike]) -> str:
    """Why weighted draws with these statistics are not to be trusted, empty where they are."""
    k, log_weight = pareto_k_of(stats), np.asarray(stats["log_weight"])
    effective = log_weight.size / np.exp(log_weight).mean()
    if not k <= PARETO_K:
        return f"Pareto k of importance sampling is {k:.2f}, above {PARETO_K}"
    if effective < min(LEAST_EFFECTIVE, log_weight.size / 4):
        return f"importance sampling left {effective:.0f} effective draws"
    return ""


class State(NamedTuple):
    """On the way: proposals kept after adaptation, by block; `kept` of these blocks are full, -1 until then."""

    mixture: Mixture
    z: Float[Array, "block draw dim"]
    latent: Latent
    log_ratio: Float[Array, "block draw"]
    count: Any
    kept: Int[Array, ""]


def _propose(
    start: Mixture,
    log_target: Callable[[Array, Array], tuple[Array, Latent]],
    keys: UInt32[Array, "step 2"],
    blocks: int,
    wanted: Int[Array, ""],
    schedule: Schedule,
) -> tuple[Float[Array, "draw dim"], Latent, Float[Array, " draw"], Mixture]:
    """Final proposals, what was drawn with each, ln of target over proposal up to a constant, and the mixture.

    Weighted EM moves the mixture until a block is efficient; from then on blocks are kept. Both happen in one place of
    the program, which is most of what there is to compile. Of `blocks` that there is room for, `wanted` are made.
    """

    def step(state: State) -> State:
        settled, row = state.kept >= 0, jnp.maximum(state.kept, 0)
        proposal = state.mixture._replace(scale=state.mixture.scale * jnp.where(settled, schedule.wider, 1.0))
        key = keys[state.count]
        z = sample(proposal, key, schedule.block)
        log_estimate, latent = log_target(z, jax.random.fold_in(key, 1))
        log_ratio = log_estimate - log_density(proposal, z)
        log_ratio = jnp.where(jnp.isfinite(log_ratio), log_ratio, -jnp.inf)
        # Until settled the proposal is the mixture: distances computed for its density serve again.
        moved = lambda: adapted(proposal, z, _truncated(log_ratio))
        enough = (_efficiency(log_ratio) > ENOUGH) | (state.count + 1 >= schedule.rounds)
        return State(
            jax.lax.cond(settled, lambda: state.mixture, moved),
            state.z.at[row].set(z),
            jax.tree.map(lambda kept, new: kept.at[row].set(new), state.latent, latent),
            state.log_ratio.at[row].set(log_ratio),
            state.count + 1,
            jnp.where(settled, row + 1, jnp.where(enough, 0, -1)),
        )

    z = jnp.zeros((blocks, schedule.block, start.mean.shape[1]), start.mean.dtype)
    _, shapes = jax.eval_shape(log_target, z[0], keys[0])
    latent = {name: jnp.zeros((blocks, *of.shape), of.dtype) for name, of in shapes.items()}
    nothing = jnp.full_like(z[..., 0], -jnp.inf)
    state = State(start, z, latent, nothing, 0, jnp.asarray(-1 if schedule.rounds else 0))
    state = jax.lax.while_loop(lambda state: state.kept < wanted, step, state)
    joined = {name: values.reshape(-1, *values.shape[2:]) for name, values in state.latent.items()}
    return state.z.reshape(-1, z.shape[-1]), joined, state.log_ratio.reshape(-1), state.mixture


def systematic(key: UInt32[Array, " 2"], weight: Float[Array, " draw"], count: int) -> Int[Array, " kept"]:
    """`count` indices drawn in proportion to normalised `weight`, in order: one uniform offset."""
    return at_shares(weight, (jax.random.uniform(key, dtype=weight.dtype) + jnp.arange(count)) / count)


def at_shares(weight: Float[Array, " draw"], share: Float[Array, "*batch"]) -> Int[Array, "*batch"]:
    """The index below and at which lies a `share` of all weight."""
    edges = jnp.cumsum(weight)
    return jnp.minimum(jnp.searchsorted(edges, share * edges[-1]), len(weight) - 1)


def _efficiency(log_ratio: Float[Array, " draw"]) -> Float[Array, ""]:
    """Effective share of weighted draws (Kong, Liu and Wong 1994, J. Am. Stat. Assoc. 89, 278)."""
    ratio = jnp.exp(log_ratio - log_ratio.max())
    return ratio.mean() ** 2 / (ratio**2).mean()


def _truncated(log_ratio: Float[Array, " draw"]) -> Float[Array, " draw"]:
    """Normalised weights, none above sqrt(draws) times their mean (Ionides 2008, J. Comput. Graph. Stat. 17, 295)."""
    ratio = jnp.exp(log_ratio - log_ratio.max())
    ratio = jnp.minimum(ratio, ratio.mean() * jnp.sqrt(len(ratio)))
    return ratio / ratio.sum()
