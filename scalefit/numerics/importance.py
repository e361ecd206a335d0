"""Can these draws be trusted? Numbers, a verdict and a sentence for each check.

Gates: R-hat at most 1.01 and bulk and tail ESS at least 400 (Vehtari et al. 2021, arXiv 1903.08008), no
divergences, E-BFMI at least 0.3 (Betancourt 2016, arXiv 1604.00695), no saturated trees; and what no sampler
can mend: a design that does not identify the law.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from scalefit.numerics.mixture import Mixture, adapted, log_density, sample

PARETO_K = 0.7  # above this, importance weights are not to be trusted (Vehtari et al. 2024)
LEAST_EFFECTIVE = 400
ENOUGH = 0.7  # efficiency of the pilot draws at which adaptation stops


class Schedule(NamedTuple):
    """Proposals a block, and how many blocks adaptation may take.

    wider : than the best fit, by this factor, are the last proposals, so that weights in the tails stay small.
    """

    block: int
    rounds: int
    wider: float = 1.2


class Drawn(NamedTuple):
    """Kept draws, z (chain, draw, dim), and statistics, each (chain, draw)."""

    z: Array
    stats: dict[str, Array]


def importance(
    start: Mixture, log_target: Callable[[Array], Array], key: Array, shape: tuple[int, int], schedule: Schedule
) -> Drawn:
    """(chain, draw) draws of exp(log_target), z (draw, dim) -> (draw,), from at least twice as many proposals."""
    from blackjax.diagnostics import psis_weights

    kept_count = shape[0] * shape[1]
    blocks = -(-2 * kept_count // schedule.block)
    *block_keys, last_key = jax.random.split(key, schedule.rounds + blocks + 1)
    z, log_ratio = _propose(start, log_target, jnp.stack(block_keys), blocks, schedule)
    log_weight, pareto_k = psis_weights(log_ratio)
    kept = systematic(last_key, jnp.exp(log_weight), kept_count)
    relative = log_weight[kept].reshape(shape) + jnp.log(len(log_weight))
    stats = {"log_weight": relative, "pareto_k": jnp.broadcast_to(pareto_k, shape)}
    return Drawn(z[kept].reshape(*shape, -1), stats)


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
    """Proposals kept after adaptation, z (block, draw, dim) and log_ratio (block, draw); `kept` is -1 until then."""

    mixture: Mixture
    z: Array
    log_ratio: Array
    count: Any
    kept: Array


def _propose(
    start: Mixture, log_target: Callable[[Array], Array], keys: Array, blocks: int, schedule: Schedule
) -> tuple[Array, Array]:
    """Final proposals (draw, dim) and ln of target over proposal at each, up to a constant.

    Weighted EM moves the mixture until a block is efficient; from then on blocks are kept. Both happen in one place of
    the program, which is most of what there is to compile.
    """

    def step(state: State) -> State:
        settled, row = state.kept >= 0, jnp.maximum(state.kept, 0)
        proposal = state.mixture._replace(scale=state.mixture.scale * jnp.where(settled, schedule.wider, 1.0))
        z = sample(proposal, keys[state.count], schedule.block)
        log_ratio = log_target(z) - log_density(proposal, z)
        log_ratio = jnp.where(jnp.isfinite(log_ratio), log_ratio, -jnp.inf)
        # Until settled the proposal is the mixture: distances computed for its density serve again.
        moved = lambda: adapted(proposal, z, _truncated(log_ratio))
        enough = (_efficiency(log_ratio) > ENOUGH) | (state.count + 1 >= schedule.rounds)
        return State(
            jax.lax.cond(settled, lambda: state.mixture, moved),
            state.z.at[row].set(z),
            state.log_ratio.at[row].set(log_ratio),
            state.count + 1,
            jnp.where(settled, row + 1, jnp.where(enough, 0, -1)),
        )

    z = jnp.zeros((blocks, schedule.block, start.mean.shape[1]), start.mean.dtype)
    state = State(start, z, z[..., 0], 0, jnp.asarray(-1 if schedule.rounds else 0))
    state = jax.lax.while_loop(lambda state: state.kept < blocks, step, state)
    return state.z.reshape(-1, z.shape[-1]), state.log_ratio.reshape(-1)


def systematic(key: Array, weight: Array, count: int) -> Array:
    """`count` indices drawn in proportion to normalised `weight`, in order: one uniform offset."""
    return at_shares(weight, (jax.random.uniform(key, dtype=weight.dtype) + jnp.arange(count)) / count)


def at_shares(weight: Array, share: Array) -> Array:
    """The index below and at which lies a `share` of all weight, for each of any shape."""
    edges = jnp.cumsum(weight)
    return jnp.minimum(jnp.searchsorted(edges, share * edges[-1]), len(weight) - 1)


def _efficiency(log_ratio: Array) -> Array:
    """Effective share of weighted draws (Kong, Liu and Wong 1994, J. Am. Stat. Assoc. 89, 278)."""
    ratio = jnp.exp(log_ratio - log_ratio.max())
    return ratio.mean() ** 2 / (ratio**2).mean()


def _truncated(log_ratio: Array) -> Array:
    """Normalised weights, none above sqrt(draws) times their mean (Ionides 2008, J. Comput. Graph. Stat. 17, 295)."""
    ratio = jnp.exp(log_ratio - log_ratio.max())
    ratio = jnp.minimum(ratio, ratio.mean() * jnp.sqrt(len(ratio)))
    return ratio / ratio.sum()
