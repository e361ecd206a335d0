"""Adaptive importance sampling: a posterior of a handful of parameters in milliseconds.

Modes are found from everywhere; a mixture of t distributions begins as Laplace's approximation there and adapts to
the posterior; its last draws are weighted, the weights Pareto-smoothed (Vehtari, Simpson, Gelman, Yao and Gabry
2024, arXiv 1507.02646), and resampled. Their Pareto k says whether to trust them: above 0.7, no.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple, final

import jax
import jax.numpy as jnp
from jax import Array

from scalefit.errors import FitError
from scalefit.infer._engine import Arrays, CompiledEngine
from scalefit.infer._mixture import Mixture, adapted, at_modes, log_density, sample
from scalefit.infer._mode import constrain_flat, count_modes, flat_potential, modes
from scalefit.model import Data, Model

ENOUGH = 0.7  # efficiency of the pilot draws at which adaptation stops
WIDER = 1.2  # the last proposals are this much wider than the best fit: weights in the tails stay small
POINTS = 2_000_000  # draws times runs whose density is evaluated at once: bounds memory


@final
@dataclass(frozen=True)
class AIS(CompiledEngine):
    """Adaptive importance sampling, unweighted by resampling.

    chains, draws : the kept draws' shape. block : proposals weighted at a time; adaptation takes a block a round, at
    most `rounds` of them, and then at least twice as many proposals as kept draws are weighted. A draw of great
    weight stands several times in a row, which autocorrelation and so the ESS take into account. Raises `FitError` on
    options out of range.
    """

    chains: int = 4
    draws: int = 1000
    block: int = 1000
    rounds: int = 20

    name: ClassVar[str] = "ais"
    kind: ClassVar = "posterior"

    def __post_init__(self) -> None:
        if self.chains < 1 or self.draws < 4 or self.rounds < 0 or self.block < 100:
            raise FitError(f"{self}: ask for at least 1 chain, 4 draws, and 100 proposals a block.")

    def solve(self, model: Model, data: Data, key: Array) -> tuple[Arrays, Arrays]:
        """Modes, adaptation, weights, resampling."""
        from blackjax.diagnostics import psis_weights

        found = modes(model, data)
        blocks = -(-2 * self.chains * self.draws // self.block)
        *block_keys, last_key = jax.random.split(key, self.rounds + blocks + 1)
        z, log_ratio = self._propose(at_modes(found), _potentials(model, data), jnp.stack(block_keys), blocks)
        log_weight, pareto_k = psis_weights(log_ratio)
        kept = systematic(last_key, jnp.exp(log_weight), self.chains * self.draws)
        shape = (self.chains, self.draws)
        theta = constrain_flat(model, z[kept].reshape(*shape, -1))
        relative = log_weight[kept].reshape(shape) + jnp.log(len(log_weight))
        constant = {"pareto_k": pareto_k, "modes": count_modes(found)}
        return theta, {"log_weight": relative} | {k: jnp.broadcast_to(v, shape) for k, v in constant.items()}

    def _propose(self, start: Mixture, potentials: Callable, keys: Array, blocks: int) -> tuple[Array, Array]:
        """Final proposals (draw, dim) and ln of posterior over proposal at each, up to a constant.

        Weighted EM moves the mixture until a block is efficient; from then on blocks are kept. Both happen in one
        place of the program, which is most of what there is to compile.
        """

        def step(state: State) -> State:
            settled, row = state.kept >= 0, jnp.maximum(state.kept, 0)
            proposal = state.mixture._replace(scale=state.mixture.scale * jnp.where(settled, WIDER, 1.0))
            z = sample(proposal, keys[state.count], self.block)
            log_ratio = -potentials(z) - log_density(proposal, z)
            log_ratio = jnp.where(jnp.isfinite(log_ratio), log_ratio, -jnp.inf)
            moved = lambda: adapted(state.mixture, z, _truncated(log_ratio))
            enough = (_efficiency(log_ratio) > ENOUGH) | (state.count + 1 >= self.rounds)
            return State(
                jax.lax.cond(settled, lambda: state.mixture, moved),
                state.z.at[row].set(z),
                state.log_ratio.at[row].set(log_ratio),
                state.count + 1,
                jnp.where(settled, row + 1, jnp.where(enough, 0, -1)),
            )

        z = jnp.zeros((blocks, self.block, start.mean.shape[1]), start.mean.dtype)
        state = State(start, z, z[..., 0], 0, jnp.asarray(-1 if self.rounds else 0))
        state = jax.lax.while_loop(lambda state: state.kept < blocks, step, state)
        return state.z.reshape(-1, z.shape[-1]), state.log_ratio.reshape(-1)


class State(NamedTuple):
    """Proposals kept after adaptation, z (block, draw, dim) and log_ratio (block, draw); `kept` is -1 until then."""

    mixture: Mixture
    z: Array
    log_ratio: Array
    count: Any
    kept: Array


def systematic(key: Array, weight: Array, count: int) -> Array:
    """`count` indices drawn in proportion to normalised `weight`, in order: one uniform offset."""
    edges = jnp.cumsum(weight)
    at = (jax.random.uniform(key, dtype=weight.dtype) + jnp.arange(count)) / count * edges[-1]
    return jnp.minimum(jnp.searchsorted(edges, at), len(weight) - 1)


def _potentials(model: Model, data: Data) -> Callable[[Array], Array]:
    """The potential of many flat vectors, (draw, dim) -> (draw,), a block at a time where the table is large."""
    one = partial(flat_potential, model, data)
    block = max(16, POINTS // len(data.weight))
    return lambda z: jax.vmap(one)(z) if len(z) <= block else jax.lax.map(one, z, batch_size=block)


def _efficiency(log_ratio: Array) -> Array:
    """Effective share of weighted draws (Kong, Liu and Wong 1994, J. Am. Stat. Assoc. 89, 278)."""
    ratio = jnp.exp(log_ratio - log_ratio.max())
    return ratio.mean() ** 2 / (ratio**2).mean()


def _truncated(log_ratio: Array) -> Array:
    """Normalised weights, none above sqrt(draws) times their mean (Ionides 2008, J. Comput. Graph. Stat. 17, 295)."""
    ratio = jnp.exp(log_ratio - log_ratio.max())
    ratio = jnp.minimum(ratio, ratio.mean() * jnp.sqrt(len(ratio)))
    return ratio / ratio.sum()
