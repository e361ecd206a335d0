"""Adaptive importance sampling: a posterior of a handful of parameters in milliseconds.

Modes are found from everywhere; a mixture of t distributions begins as Laplace's approximation there and adapts to
the posterior; its last draws are weighted, the weights Pareto-smoothed (Vehtari, Simpson, Gelman, Yao and Gabry
2024, arXiv 1507.02646), and resampled. Their Pareto k says whether to trust them: above 0.7, no.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from scalefit.errors import OptionError
from scalefit.infer._contracts import Draws, ModeEngine
from scalefit.model.clusters import NODES
from scalefit.model.data import Data, over_draws
from scalefit.model.model import Model
from scalefit.numerics.importance import Schedule, importance
from scalefit.numerics.laplace import Laplace, count_modes
from scalefit.numerics.mixture import at_modes
from scalefit.sampling.alr import alr_potential, constrain_alr


@final
@dataclass(frozen=True)
class AIS(ModeEngine):
    """Adaptive importance sampling, unweighted by resampling.

    A draw of large weight is repeated in a row; autocorrelation, and so the ESS, take that into account.

    Parameters
    ----------
    chains, draws
        Shape of the kept draws. At least twice as many proposals are weighted.
    block
        Proposals weighted at a time; adaptation takes a block a round.
    rounds
        The most rounds of adaptation.

    Raises
    ------
    OptionError
        An option is out of range.
    """

    chains: int = 4
    draws: int = 1000
    block: int = 1000
    rounds: int = 20

    name: ClassVar[str] = "ais"
    kind: ClassVar = "posterior"

    def __post_init__(self) -> None:
        if self.chains < 1 or self.draws < 4 or self.rounds < 0 or self.block < 100:
            raise OptionError(f"{self} is too small. Use at least 1 chain, 4 draws and 100 proposals a block.")

    def draw(self, model: Model, data: Data, found: Laplace, key: PRNGKeyArray) -> tuple[Draws, Draws]:
        """Adaptation, weights, resampling."""
        each = 1 if data.clusters is None else NODES
        log_density = over_draws(lambda z: -alr_potential(model, data, z), data, each)
        shape, schedule = (self.chains, self.draws), Schedule(self.block, self.rounds)
        drawn = importance(at_modes(found), log_density, key, shape, schedule)
        stats = drawn.stats | {"modes": jnp.broadcast_to(count_modes(found), shape)}
        return constrain_alr(model, drawn.z), stats
