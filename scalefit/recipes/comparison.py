"""RecipeComparison: what `compare_recipes` finds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float

from scalefit._intervals import check_prob, interval
from scalefit._labelled import labelled
from scalefit._quantities import loss_units, provenance, ranged, ratio
from scalefit._results import PROB, Result
from scalefit._tables import Table, interval_columns
from scalefit.errors import OptionError
from scalefit.planning.assumptions import Assumptions
from scalefit.recipes._settle import NextRun
from scalefit.units import chance, format_flops

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Verdict = Literal["promote", "hold", "run more"]
DRAWS = ("gain", "token_gain", "param_gain", "difference")
INSIDE = 0.9  # probability of the intervals whose widths are compared


@dataclass(frozen=True, eq=False)
class RecipeGain:
    """One recipe beside the baseline.

    Parameters
    ----------
    name, runs
        The recipe, and how many runs of it there are.
    draws
        Name -> (draw,), at the target: gain, the compute that the baseline takes for what the recipe reaches at its own
        optimum, over the target; token_gain, the same in tokens at equal N; param_gain, in parameters at equal D;
        infinite where no amount suffices; difference, expected loss of the baseline less that of the recipe; loss.
    along, loss_along
        The gain, and the expected loss of the recipe at its optimum, at `RecipeComparison.budgets`, (draw, budget).
    unseen
        The gain of a recipe of which there are no runs, (draw,).
    threshold, sure
        What the gain has to exceed, and with what probability, for `promote`.
    settled_by
        The cheapest run that is likely to settle the verdict, where that is `run more`.
    """

    name: str
    runs: int
    draws: Mapping[str, Float[np.ndarray, " draw"]]
    along: Float[np.ndarray, "draw budget"]
    loss_along: Float[np.ndarray, "draw budget"]
    unseen: Float[np.ndarray, " draw"]
    threshold: float
    sure: float
    settled_by: NextRun | None = None

    @property
    def chance(self) -> float:
        """P(gain > 1)."""
        return float(np.mean(self.draws["gain"] > 1))

    @property
    def chance_of_threshold(self) -> float:
        """P(gain > threshold)."""
        return float(np.mean(self.draws["gain"] > self.threshold))

    @property
    def share_of_prior(self) -> float:
        """Width of the 90 % interval of ln gain over that before the first run: 1 where the runs add nothing."""
        after, before = _width(self.draws["gain"]), _width(self.unseen)
        return min(1.0, after / before) if np.isfinite(after) else 1.0

    @property
    def verdict(self) -> Verdict:
        """`promote` where P(gain > threshold) is at least `sure`, `hold` where it is at most 1 - `sure`."""
        if self.chance_of_threshold >= self.sure:
            return "promote"
        return "hold" if self.chance_of_threshold <= 1 - self.sure else "run more"


def gain_interval(draws: Float[np.ndarray, " draw"], prob: float) -> Float[np.ndarray, "3"]:
    """`interval` of draws some of which may be infinite: of those themselves, and not of points between them."""
    if np.isfinite(draws).all():
        return interval(draws, prob)
    tail = (1 - check_prob(prob)) / 2
    return np.quantile(draws, [0.5, tail, 1 - tail], method="nearest")


def _width(gain: Float[np.ndarray, " draw"]) -> float:
    """Of the interval of ln gain; infinite where its end is."""
    _, low, high = np.log(gain_interval(gain, INSIDE))
    return float(high - low)


@dataclass(frozen=True, eq=False, repr=False)
class RecipeComparison(Result):
    """Recipes beside a baseline at a budget.

    Parameters
    ----------
    baseline
        The recipe that others are compared with.
    at
        The budget, FLOP.
    recipes
        The others, by name.
    budgets
        FLOP, along which gains are known, ascending.
    loss_along
        The baseline's expected loss at its optimum, at `budgets`, (draw, budget).
    health
        Verdict of each recipe's fit, the baseline's included.
    assumptions
        The data, the model and the conventions behind the answer.
    learned
        Whether the prior scales of differences are those learned on public sweeps.
    """

    baseline: str
    at: float
    recipes: Mapping[str, RecipeGain]
    budgets: Float[np.ndarray, " budget"]
    loss_along: Float[np.ndarray, "draw budget"]
    health: Mapping[str, str]
    assumptions: Assumptions
    learned: bool = True

    def __getitem__(self, recipe: str) -> RecipeGain:
        if recipe not in self.recipes:
            raise OptionError(f"{recipe!r} is none of the recipes compared. Choose from {', '.join(self.recipes)}.")
        return self.recipes[recipe]

    @property
    def loss(self) -> Float[np.ndarray, " draw"]:
        """The baseline's expected loss at its optimum of the budget, (draw,)."""
        return self.loss_along[:, int(np.argmin(np.abs(self.budgets / self.at - 1)))]

    @property
    def losses(self) -> dict[str, Float[np.ndarray, " draw"]]:
        """Expected loss of every recipe at its optimum, the baseline's first."""
        return {self.baseline: self.loss} | {name: each.draws["loss"] for name, each in self.recipes.items()}

    @property
    def chance_of_rank(self) -> dict[str, Float[np.ndarray, " rank"]]:
        """Probability of each rank, the best first, of every recipe and the baseline."""
        losses = np.array(list(self.losses.values()))
        ranks = losses.argsort(axis=0).argsort(axis=0)
        share = np.array([(ranks == rank).mean(axis=1) for rank in range(len(losses))]).T
        return dict(zip(self.losses, share, strict=True))

    @property
    def ranking(self) -> tuple[str, ...]:
        """The recipes but the baseline, the likeliest best first; of those never the best, the lower loss first."""
        best = self.chance_of_rank
        return tuple(sorted(self.recipes, key=lambda name: (-best[name][0], float(np.median(self.losses[name])))))

    @property
    def winner(self) -> str:
        """The recipe that is best with the highest probability; it may be the baseline."""
        return max(self.chance_of_rank, key=lambda name: self.chance_of_rank[name][0])

    @property
    def shortfall(self) -> float:
        """What the winner is expected to lose to whichever recipe is truly the best, in loss."""
        losses = np.array(list(self.losses.values()))
        return float((self.losses[self.winner] - losses.min(axis=0)).mean())

    def headline(self, prob: float = PROB) -> str:
        """The winner, or the one recipe, with its gain and the verdict."""
        others = list(self.recipes)
        name = others[0] if len(others) == 1 else self.winner
        if name == self.baseline:
            first = self.chance_of_rank[name][0]
            return f"{name}, the baseline, is best at {format_flops(self.at)} FLOP with probability {chance(first)}."
        found = self.recipes[name]
        gain = gain_interval(found.draws["gain"], prob)
        first = chance(self.chance_of_rank[name][0])
        best = f", and the best of {1 + len(others)} with probability {first}" if len(others) > 1 else ""
        return (
            f"{name} reaches with {format_flops(self.at)} FLOP what {self.baseline} reaches with {factor(gain)} times "
            f"as much ({provenance(self.assumptions.discrepancy, gain, prob)}); it is better with probability "
            f"{chance(found.chance)}{best}: {found.verdict}."
        )

    def summary(self, prob: float = PROB) -> "pd.DataFrame":
        """Every recipe at the target, the likeliest best first.

        Parameters
        ----------
        prob
            Probability of every interval, equal-tailed.

        Returns
        -------
        pandas.DataFrame
            Rows: recipes. Columns: runs; gain, token_gain, param_gain and difference, each with median, lower and
            upper; chance, chance_of_threshold, chance_best, share_of_prior, verdict and health.
        """
        return self._table(prob).frame()

    def to_xarray(self) -> "xr.Dataset":
        """The draws with names.

        Returns
        -------
        xarray.Dataset
            Variables: gain, token_gain, param_gain, difference and loss over (recipe, draw); gain_along over
            (recipe, draw, budget). Attributes: baseline, at (FLOP), discrepancy (0 or 1).
        """
        stack = lambda of: np.array([of(each) for each in self.recipes.values()])
        variables: dict[str, Any] = {
            name: (("recipe", "draw"), stack(lambda each, name=name: each.draws[name])) for name in (*DRAWS, "loss")
        }
        variables["gain_along"] = (("recipe", "draw", "budget"), stack(lambda each: each.along))
        coords = {"recipe": ("recipe", list(self.recipes)), "budget": ("budget", self.budgets)}
        attrs = {"baseline": self.baseline, "at": self.at, "discrepancy": self.assumptions.discrepancy}
        return labelled(variables, coords, attrs, {**loss_units(self.assumptions.loss_unit), **UNITS})

    def _table(self, prob: float) -> Table:
        best = {name: share[0] for name, share in self.chance_of_rank.items()}
        order = list(self.ranking)
        found = [self.recipes[name] for name in order]
        columns: dict[Any, Any] = {("runs", ""): [each.runs for each in found]}
        for name in DRAWS:
            columns |= interval_columns(name, np.array([gain_interval(each.draws[name], prob) for each in found]).T)
        for name in ("chance", "chance_of_threshold", "share_of_prior", "verdict"):
            columns[name, ""] = [getattr(each, name) for each in found]
        columns["chance_best", ""] = [best[name] for name in order]
        columns["health", ""] = [self.health[name] for name in order]
        return Table("recipe", order, columns).loss_in(self.assumptions.loss_unit).in_units(UNITS)


UNITS = dict.fromkeys(("gain", "token_gain", "param_gain", "gain_along"), "1")


def factor(ends: Float[np.ndarray, "3"]) -> str:
    """A factor with its interval."""
    return ranged(ends, lambda value: "more than any" if np.isinf(value) else ratio(float(value)))
