"""What should I train? The one allocation of a budget that minimises posterior expected loss, and its regret."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from scalefit._digits import rounded_like
from scalefit._intervals import interval
from scalefit._labelled import labelled
from scalefit._precision import precision
from scalefit._quantities import loss_units, provenance, ranged, said, write
from scalefit._results import PROB, Result
from scalefit._tables import Table, draws_table
from scalefit.costs.budget import read_budget
from scalefit.costs.cost import Cost
from scalefit.costs.machines import Machines
from scalefit.costs.uncertain import read_amount
from scalefit.fits.fit import Fit, check_fit
from scalefit.loss_units import in_unit
from scalefit.planning._allocation import AllocationProblem
from scalefit.planning._loss_posterior import costs_of, loss_posterior
from scalefit.planning._regret import cvar
from scalefit.planning.assumptions import Assumptions
from scalefit.planning.constraints import Constraints
from scalefit.planning.data_wall import DataWall, data_wall_of
from scalefit.planning.deployment import Deployment, nearest_deployment
from scalefit.units import format_count

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


@dataclass(frozen=True, eq=False, repr=False)
class Plan(Result):
    """One recommended allocation of one budget, and what it may cost to be wrong.

    Parameters
    ----------
    budget
        In the unit of `cost`: FLOP, but for costs in money.
    params, tokens
        What to train.
    loss
        Posterior expected loss there, in the table's unit, as every loss here.
    draws
        Name -> (draw,): loss (expected) and loss_one_run (with noise); regret and wasted_compute
        (share of the budget), both against each draw's optimum without constraints; and that optimum, N_opt, D_opt.
    near_optimal
        Smallest and largest N under the constraints that waste at most 1 % of the budget more, on average.
    cost, machines
        What the budget pays for, and what FLOP are computed on.
    constraints, cost_of_constraints
        What was not free to choose, and the share of the budget that it wastes on average.
    data_wall
        The effect of scarce unique tokens, where they were given.
    assumptions
        The data, the model and the conventions behind the plan.
    deployment
        The shape to build, where a family was given.
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
        """Training compute, FLOP."""
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
        """Posterior expected regret, in the unit of the loss."""
        return float(self.draws["regret"].mean())

    @property
    def wasted_compute(self) -> float:
        """Posterior expected share of the budget that the optimum without constraints would save."""
        return float(self.draws["wasted_compute"].mean())

    @property
    def bill(self) -> dict[str, float]:
        """Training in `flops`, `accelerator_hours`, `days` and `money`."""
        machines, flops = self.machines, self.flops
        hours, days = float(machines.hours(flops)), float(machines.days(flops))
        return {"flops": flops, "accelerator_hours": hours, "days": days, "money": float(machines.money(flops))}

    def certain(self, size: float, power: float = 1.0) -> float:
        """A size of the plan, or what grows as that power of it, to the digits above its Monte Carlo error."""
        return size if self.constraints.any else rounded_like(size, interval(self.draws["N_opt"], PROB), power)

    @property
    def wasted_money(self) -> Float[np.ndarray, " draw"]:
        """Wasted money at the machines' price."""
        money = self.budget if self.cost.unit != "FLOP" else float(self.machines.money(self.budget))
        return money * self.draws["wasted_compute"]

    def cvar(self, level: float = 0.95, of: str = "wasted_compute") -> float:
        """Conditional value at risk, the mean of the worst draws.

        Parameters
        ----------
        level
            The worst share `1 - level` of the draws counts.
        of
            "wasted_compute", "regret" or "loss".
        """
        return cvar(self.draws[of], level)

    def headline(self, prob: float = PROB) -> str:
        """What to train, and the loss to expect."""
        ends = np.append(self.loss, interval(self.draws["loss"], prob)[1:])
        params, tokens = self.certain(self.params), self.certain(self.tokens)
        ratio = self.certain(self.tokens_per_param, power=2.0)  # D / N = C / (6 N^2)
        return (
            f"Train {format_count(params)} parameters on {format_count(tokens)} tokens "
            f"({ratio:.3g} tokens per parameter) with {said(self.budget, self.cost.unit)} for an "
            f"expected loss of {in_unit(ranged(ends, write), self.assumptions.loss_unit)} "
            f"({provenance(self.assumptions.discrepancy, ends, prob)})."
        )

    def summary(self, prob: float = PROB) -> "pd.DataFrame":
        """What to expect of the plan, and what being wrong costs.

        Parameters
        ----------
        prob
            Probability of every interval, equal-tailed.

        Returns
        -------
        pandas.DataFrame
            Rows: loss, loss_one_run, regret, wasted_compute, wasted_flops (of a budget in FLOP), wasted_money, N_opt,
            D_opt, and wall_penalty where unique tokens are limited. Columns: mean, median, lower, upper. One run's mean
            loss is NaN: under Student-t noise on ln loss it has no finite expectation.
        """
        return self._table(prob).frame()

    def to_xarray(self) -> "xr.Dataset":
        """The draws with names, each over `draw`, and the plan as attributes.

        Returns
        -------
        xarray.Dataset
            Variables: those of `draws`. Attributes: budget and its unit, params, tokens, flops, expected_loss,
            discrepancy (0 or 1).
        """
        single = {name: getattr(self, name) for name in ("budget", "params", "tokens", "flops")}
        attrs = {**single, "budget_unit": self.cost.unit, "expected_loss": self.loss}
        attrs["discrepancy"] = self.assumptions.discrepancy
        variables = {name: ("draw", values) for name, values in self.draws.items()}
        return labelled(variables, attrs=attrs, units=loss_units(self.assumptions.loss_unit))

    def _table(self, prob: float) -> Table:
        draws = {name: self.draws[name] for name in ("loss", "loss_one_run", "regret", "wasted_compute")}
        if self.cost.unit == "FLOP":
            draws["wasted_flops"] = self.budget * self.draws["wasted_compute"]
        draws |= {"wasted_money": self.wasted_money, "N_opt": self.draws["N_opt"], "D_opt": self.draws["D_opt"]}
        if self.data_wall:
            draws["wall_penalty"] = self.data_wall.penalty
        table = draws_table(draws, prob, mean=True)
        mean = np.where([name == "loss_one_run" for name in draws], np.nan, table.columns["mean"])
        return replace(table, columns={**table.columns, "mean": mean}).loss_in(self.assumptions.loss_unit)


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

    Parameters
    ----------
    fit
        Any fit whose law takes params and tokens.
    budget
        FLOP, "512 H100 x 30 days @ 40%", or "$2M" spent on `machines`.
    cost
        The compute that the table shows by default, 6 N D where it shows none; `costs.SixND()` is 6 N D whatever that
        is. Under a `Lifetime` the budget pays for inference too.
    machines
        What FLOP are computed on, and its price.
    unique_tokens
        Unique tokens that exist: a number, or "1T..3T".
    risk
        Minimise instead the mean regret of the worst `1 - risk` of the draws (CVaR), as in 0.95.
    params, tokens, max_params, overtrain
        Constraints; see `Constraints`.
    family
        Of `scalefit.counting.families()`; the plan then has the deployable shape nearest to it.
    discrepancy
        As for `Fit.predict`.
    **fixed
        The law's inputs beyond params and tokens.

    Raises
    ------
    QuestionError
        The law has no allocation, or the budget is too small for the constraints.
    OptionError
        A constraint, the risk or the family is unknown or out of range.
    """
    check_fit(fit)
    read, discrepancy = read_budget(budget, machines), fit.resolve(discrepancy)
    constraints = Constraints.read(params=params, tokens=tokens, max_params=max_params, overtrain=overtrain)
    unique = None if unique_tokens is None else read_amount(unique_tokens, "unique_tokens")
    with precision():
        posterior = loss_posterior(fit, unique, fixed, discrepancy)
        cost, priced = costs_of(fit, posterior, cost)
        problem = AllocationProblem(posterior, priced, read.amount(cost), constraints)
        free, best = problem.decide(risk)
        draws = problem.outcome(best)
        unconverged = problem.check_outcome(draws)
        del draws["converged"]
        waste = float(draws["wasted_compute"].mean())
        near = problem.near(best, waste)
        lost = waste - float(problem.outcome(free)["wasted_compute"].mean()) if best != free else 0.0
        wall, built = None, None
        if unique is not None:
            decide = problem.decision(risk)
            wall = data_wall_of(posterior, problem.cost, problem.log_budget, draws["loss"], decide)
            unconverged = max(unconverged, wall.unconverged)
        if family is not None:
            built = nearest_deployment(family, problem, best, draws, fit.runs.convention)
    n, one_run = float(np.exp(best)), fit.add_noise(draws["loss"], discrepancy=discrepancy)
    return Plan(
        budget=problem.budget,
        params=n,
        tokens=problem.useful_tokens(n),
        loss=float(draws["loss"].mean()),
        draws=draws | {"loss_one_run": one_run, "D_opt": problem.tokens(draws["N_opt"])},
        near_optimal=near,
        cost=cost,
        machines=read.machines,
        constraints=constraints,
        cost_of_constraints=lost,
        data_wall=wall,
        assumptions=Assumptions.of(fit, cost, unique, discrepancy, unconverged),
        deployment=built,
    )
