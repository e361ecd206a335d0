"""An open question between two recipes, and how likely runs to come are to settle it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from jaxtyping import Float

from scalefit.costs.cost import Cost
from scalefit.errors import OptionError
from scalefit.fits.fit import Fit

LIKELY = 0.5
TAIL = 0.005  # of the draws of a loss on each side, whose distance hides what a run says


@dataclass(frozen=True, eq=False)
class Settle:
    """Whether the gain of a recipe over a baseline is above a threshold.

    Parameters
    ----------
    recipe, baseline
        The recipes.
    scores
        Normal scores of the draws of the gain: far ones, and infinite ones, are the last and no more.
    above
        Probability that the gain is above the threshold, today.
    threshold, sure
        The gain to exceed, and the probability with which the question is settled.
    """

    recipe: str
    baseline: str
    scores: Float[np.ndarray, " draw"]
    above: float
    threshold: float
    sure: float

    @classmethod
    def of(cls, recipe: str, baseline: str, gain: Float[np.ndarray, " draw"], threshold: float, sure: float) -> Self:
        """From draws of the gain.

        Raises
        ------
        OptionError
            The threshold is no factor, or the probability is none above a half.
        """
        if not 0.5 < sure < 1 or not 0 < threshold < np.inf:
            raise OptionError(f"sure={sure} and threshold={threshold}: give a probability from 0.5 to 1 and a factor.")
        return cls(recipe, baseline, normal_scores(gain), float(np.mean(gain > threshold)), threshold, sure)

    @property
    def open(self) -> bool:
        """Whether the question is not settled today."""
        return 1 - self.sure < self.above < self.sure

    def chance(self, share: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Probability that it is settled after runs that take away a share of the variance of the scores.

        The scores' mean moves by a normal of that variance, and what is left is normal around it.
        """
        from scipy.special import ndtr, ndtri

        if not self.open:
            return np.ones_like(share)
        share = np.clip(share, 1e-12, 1 - 1e-12)
        moved, left = np.sqrt(share), float(ndtri(self.sure)) * np.sqrt(1 - share)
        middle = float(ndtri(self.above))
        return np.asarray(ndtr((middle - left) / moved) + ndtr((-middle - left) / moved))

    def cheapest(self, share: Float[np.ndarray, " run"], prices: Float[np.ndarray, " run"]) -> int:
        """The cheapest of runs that each settle it with even odds; the likeliest where none does."""
        chance = self.chance(share)
        likely = np.flatnonzero(chance >= LIKELY)
        return int(likely[prices[likely].argmin()] if likely.size else chance.argmax())


class SeveralFits(ABC):
    """Fits whose draws are paired, such as those of recipes: what `next_runs` can settle between."""

    @abstractmethod
    def to_settle(
        self,
        recipe: str | None,
        flops: float,
        rule: tuple[float, float],
        cost: Cost | None,
        discrepancy: bool | None,
        fixed: Mapping[str, Any],
        /,
    ) -> tuple[Fit, Settle]:
        """The fit of a recipe, and the question whether its gain at a budget is above a threshold, by `rule`.

        Parameters
        ----------
        recipe
            None for the only one beside the baseline.
        flops
            The budget.
        rule
            `threshold` and `sure` of `Settle`.
        cost, discrepancy, fixed
            As for `next_runs`.
        """


def normal_scores(values: Float[np.ndarray, " draw"]) -> Float[np.ndarray, " draw"]:
    """Normal quantiles of the ranks."""
    from scipy.special import ndtri

    return ndtri((np.argsort(np.argsort(values, axis=0, kind="stable"), axis=0) + 0.5) / len(values))


def without_far(seen: Float[np.ndarray, "draw run"]) -> Float[np.ndarray, "draw run"]:
    """Losses whose farthest draws are no farther than the rest."""
    return np.clip(seen, *np.quantile(seen, [TAIL, 1 - TAIL], axis=0))
