"""The answer to which runs to make next: values, prices, the batch, and whether to stop."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from scalefit._digits import to_error
from scalefit._intervals import interval
from scalefit._labelled import labelled
from scalefit._quantities import said, write
from scalefit._results import PROB, Result
from scalefit._tables import Table
from scalefit.costs.cost import Cost
from scalefit.costs.machines import Machines
from scalefit.loss_units import in_unit, short
from scalefit.planning._candidates import Candidates
from scalefit.planning._run_values import Batch
from scalefit.planning._settle import LIKELY, Settle
from scalefit.planning._value_check import Check
from scalefit.planning.assumptions import Assumptions
from scalefit.units import chance, format_count

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

SHOWN = 10
PLAN_ERROR = 0.01  # of ln N of a plan, from seed to seed
PLAN, BOTH, LOSS = "plan", "plan and loss", "loss"


@dataclass(frozen=True, eq=False, repr=False)
class NextRuns(Result):
    """Candidate runs by what they are expected to save the plan of a budget.

    The value of runs is the expected value of sample information: by how much the expected loss of the plan falls when
    it is made again after them. Their price is what the same cost would save if it were added to the budget instead.

    Parameters
    ----------
    budget, spend
        Of the run that is planned, and the most that all new runs may cost, in the unit of `cost`.
    aim
        "plan"; "plan and loss"; "loss"; a quantity of the law; or the gain of a recipe. Of the last three, a value is
        the share of its variance that a run takes away, of a gain that of its normal scores.
    candidates
        The runs that could be made.
    prices
        Of each, in the unit of `cost`.
    values, saved
        Value of each candidate alone, (candidate,); and under every outcome, (outcome, candidate), in the unit of the
        loss; None of an aim that is no plan.
    batch
        The runs of most value together within the spend.
    worthwhile
        The runs of most value beyond their price within the spend; empty where none is worth its price.
    params, regret
        N of today's plan; and its expected regret, which is all that any runs could save.
    params_after
        N of the plan after the batch, (outcome,).
    per_cost
        Loss that one more unit of the budget saves.
    resolution
        What the draws resolve: a value below it is none.
    check
        Values by reweighing the draws.
    cost, machines
        What the budget pays for, and what FLOP are computed on.
    assumptions
        The data, the model and the conventions behind the answer.
    settle
        Of recipes: the question whether the gain is above its threshold.
    """

    budget: float
    spend: float
    aim: str
    candidates: Candidates
    prices: Float[np.ndarray, " candidate"]
    values: Float[np.ndarray, " candidate"]
    saved: Float[np.ndarray, "outcome candidate"] | None
    batch: Batch
    worthwhile: Batch
    params: float
    regret: float
    params_after: Float[np.ndarray, " outcome"]
    per_cost: float
    resolution: float
    check: Check
    cost: Cost
    machines: Machines
    assumptions: Assumptions
    settle: Settle | None = None

    @property
    def about_plan(self) -> bool:
        """Whether values are losses that the plan is saved."""
        return self.saved is not None

    @property
    def stop(self) -> bool:
        """Whether the plan is the aim, and no run within the spend is worth its price; or the question is settled."""
        return not self.settle.open if self.settle else self.aim == PLAN and not self.worthwhile.runs

    @property
    def settles(self) -> Float[np.ndarray, " candidate"]:
        """Of recipes: the probability that each run alone settles the question."""
        return np.full(len(self.values), np.nan) if self.settle is None else self.settle.chance(self.values)

    @property
    def ratios(self) -> Float[np.ndarray, " candidate"]:
        """Value over price: above 1 a run is worth it. NaN below the resolution, and of an aim that is no plan."""
        resolved = self.about_plan & (self.values >= self.resolution)
        return np.where(resolved, self.values / (self.per_cost * self.prices), np.nan)

    def in_budget(self, value: Any) -> Any:
        """A loss as an amount of the budget that would save as much."""
        return np.divide(value, self.per_cost)

    def price_of(self, batch: Batch) -> float:
        """Cost of a batch, in the unit of `cost`."""
        return float(self.prices[list(batch.runs)].sum())

    @cached_property
    def order(self) -> np.ndarray:
        """Candidates from most to least value."""
        return np.argsort(-self.values, kind="stable")

    def rank_of(self, run: int) -> int:
        """The row of a candidate in `summary`, from 1."""
        return int(np.flatnonzero(self.order == run)[0]) + 1

    def headline(self, prob: float = PROB) -> str:
        """What to run next, or that no run is worth its price."""
        unit = self.cost.unit
        if self.settle is not None:
            return self._settling(self.settle)
        if self.stop:
            return (
                f"No run within {said(self.spend, unit)} is worth its price: train the large run, "
                f"{self.certain_params} parameters with {said(self.budget, unit)}."
            )
        chosen = self.worthwhile if self.aim == PLAN else self.batch
        if not chosen.runs:
            return (
                f"No run within {said(self.spend, unit)} reduces the variance of {self.aim} by more than the draws "
                "resolve."
            )
        listed = ", ".join(self._written(run) for run in dict.fromkeys(chosen.runs))
        price = said(self.price_of(chosen), unit)
        if not self.about_plan:
            return (
                f"Run {listed}: for {price} they take away {write(chosen.value, 'share')} of the variance of "
                f"{'the loss of the plan' if self.aim == LOSS else self.aim}."
            )
        share = self.certain(chosen.value) / chosen.value
        return (
            f"Run {listed}: for {price} the plan of {said(self.budget, unit)} is expected to save "
            f"{self.saves(chosen.value)} of its expected regret of {write(self.certain(self.regret))}, as much as "
            f"{said(float(self.in_budget(share * chosen.value)), unit)} more of budget would."
        )

    def certain(self, loss: float) -> float:
        """A saved loss to the digits that the draws resolve."""
        return to_error(loss, self.resolution)

    def saves(self, loss: float) -> str:
        """The same in words, with its unit."""
        return in_unit(write(self.certain(loss)), short(self.assumptions.loss_unit))

    @property
    def certain_params(self) -> str:
        """N of today's plan to the digits above its Monte Carlo error, in words."""
        return format_count(to_error(self.params, PLAN_ERROR * self.params))

    def _settling(self, settle: Settle) -> str:
        """The cheapest run that is likely to settle a question, and what the whole batch does."""
        known = f"P(gain of {settle.recipe} over {settle.baseline} > {settle.threshold:g}) is {chance(settle.above)}"
        if not settle.open:
            return f"{known}: that is settled, and takes no further run."
        if not self.batch.runs:
            return (
                f"{known}. No run within {said(self.spend, self.cost.unit)} reduces its variance by more than the "
                "draws resolve."
            )
        run = settle.cheapest(self.values, self.prices)
        price, odds = said(float(self.prices[run]), self.cost.unit), float(self.settles[run])
        written = f"{self._written(run)} of {settle.recipe}"
        words = f"{known}. Run {written}: for {price} it settles that with probability {chance(odds)}."
        if odds < LIKELY:
            words = (
                f"{known}. No single run within {said(self.spend, self.cost.unit)} is likely to settle that; the "
                f"likeliest, {written} for {price}, does so with probability {chance(odds)}."
            )
        if len(self.batch.runs) == 1:
            return words
        together = chance(float(settle.chance(np.array(self.batch.value))))
        price = said(self.price_of(self.batch), self.cost.unit)
        return f"{words} The batch of {len(self.batch.runs)} runs, {price}, does so with probability {together}."

    def _written(self, run: int) -> str:
        n, d = format_count(float(self.candidates.params[run])), format_count(float(self.candidates.tokens[run]))
        return f"{n} parameters on {d} tokens"

    def summary(self, prob: float = PROB) -> "pd.DataFrame":
        """Every candidate, the one of most value first.

        Parameters
        ----------
        prob
            Probability of the intervals of what a run saves, over its outcomes.

        Returns
        -------
        pandas.DataFrame
            Columns, each with a second level: params, tokens, tokens_per_param, price (in the unit of the cost), value
            (mean, lower, upper), in_budget (the amount of budget that saves as much), ratio (of value and price),
            settles (of recipes: the probability that the run alone settles the question), in_batch (how many times).
        """
        return self._ranked(prob, len(self.values)).frame()

    def batch_summary(self) -> "pd.DataFrame":
        """The batch, in the order in which its runs were chosen.

        Returns
        -------
        pandas.DataFrame
            Columns: params, tokens, price, gain (value given the runs before), value, price_together (both with the
            runs before).
        """
        runs = list(self.batch.runs)
        columns = {
            "params": self.candidates.params[runs],
            "tokens": self.candidates.tokens[runs],
            "price": self.prices[runs],
            "gain": list(self.batch.gains),
            "value": np.cumsum(self.batch.gains),
            "price_together": np.cumsum(self.prices[runs]),
        }
        return Table("run", list(range(1, len(runs) + 1)), columns).frame()

    def to_xarray(self) -> "xr.Dataset":
        """Values over `candidate`, and what each saves over (outcome, candidate).

        Returns
        -------
        xarray.Dataset
            Variables: price, value, ratio, in_batch, saved where the aim is the plan, settles of recipes. Coordinates
            of `candidate`: params, tokens. Attributes: budget, spend and their unit, aim, regret, stop and discrepancy
            (0 or 1).
        """
        unit = self.assumptions.loss_unit if self.about_plan else "share"
        variables: dict[str, Any] = {
            "price": ("candidate", self.prices),
            "value": ("candidate", self.values),
            "ratio": ("candidate", self.ratios),
            "in_batch": ("candidate", self._times()),
        }
        if self.settle is not None:
            variables["settles"] = ("candidate", self.settles)
        if self.saved is not None:
            variables["saved"] = (("outcome", "candidate"), self.saved)
        coords = {name: ("candidate", getattr(self.candidates, name)) for name in ("params", "tokens")}
        attrs = {name: getattr(self, name) for name in ("budget", "spend", "aim", "regret", "stop")}
        attrs |= {"budget_unit": self.cost.unit, "discrepancy": self.assumptions.discrepancy}
        return labelled(variables, coords, attrs, {"value": unit, "saved": unit, "price": self.cost.unit})

    def _times(self) -> np.ndarray:
        return np.bincount(self.batch.runs, minlength=len(self.values)).astype(float)

    def _table(self, prob: float) -> Table:
        return self._ranked(prob, SHOWN)

    def _ranked(self, prob: float, count: int) -> Table:
        rows = self.order[:count]
        of = self.candidates
        columns: dict[tuple[str, str], Any] = {
            ("params", ""): of.params[rows],
            ("tokens", ""): of.tokens[rows],
            ("tokens_per_param", ""): of.tokens[rows] / of.params[rows],
            ("price", ""): self.prices[rows],
            ("value", "mean"): self.values[rows],
        }
        if self.saved is not None:
            _, lower, upper = interval(self.saved[:, rows], prob)
            columns |= {("value", "lower"): lower, ("value", "upper"): upper}
            columns |= {("in_budget", ""): self.in_budget(self.values[rows]), ("ratio", ""): self.ratios[rows]}
        if self.settle is not None:
            columns["settles", ""] = self.settles[rows]
        columns["in_batch", ""] = self._times()[rows]
        units = {"price": self.cost.unit, "in_budget": self.cost.unit}
        units["value"] = self.assumptions.loss_unit if self.about_plan else "share"
        return Table("rank", list(range(1, len(rows) + 1)), columns, units)
