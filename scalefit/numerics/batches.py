"""Batches of runs to come, one run after another, each given what those before it will have taught.

References
----------
Leskovec et al. 2007, KDD, 420: of the greedy batches by gain and by gain per cost, the better one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from scalefit.numerics.sample_information import Gain, GaussianStep

SLACK = 1e-9  # of a budget, for rounding


@dataclass(frozen=True)
class Purse:
    """What a batch may cost.

    Parameters
    ----------
    spend
        All of it.
    count
        How many runs, at most.
    repeats
        Whether a candidate may be run more than once.
    """

    spend: float
    count: int
    repeats: bool = True

    def allowed(self, cost: Float[np.ndarray, " candidate"], taken: list[int]) -> Bool[np.ndarray, " candidate"]:
        """Whether each candidate leaves enough for the cheapest of the runs after it."""
        more = self.count - len(taken) - 1
        again = np.isin(np.arange(len(cost)), taken) & (not self.repeats)
        cheapest = np.full(more, cost.min()) if self.repeats else np.sort(cost[~again])[1 : more + 1]
        left = self.spend - cost[taken].sum()
        room = cost <= (left - cheapest.sum()) + SLACK * self.spend
        return ~again & (room if (room & ~again).any() else cost <= left + SLACK * self.spend)


def greedy(
    step: GaussianStep,
    gains: Callable[[int], Gain],
    cost: Float[np.ndarray, " candidate"],
    purse: Purse,
    score: Callable[[np.ndarray, np.ndarray], np.ndarray] = lambda gain, cost: gain,
    least: float = 0.0,
) -> tuple[list[int], list[float]]:
    """A batch, one run after another, each given those before.

    Parameters
    ----------
    step
        Before the first run.
    gains
        From the number of runs taken to what the next is chosen by.
    cost, purse
        Of the candidates, and of them all together.
    score
        Of gains and costs: the largest is taken. The batch ends where none is above zero.
    least
        A gain below this is none.

    Returns
    -------
    tuple
        Candidates, in their order, and what each gains given those before.
    """
    taken: list[int] = []
    gained: list[float] = []
    while len(taken) < purse.count:
        gain = gains(len(taken))(step)
        scores = np.where(purse.allowed(cost, taken) & (gain > least), score(gain, cost), -np.inf)
        if not scores.max() > 0:
            break
        best = int(scores.argmax())
        taken.append(best)
        gained.append(float(gain[best]))
        step = step.given(best)
    return taken, gained
