"""What should I train? The one allocation of a budget that minimises posterior expected loss, and its price."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scalefit._precision import precision
from scalefit._tables import draws_table
from scalefit.costs.budget import read_budget
from scalefit.costs.cost import Cost, SixND
from scalefit.costs.machines import Machines
from scalefit.costs.uncertain import read_amount
from scalefit.fits.fit import Fit, check_fit
from scalefit.planning._allocation import Choice
from scalefit.planning._loss_posterior import loss_posterior
from scalefit.planning._regret import cvar
from scalefit.planning.assumptions import Assumptions
from scalefit.planning.constraints import Constraints
from scalefit.planning.data_wall import DataWall, data_wall_of
from scalefit.planning.deployment import Deployment, nearest_deployment

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Plan:
    """One recommended allocation of one budget, and what it may cost to be wrong.

    budget : in the units of `cost`, FLOP but for costs in money. params, tokens : what to train.
    loss : posterior expected loss there, nats per token.
    draws : name -> (draw,): `loss` (expected), `loss_one_run` (with noise too),
        `regret` (nats), `wasted_compute` (share of the budget), both against the optimum of each draw without limits,
        and that optimum, `N_opt`, `D_opt`.
    near_optimal : smallest and largest N, within the limits, that waste at most 1 % of the budget more, on average.
    machines : what FLOP are computed on. limits : what was not free to choose. cost_of_constraints : the share of the
        budget that they waste on average. wall : what scarce unique tokens do, where they were given. deployment : the
        shape to build, where a family was given.
    """

    budget: float
    params: float
    tokens: float
    loss: float
    draws: dict[str, np.ndarray]
    near_optimal: tuple[float, float]
    cost: Cost
    machines: Machines
    constraints: Constraints
    cost_of_constraints: float
    data_wall: DataWall | None
    assumptions: Assumptions
    deployment: Deployment | None = None

    @property
    def flops(self) -> float:
        """Training compute, FLOP: 6 N D unless the cost counts otherwise."""
        return float(self.cost.flops(self.params, self.tokens))

    @property
    def compute_range(self) -> tuple[float, float]:
        """Compute of the smallest and largest run in the data, FLOP."""
        return self.assumptions.compute_range

    @property
    def extrapolation_factor(self) -> float:
        """Training compute in multiples of the largest run's: above 1 the plan is an extrapolation."""
        return self.assumptions.extrapolation_factor(self.flops)

    @property
    def tokens_per_param(self) -> float:
        """Tokens per parameter of the plan."""
        return self.tokens / self.params

    @property
    def regret(self) -> float:
        """Posterior expected regret, nats per token."""
        return float(self.draws["regret"].mean())

    @property
    def wasted_compute(self) -> float:
        """Posterior expected share of the budget that a perfectly informed plan without limits would save."""
        return float(self.draws["wasted_compute"].mean())

    @property
    def bill(self) -> dict[str, float]:
        """Training in `flops`, `accelerator_hours`, `days` and `money`."""
        machines, flops = self.machines, self.flops
        hours, days = float(machines.hours(flops)), float(machines.days(flops))
        return {"flops": flops, "accelerator_hours": hours, "days": days, "money": float(machines.money(flops))}

    @property
    def wasted_money(self) -> np.ndarray:
        """What is wasted, in money at the machines' price, (draw,)."""
        worth = self.budget if self.cost.unit != "FLOP" else float(self.machines.money(self.budget))
        return worth * self.draws["wasted_compute"]

    def cvar(self, level: float = 0.95, of: str = "wasted_compute") -> float:
        """Mean of the worst `1 - level` of the draws of `wasted_compute`, `regret` or `loss`."""
        return cvar(self.draws[of], level)

    def summary(self, prob: float = 0.9) -> "pd.DataFrame":
        """Rows: loss, regret, wasted compute and money, the optimum. Columns: mean, median, lower, upper."""
        return plan_table(self, prob)


def plan(
    fit: Fit,
    budget: Any,
    *,
    cost: Cost | None = None,
    machines: Machines | None = None,
    unique_tokens: Any = None,
    risk: float | None = None,
    params: Any = None,
    tokens: Any = None,
    max_params: Any = None,
    overtrain: Any = None,
    family: str | None = None,
    discrepancy: bool | None = None,
    **fixed: Any,
) -> Plan:
    """The allocation of a budget that minimises posterior expected loss, never the mean of the optima.

    budget : FLOP, "512 H100 x 30 days @ 40%", or "$2M" spent on `machines`. cost : `SixND()` by default; under a
        `Lifetime` the budget pays for inference too. unique_tokens : what data there is, a number or "1T..3T".
    risk : minimise instead the mean regret of the worst `1 - risk` of the draws (CVaR), as in 0.95.
    params, tokens, max_params, overtrain : limits, one plan each; see `Constraints`. fixed : the law's further inputs.
    family : of `scalefit.counting.families()`; its deployable shape nearest to the plan is then named and priced.

    discrepancy : as for `Fit.predict`. Raises `QuestionError` where the law has no allocation, or
        budget and limits leave no room.
    """
    check_fit(fit)
    found, cost = read_budget(budget, machines), cost or SixND()
    discrepancy = fit.resolve(discrepancy)
    limits = Constraints.read(params=params, tokens=tokens, max_params=max_params, overtrain=overtrain)
    unique = None if unique_tokens is None else read_amount(unique_tokens, "unique_tokens")
    with precision():
        belief = loss_posterior(fit, unique, fixed, discrepancy)
        choice = Choice(belief, cost.averaged(), found.amount(cost), limits)
        free, best = choice.decide(risk)
        draws = choice.price(best)
        unconverged = choice.check_optimum(draws)
        del draws["converged"]
        near = choice.near(best, float(draws["wasted_compute"].mean()))
        lost = (
            float(draws["wasted_compute"].mean() - choice.price(free)["wasted_compute"].mean()) if best != free else 0.0
        )
        wall = (
            None
            if unique is None
            else data_wall_of(belief, choice.cost, choice.log_budget, draws["loss"], choice.under(risk))
        )
        built = None if family is None else nearest_deployment(family, choice, best, draws, fit.runs.convention)
    n = float(np.exp(best))
    one_run = fit.add_noise(draws["loss"], discrepancy=discrepancy)
    draws |= {"loss_one_run": one_run, "D_opt": choice.tokens(draws["N_opt"])}
    expected, basis = float(draws["loss"].mean()), Assumptions.of(fit, cost, unique, discrepancy, unconverged)
    d = choice.useful_tokens(n)
    return Plan(choice.budget, n, d, expected, draws, near, cost, found.machines, limits, lost, wall, basis, built)


def plan_table(plan: "Plan", prob: float = 0.9) -> "pd.DataFrame":
    """Rows: loss (of the law, and of one run with noise), regret, waste in compute and money, optimum; mean, interval.

    The mean of one run's loss is left out: under Student-t noise on ln loss it has no finite expectation.
    """
    draws = {name: plan.draws[name] for name in ("loss", "loss_one_run", "regret", "wasted_compute")}
    if plan.cost.unit == "FLOP":
        draws["wasted_flops"] = plan.budget * plan.draws["wasted_compute"]
    draws |= {"wasted_money": plan.wasted_money, "N_opt": plan.draws["N_opt"], "D_opt": plan.draws["D_opt"]}
    if plan.data_wall:
        draws["wall_penalty"] = plan.data_wall.penalty
    table = draws_table(draws, prob, mean=True)
    table.loc["loss_one_run", "mean"] = np.nan
    return table
