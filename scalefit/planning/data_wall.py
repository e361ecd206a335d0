"""The data wall: whether unique tokens bind, what that costs, and what more of them would be worth."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit._aot import cached_jit
from scalefit.costs.cost import Cost
from scalefit.planning._loss_posterior import LossPosterior
from scalefit.planning._solve import best_log_params, tokens_along

MORE = 1.01  # the value of data is that of one percent more


@dataclass(frozen=True, eq=False)
class DataWall:
    """What a limited number of unique tokens does to a plan.

    unique_tokens : (draw,). binds : (draw,), whether that draw's optimum without a wall wants more tokens than there
    are. penalty : (draw,), nats per token lost to the wall, each decision taken at its best. value : expected nats
    per token that one percent more unique tokens would save, the plan made anew; per token, divide by `one_percent`.
    """

    unique_tokens: np.ndarray
    binds: np.ndarray
    penalty: np.ndarray
    value: float

    @property
    def probability(self) -> float:
        """Posterior probability that the wall binds."""
        return float(self.binds.mean())

    @property
    def one_percent(self) -> float:
        """One percent of the expected unique tokens."""
        return 0.01 * float(self.unique_tokens.mean())


def data_wall_of(
    belief: LossPosterior, cost: Cost, log_budget: Any, loss: np.ndarray, decide: Callable[[LossPosterior], Array]
) -> DataWall:
    """The wall at a budget, where the plan behind it has `loss` (draw,).

    decide : belief -> ln N of its plan, under whatever limits there are. One compiled program serves all three plans.
    """
    endless, more = belief.with_unique(None), belief.with_unique(MORE)
    without, wanted = (np.asarray(found) for found in _outcome(endless, cost, decide(endless), log_budget))
    with_more, _ = _outcome(more, cost, decide(more), log_budget)
    unique = np.asarray(belief.unique)
    return DataWall(unique, wanted > unique, loss - without, float(loss.mean() - np.mean(with_more)))


@cached_jit()
def _outcome(belief: LossPosterior, cost: Cost, log_n: Array, log_budget: Array) -> tuple[Array, Array]:
    """Loss at exp(log_n) parameters, and the tokens of each draw's own optimum: each (draw,)."""

    def one(draw: LossPosterior) -> tuple[Array, Array]:
        along = tokens_along(cost, log_budget)
        best = best_log_params(draw, cost, log_budget).x
        return draw.loss(log_n, along(log_n)), jnp.exp(along(best))

    return jax.vmap(one, (belief.axes,))(belief)
