"""Rules of thumb: what the same budget would waste, allocated without the posterior."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scalefit._intervals import interval
from scalefit._labelled import labelled
from scalefit._precision import precision
from scalefit._quantities import loss_units, provenance, ranged, write
from scalefit._results import PROB, Result
from scalefit._tables import Table, by_rows
from scalefit.costs.budget import read_budget
from scalefit.costs.cost import SIX_ND, Compute, Cost
from scalefit.costs.machines import Machines
from scalefit.counting import pf_days
from scalefit.errors import QuestionError
from scalefit.fits.fit import Fit, check_fit
from scalefit.frontier.optimum import check_optimum
from scalefit.planning._loss_posterior import costs_of, loss_posterior
from scalefit.planning._regret import Regret
from scalefit.planning.assumptions import Assumptions
from scalefit.units import format_flops

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


TOKENS_PER_PARAM = 20.0
STEPS = 30


def twenty_to_one(flops: float, cost: Cost = SIX_ND) -> float:
    """N of D = 20 N, sqrt(C / 120): what is commonly read into Hoffmann et al. 2022 (arXiv 2203.15556), Table 3."""
    n = float(np.sqrt(flops / (6 * TOKENS_PER_PARAM)))
    for _ in range(STEPS):  # compute is about quadratic in N there
        n *= float(np.sqrt(flops / cost.flops(n, TOKENS_PER_PARAM * n)))
    return n


def kaplan(flops: float) -> float:
    """N = 1.3e9 (C / PF-day)^0.73, without embeddings (Kaplan et al. 2020, arXiv 2001.08361, section 6.1)."""
    return float(1.3e9 * pf_days(flops) ** 0.73)


@dataclass(frozen=True, eq=False, repr=False)
class RulesOfThumb(Result):
    """Allocations of one budget by rules of thumb, and what each wastes.

    Parameters
    ----------
    budget
        FLOP.
    params
        Rule -> N.
    draws
        Rule -> name -> (draw,): loss and regret (in the table's unit), wasted_compute (share of the budget).
    machines
        What FLOP are computed on, and its price.
    assumptions
        The data, the model and the conventions behind the answer.
    """

    budget: float
    params: dict[str, float]
    draws: dict[str, dict[str, np.ndarray]]
    machines: Machines
    assumptions: Assumptions

    def headline(self, prob: float = PROB) -> str:
        """The rule that wastes least, and the one that wastes most."""
        mean = {rule: float(draws["wasted_compute"].mean()) for rule, draws in self.draws.items()}
        least, most = min(mean, key=mean.__getitem__), max(mean, key=mean.__getitem__)
        ends = {rule: _waste(self.draws[rule]["wasted_compute"], prob) for rule in (least, most)}
        share = lambda rule: ranged(ends[rule], lambda value: write(value, "share"))
        return (
            f"Of {len(mean)} rules of thumb for {format_flops(self.budget)} FLOP, {least!r} wastes the smallest share "
            f"of the compute, {share(least)}, and {most!r} the largest, {share(most)} "
            f"({provenance(self.assumptions.discrepancy, ends[most], prob)})."
        )

    def summary(self, prob: float = PROB) -> "pd.DataFrame":
        """What each rule wastes.

        Parameters
        ----------
        prob
            Probability of every interval, equal-tailed.

        Returns
        -------
        pandas.DataFrame
            Rows: rules. Columns: params, tokens; regret, wasted_compute and wasted_money, each mean, lower and upper.
        """
        return self._table(prob).frame()

    def to_xarray(self) -> "xr.Dataset":
        """The draws with names, over (draw, rule).

        Returns
        -------
        xarray.Dataset
            Variables: loss, regret, wasted_compute, and params and tokens of every rule. Attributes: budget (FLOP),
            discrepancy (0 or 1).
        """
        rules = list(self.draws)
        variables: dict[str, Any] = {
            name: (("draw", "rule"), np.stack([self.draws[rule][name] for rule in rules], axis=1))
            for name in self.draws[rules[0]]
        }
        variables |= {
            "params": ("rule", [self.params[r] for r in rules]),
            "tokens": ("rule", list(map(self.tokens, rules))),
        }
        attrs = {"budget": self.budget, "discrepancy": self.assumptions.discrepancy}
        return labelled(variables, {"rule": ("rule", rules)}, attrs, loss_units(self.assumptions.loss_unit))

    def tokens(self, rule: str) -> float:
        """Training tokens of a rule."""
        return float(self.assumptions.cost.tokens_for(self.budget, self.params[rule]))

    def _table(self, prob: float) -> Table:
        money, rows = float(self.machines.money(self.budget)), {}
        for rule, draws in self.draws.items():
            row: dict[tuple[str, str], Any] = {("params", ""): self.params[rule], ("tokens", ""): self.tokens(rule)}
            waste = draws["wasted_compute"]
            shown = {"regret": draws["regret"], "wasted_compute": waste, "wasted_money": money * waste}
            for name, values in shown.items():
                parts = zip(("mean", "lower", "upper"), _waste(values, prob), strict=True)
                row |= {(name, part): value for part, value in parts}
            rows[rule] = row
        return by_rows("rule", rows).loss_in(self.assumptions.loss_unit)


def _waste(draws: np.ndarray, prob: float) -> np.ndarray:
    """Mean, lower and upper."""
    return np.append(draws.mean(), interval(draws, prob)[1:])


def rules_of_thumb(
    fit: Fit,
    budget: Any,
    *,
    point_fits: Mapping[str, Fit] | None = None,
    machines: Machines | None = None,
    cost: Compute | None = None,
    discrepancy: bool | None = None,
    **fixed: Any,
) -> RulesOfThumb:
    """What rules of thumb would waste at a budget: 20 tokens per parameter, and Kaplan et al.'s allocation.

    Parameters
    ----------
    fit
        Any fit whose law takes params and tokens.
    budget
        As for `plan`.
    point_fits
        Name -> point estimate, whose plug-in optimum is one more rule: the median over its draws.
    machines
        What FLOP are computed on, and its price.
    cost
        The compute that the table shows by default; `costs.SixND()` is 6 N D whatever that is.
    discrepancy
        As for `Fit.predict`.
    **fixed
        The law's inputs beyond params and tokens.

    Raises
    ------
    QuestionError
        A rule gives more parameters than the budget can train on one token, or the law has no allocation.
    """
    check_fit(fit)
    read = read_budget(budget, machines)
    flops, what = read.flops, f"a budget of {format_flops(read.flops)} FLOP"
    discrepancy = fit.resolve(discrepancy)
    with precision():
        posterior = loss_posterior(fit, fixed=fixed, discrepancy=discrepancy)
        shown, priced = costs_of(fit, posterior, cost)
    params = {"20 tokens per parameter": twenty_to_one(flops, shown), "Kaplan 2020": kaplan(flops)}
    for name, other in (point_fits or {}).items():
        params[name] = float(np.exp(np.median(np.log(other.frontier([flops], False, cost).params))))
    if too_large := [name for name, n in params.items() if shown.tokens_for(flops, n) < 1]:
        raise QuestionError(f"{too_large[0]} leaves less than one token for {what}. Use a larger budget.")
    with precision():
        regret = Regret(posterior, priced, float(np.log(flops)))
        draws = {name: regret.outcome(float(np.log(n))) for name, n in params.items()}
    converged = np.all([each.pop("converged") for each in draws.values()], axis=0)
    n = np.exp(regret.optimum.log_n)
    lost = check_optimum(n, priced.tokens_for(flops, n), converged, what=what, remedy="Use a larger budget")
    return RulesOfThumb(
        budget=flops,
        params=params,
        draws=draws,
        machines=read.machines,
        assumptions=Assumptions.of(fit, shown, discrepancy=discrepancy, unconverged=lost),
    )
