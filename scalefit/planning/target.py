"""Targets: the cheapest plan that reaches a loss, at even odds and with confidence."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from scalefit._digits import rounded_like
from scalefit._intervals import check_prob, interval
from scalefit._labelled import labelled
from scalefit._precision import precision
from scalefit._quantities import provenance, ranged, said, write
from scalefit._results import PROB, Result
from scalefit._tables import Table, draws_table
from scalefit.costs.cost import Cost
from scalefit.costs.machines import Machines
from scalefit.errors import QuestionError
from scalefit.fits.fit import Fit, check_fit
from scalefit.frontier.optimum import check_optimum, trades
from scalefit.loss_units import in_unit
from scalefit.planning._envelope import LeastBudgets
from scalefit.planning._loss_posterior import LossPosterior, costs_of, loss_posterior
from scalefit.planning._solve import FURTHEST, loss_at
from scalefit.planning._sure import SureSearch
from scalefit.planning.assumptions import Assumptions
from scalefit.units import parse_quantity, percent

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


PARTS = ("params", "tokens", "cost")


@dataclass(frozen=True)
class Allocation:
    """A run that reaches a target.

    Parameters
    ----------
    params, tokens
        The run.
    cost
        In the cost's unit.
    chance, chance_one_run
        P(loss <= target) of the expected loss, and of one run, with noise.
    """

    params: float
    tokens: float
    cost: float
    chance: float
    chance_one_run: float


@dataclass(frozen=True, eq=False, repr=False)
class Target(Result):
    """What a target loss costs.

    Parameters
    ----------
    loss
        The target, in the table's unit of loss.
    confidence
        Of the plan `sure`.
    draws
        Name -> (draw,): budget, the least that reaches the target in that draw, infinite where none does, in the cost's
        unit; N_opt and D_opt at that budget.
    even, sure
        The cheapest plans with P(loss <= target) of a half, and of `confidence`.
    reachable
        Share of the draws in which any budget reaches the target.
    cost, machines
        What a budget pays for, and what FLOP are computed on.
    assumptions
        The data, the model and the conventions behind the answer.
    """

    loss: float
    confidence: float
    draws: dict[str, np.ndarray]
    even: Allocation
    sure: Allocation
    reachable: float
    cost: Cost
    machines: Machines
    assumptions: Assumptions

    def headline(self, prob: float = PROB) -> str:
        """The least budget, and the cost of the plan with confidence."""
        ends = interval(self.draws["budget"], prob)
        least = ranged(ends, lambda value: write(value, self.cost.unit) if np.isfinite(value) else "out of reach")
        unit = "" if self.cost.unit == "$" else f" {self.cost.unit}"
        return (
            f"The least budget for a loss of {in_unit(f'{self.loss:g}', self.assumptions.loss_unit)} is {least}{unit} "
            f"({provenance(self.assumptions.discrepancy, ends, prob)}), and a plan that reaches it with "
            f"{percent(self.confidence)} confidence costs {said(rounded_like(self.sure.cost, ends), self.cost.unit)}."
        )

    def summary(self, prob: float = PROB) -> "pd.DataFrame":
        """The least budget and the optimum there.

        Parameters
        ----------
        prob
            Probability of every interval, equal-tailed.

        Returns
        -------
        pandas.DataFrame
            Rows: budget, N_opt, D_opt. Columns: median, lower, upper; infinite where a share of the draws never reaches
            the target.
        """
        return self._table(prob).frame()

    def to_xarray(self) -> "xr.Dataset":
        """The draws with names, each over `draw`.

        Returns
        -------
        xarray.Dataset
            Variables: budget, N_opt, D_opt. Attributes: target (a loss), confidence, reachable, discrepancy (0
            or 1); params, tokens and cost of the plans even and sure, as in even_params.
        """
        plans = {"even": self.even, "sure": self.sure}
        attrs = {f"{name}_{part}": getattr(plan, part) for name, plan in plans.items() for part in PARTS}
        attrs |= {"target": self.loss, "confidence": self.confidence, "reachable": self.reachable}
        attrs["discrepancy"] = self.assumptions.discrepancy
        variables = {name: ("draw", values) for name, values in self.draws.items()}
        return labelled(variables, attrs=attrs, units={"budget": self.cost.unit})

    def _table(self, prob: float) -> Table:
        return draws_table(self.draws, prob).in_units({"budget": self.cost.unit})


def target(
    fit: Fit,
    loss: Any,
    *,
    confidence: float = 0.9,
    cost: Cost | None = None,
    machines: Machines | None = None,
    max_params: Any = None,
    discrepancy: bool | None = None,
    **fixed: Any,
) -> Target:
    """The cheapest plans that reach a loss: at even odds, and with confidence.

    A plan is fixed before the truth is known: for every size the tokens that suffice in that share of the draws, then
    the size for which this is cheapest.

    Parameters
    ----------
    fit
        Any fit whose law takes params and tokens.
    loss
        The target, in the table's unit of loss.
    confidence
        Probability that the expected loss of the plan `sure` reaches the target.
    cost
        The compute that the table shows by default; `costs.SixND()` is 6 N D whatever that is.
    machines
        What FLOP are computed on.
    max_params
        A cap on the sizes of both plans.
    discrepancy
        As for `Fit.predict`.
    **fixed
        The law's inputs beyond params and tokens.

    Raises
    ------
    QuestionError
        The law has no allocation, too few draws reach the loss at any budget, or it takes less than one parameter and
        one token.
    """
    check_fit(fit)
    if not trades(fit.model.law):
        raise QuestionError(
            f"the {fit.model.law.name} law has no allocation: it takes {', '.join(fit.model.law.inputs)}. Use "
            "`least_input`, or a law of params and tokens."
        )
    wanted = parse_quantity(loss)
    cap = np.inf if max_params is None else float(np.log(parse_quantity(max_params)))
    check_prob(confidence)
    discrepancy = fit.resolve(discrepancy)
    with precision():
        posterior = loss_posterior(fit, fixed=fixed, discrepancy=discrepancy)
        cost, priced = costs_of(fit, posterior, None if cost is None else cost.averaged())
        draws = _least_budgets(posterior, priced, wanted)
        converged = draws.pop("converged")
        reachable = float(np.isfinite(draws["budget"]).mean())
        optima = draws["N_opt"], draws["D_opt"], converged
        unconverged = check_optimum(*optima, what=f"a loss of {wanted:g}", remedy="Use a lower loss")
        if reachable < max(confidence, 0.5):
            raise QuestionError(
                f"a loss of {wanted:g} is out of reach in {percent(round(1 - reachable, 3))} of the draws, whatever "
                "the budget: the irreducible loss is above it. Use a higher loss or less confidence."
            )
        one_run = partial(fit.add_noise, discrepancy=discrepancy)
        search = SureSearch(posterior, cost, wanted, cap, draws["N_opt"], draws["D_opt"])
        even, sure = (
            _allocation(search, prob, log_n, log_d, one_run)
            for prob, (log_n, log_d) in zip((0.5, confidence), search.cheapest((0.5, confidence)), strict=True)
        )
    return Target(
        loss=wanted,
        confidence=confidence,
        draws=draws,
        even=even,
        sure=sure,
        reachable=reachable,
        cost=cost,
        machines=machines or Machines(),
        assumptions=Assumptions.of(fit, cost, discrepancy=discrepancy, unconverged=unconverged),
    )


def _allocation(
    search: SureSearch, prob: float, log_n: float, log_d: float, add_noise: Callable[..., Any]
) -> Allocation:
    """The cheapest run that reaches the loss with a probability."""
    posterior, wanted, n, d = search.posterior, search.level, float(np.exp(log_n)), float(np.exp(log_d))
    if not np.isfinite(d):
        capped, less = (
            " within the cap" if np.isfinite(search.log_cap) else "",
            " or less confidence" if prob > 0.5 else "",
        )
        raise QuestionError(
            f"no size{capped} reaches a loss of {wanted:g} in {percent(prob)} of the draws, whatever its tokens. "
            f"{'Raise the cap, or use' if capped else 'Use'} a higher loss{less}."
        )
    expected = np.asarray(loss_at(posterior, jnp.log(n), jnp.log(d)))
    # The draw that sets the tokens reaches the target to rounding, or to that of a cubic.
    reached = wanted * (1 + (1e-9 if posterior.law_only is posterior else 1e-6))
    return Allocation(
        params=n,
        tokens=d,
        cost=float(search.cost.total(n, d)),
        chance=float(np.mean(expected <= reached)),
        chance_one_run=float(np.mean(add_noise(expected) <= wanted)),
    )


def _least_budgets(posterior: LossPosterior, cost: Cost, level: float) -> dict[str, np.ndarray]:
    """The least budget of each draw, its optimum there, and whether the searches converged, name -> (draw,)."""
    least, start = (float(np.log(cost.averaged().total(n, d))) for n, d in ((1.0, 1.0), (1e10, 2e11)))
    budgets = LeastBudgets(posterior, cost, start, least, start + FURTHEST)
    log_c, log_n, converged = budgets.with_optimum(np.full(posterior.count, level))
    found = {"budget": np.exp(log_c), "N_opt": np.exp(log_n), "D_opt": np.full(len(log_c), np.inf)}
    finite = np.isfinite(log_c)
    within = np.where(finite, found["budget"], 1.0), np.where(finite, found["N_opt"], 1.0)
    found["D_opt"][finite] = cost.tokens_for(*within)[finite]
    return found | {"converged": converged}
