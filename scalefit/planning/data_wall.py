"""The data wall: whether unique tokens bind, what that costs, and what more of them would save."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from scalefit._aot import cached_jit
from scalefit.costs.cost import Cost
from scalefit.planning._loss_posterior import LossPosterior
from scalefit.planning._solve import best_log_params, tokens_along

MORE = 1.01  # the value of data is that of one percent more
Decision = Callable[[LossPosterior], Float[Array, ""]]
"""From a loss posterior to ln N of its plan."""


@dataclass(frozen=True, eq=False)
class DataWall:
    """Effect of a limited number of unique tokens on a plan.

    Parameters
    ----------
    unique_tokens
        How many there are.
    binds
        Whether the optimum without a wall has more tokens than there are unique ones.
    penalty
        Nats per token lost to the wall, the plan with it and without it each at its best.
    value
        Expected nats per token that one percent more unique tokens would save, with a new plan; for the value of one
        token, divide by `one_percent`.
    unconverged
        Share of draws whose search for an optimum without the wall did not converge.
    """

    unique_tokens: Float[np.ndarray, " draw"]
    binds: Bool[np.ndarray, " draw"]
    penalty: Float[np.ndarray, " draw"]
    value: float
    unconverged: float = 0.0

    @property
    def probability(self) -> float:
        """Posterior probability that the wall binds."""
        return float(self.binds.mean())

    @property
    def one_percent(self) -> float:
        """One percent of the expected unique tokens."""
        return 0.01 * float(self.unique_tokens.mean())


def data_wall_of(
    posterior: LossPosterior, cost: Cost, log_budget: Any, loss: Float[np.ndarray, " draw"], decide: Decision
) -> DataWall:
    """The data wall at a budget. One compiled program serves all three plans.

    Parameters
    ----------
    posterior
        Of the loss, with its unique tokens.
    cost, log_budget
        What the budget pays for, and its logarithm.
    loss
        Of the plan with the wall.
    decide
        The plan, under whatever constraints there are.
    """
    endless, more = posterior.with_unique(None), posterior.with_unique(MORE)
    without, wanted, converged = _outcome(endless, cost, decide(endless), log_budget)
    with_more, *_ = _outcome(more, cost, decide(more), log_budget)
    unique = np.asarray(posterior.unique)
    return DataWall(
        unique_tokens=unique,
        binds=np.asarray(wanted) > unique,
        penalty=loss - np.asarray(without),
        value=float(loss.mean() - np.mean(with_more)),
        unconverged=1 - float(np.mean(converged)),
    )


@cached_jit()
def _outcome(
    posterior: LossPosterior, cost: Cost, log_n: Float[Array, ""], log_budget: Float[Array, ""]
) -> tuple[Float[Array, " draw"], Float[Array, " draw"], Bool[Array, " draw"]]:
    """Loss at exp(log_n) parameters, the tokens of each draw's own optimum, and whether its search converged."""

    def one(draw: LossPosterior) -> tuple[Array, Array, Array]:
        along = tokens_along(cost, log_budget)
        best, converged = best_log_params(draw, cost, log_budget)
        return draw.loss(log_n, along(log_n)), jnp.exp(along(best)), converged

    return jax.vmap(one, (posterior.axes,))(posterior)
