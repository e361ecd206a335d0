"""The data wall: whether unique tokens bind, what that costs, and what more of them would save."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float

from scalefit.costs.cost import Cost
from scalefit.planning._loss_posterior import LossPosterior
from scalefit.planning._regret import Regret

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
        Expected loss that one percent more unique tokens would save, with a new plan; for the value of one
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
    """The data wall at a budget.

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
    without, with_more = (Regret(each, cost, float(log_budget)) for each in (endless, more))
    unique, optimum = np.asarray(posterior.unique), without.optimum
    loss_of = lambda regret, decided: regret.losses(np.array([float(decided)]))[:, 0]
    return DataWall(
        unique_tokens=unique,
        binds=np.asarray(cost.tokens_for(np.exp(float(log_budget)), np.exp(optimum.log_n))) > unique,
        penalty=loss - loss_of(without, decide(endless)),
        value=float(loss.mean() - loss_of(with_more, decide(more)).mean()),
        unconverged=1 - float(np.mean(optimum.converged)),
    )
