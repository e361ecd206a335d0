"""Hamiltonian Monte Carlo (Neal 2011, arXiv 1206.1901) with BlackJAX: many short chains advancing together.

Groups of chains, superchains, begin at one point each, so that the nested R-hat can tell slow mixing from short chains.
Laplace's approximation at the mode nearest to it gives each its metric, so that a few leapfrog steps cross the
posterior; half-way through warm-up the covariance of its own chains is mixed in. A metric for all would fit no mode
where there are several. All chains share one step size, tuned on their mean acceptance.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple, final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from scalefit.errors import OptionError
from scalefit.infer._contracts import Draws, ModeEngine
from scalefit.model.data import Data
from scalefit.model.model import Model
from scalefit.numerics.laplace import Laplace
from scalefit.numerics.mixture import at_modes, sample
from scalefit.sampling.alr import alr_potential, constrain_alr

TRAJECTORY = (0.8, 2.4)  # in standard deviations; a quarter turn of a normal is 1.6
GAIN = 0.3  # of ln step size, per unit of acceptance off target
MOST_STEPS = 32


class State(NamedTuple):
    """Chains on their way: BlackJAX's state of each, its metric (chain, dim, dim), ln step size, and the key."""

    chains: Any
    inverse_mass: Array
    log_step: Array
    key: Array


@final
@dataclass(frozen=True)
class HMC(ModeEngine):
    """Fixed-length Hamiltonian Monte Carlo, jittered.

    Parameters
    ----------
    chains
        A multiple of `superchains`.
    draws, warmup
        Kept and discarded draws a chain.
    superchains
        Groups of chains; those of one begin at one point.
    target_accept
        Mean acceptance that the step size is tuned to.

    Raises
    ------
    OptionError
        An option is out of range.
    """

    chains: int = 64
    draws: int = 80
    warmup: int = 80
    superchains: int = 8
    target_accept: float = 0.85

    name: ClassVar[str] = "hmc"
    kind: ClassVar = "posterior"

    def __post_init__(self) -> None:
        if self.superchains < 2 or self.chains < 2 * self.superchains or self.chains % self.superchains:
            raise OptionError(f"{self} has too few chains. Use a multiple of superchains, and at least twice as many.")
        if self.draws < 4 or self.warmup < 2 or not 0 < self.target_accept < 1:
            raise OptionError(
                f"{self} is out of range. Use at least 4 draws, 2 of warmup and a target_accept between 0 and 1."
            )

    def draw(self, model: Model, data: Data, found: Laplace, key: PRNGKeyArray) -> tuple[Draws, Draws]:
        """Two halves of warm-up, then the draws."""
        from blackjax.mcmc.hmc import init

        log_density = jax.jit(lambda z: -alr_potential(model, data, z))
        begin_key, key = jax.random.split(key)
        points = sample(at_modes(found), begin_key, self.superchains)
        each = self.chains // self.superchains
        chains = jax.vmap(partial(init, logdensity_fn=log_density))(jnp.repeat(points, each, axis=0))
        metric = jnp.repeat(_nearest_covariance(found, points), each, axis=0)
        advance = jax.jit(partial(self._advance, log_density), static_argnums=(1, 2))
        state = State(chains, metric, jnp.log(jnp.asarray(0.8, metric.dtype)), key)
        state, first = advance(state, self.warmup // 2, True)
        late = first["position"][len(first["position"]) // 2 :]
        state = state._replace(inverse_mass=self._shrunk(late, metric))
        state, _ = advance(state, self.warmup - self.warmup // 2, True)
        _, kept = advance(state, self.draws, False)
        kept = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), kept)
        theta = constrain_alr(model, kept.pop("position"))
        group = jnp.arange(self.chains) // (self.chains // self.superchains)
        return theta, kept | {"superchain": jnp.broadcast_to(group[:, None], (self.chains, self.draws))}

    def _shrunk(
        self, position: Float[Array, "step chain dim"], before: Float[Array, "chain dim dim"]
    ) -> Float[Array, "chain dim dim"]:
        """A covariance a chain: that of its superchain's positions, shrunk to the one before."""
        steps, chains, dim = position.shape
        groups = position.reshape(steps, self.superchains, -1, dim).swapaxes(0, 1).reshape(self.superchains, -1, dim)
        seen = jnp.repeat(jax.vmap(lambda z: jnp.cov(z.T))(groups), chains // self.superchains, axis=0)
        count = groups.shape[1] / 20  # of draws, about independent
        return (count * seen + dim * before) / (count + dim)

    def _advance(self, log_density: Any, state: State, count: int, tune: bool) -> tuple[State, Draws]:
        """`count` transitions of every chain, kept step by step, each (step, chain, ...)."""
        from blackjax.mcmc.hmc import build_kernel

        kernel = build_kernel()

        def step(state: State, _: None) -> tuple[State, Draws]:
            key, length_key, move_key = jax.random.split(state.key, 3)
            size = jnp.exp(state.log_step)
            length = jax.random.uniform(length_key, minval=TRAJECTORY[0], maxval=TRAJECTORY[1])
            steps = jnp.clip(jnp.ceil(length / size), 1, MOST_STEPS).astype(int)
            move = lambda key, chain, metric: kernel(key, chain, log_density, size, metric, steps)
            chains, info = jax.vmap(move)(jax.random.split(move_key, self.chains), state.chains, state.inverse_mass)
            off = jnp.nan_to_num(info.acceptance_rate).mean() - self.target_accept
            log_step = state.log_step + GAIN * off if tune else state.log_step
            seen = {"position": chains.position, "diverging": info.is_divergent, "energy": info.energy}
            seen |= {"accept_prob": info.acceptance_rate, "num_steps": jnp.broadcast_to(steps, info.energy.shape)}
            return State(chains, state.inverse_mass, log_step, key), seen

        return jax.lax.scan(step, state, None, length=count)


def _nearest_covariance(found: Laplace, points: Float[Array, "point dim"]) -> Float[Array, "point dim dim"]:
    """That of the mode fewest standard deviations from each point."""
    off = jnp.einsum("kab,pkb->pka", jnp.linalg.inv(found.scale), points[:, None] - found.mode)
    return (found.scale @ found.scale.mT)[jnp.linalg.norm(off, axis=-1).argmin(axis=1)]
