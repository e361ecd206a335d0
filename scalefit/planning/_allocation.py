"""One budget to be allocated: its plan, free and under constraints, what that costs, and the sizes that are as good."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from scalefit.costs.cost import Cost
from scalefit.errors import QuestionError
from scalefit.frontier.optimum import check_optimum
from scalefit.planning._loss_posterior import LossPosterior
from scalefit.planning._regret import Regret, cvar
from scalefit.planning._solve import POINTS, minimise
from scalefit.planning.constraints import Constraints
from scalefit.units import format_flops

NEAR_OPTIMAL = 0.01  # of the budget
SEARCH = np.log(1e3)  # the near-optimal range is sought within this factor of the plan
ROUNDS = 2  # of grids that close in on its ends


@dataclass(frozen=True, eq=False)
class AllocationProblem:
    """A budget, what it pays for, and the posterior of the loss; for use inside `precision()`. Sizes are ln N.

    Parameters
    ----------
    posterior
        Of the loss.
    cost, budget
        What the budget pays for, its numbers known or draws (draw,), and how much it is in that cost's unit.
    constraints
        What is not free to choose.
    """

    posterior: LossPosterior
    cost: Cost
    budget: float
    constraints: Constraints

    @property
    def log_budget(self) -> Float[Array, ""]:
        """ln of the budget."""
        return jnp.log(jnp.asarray(self.budget, dtype=float))

    def tokens(self, params: Any) -> Any:
        """Training tokens that the budget leaves room for."""
        return self.cost.tokens_for(self.budget, params)

    def useful_tokens(self, params: float) -> float:
        """The same on average, up to a hard data wall, beyond which further tokens would buy nothing."""
        return min(float(self.mean_cost.tokens_for(self.budget, params)), self.posterior.most_useful_tokens)

    @property
    def mean_cost(self) -> Cost:
        """What the budget pays for, on average."""
        return self.cost.averaged()

    @cached_property
    def regret(self) -> Regret:
        """What not knowing the optimum of the budget costs."""
        return Regret(self.posterior, self.cost, float(self.log_budget))

    def outcome(self, log_n: float) -> dict[str, Shaped[np.ndarray, " draw"]]:
        """`Regret.outcome` of a size, with the N_opt of every draw."""
        return self.regret.outcome(log_n) | {"N_opt": np.exp(self.regret.optimum.log_n)}

    def decide(self, risk: float | None) -> tuple[float, float]:
        """Choose the size.

        Parameters
        ----------
        risk
            Level of the conditional value at risk that is minimised instead of the expected loss.

        Returns
        -------
        tuple
            ln N of the plan without constraints (of least expected loss), and of the plan under them.

        Raises
        ------
        QuestionError
            The search did not converge, or the budget is too small for the constraints.
        """
        found = self.regret.best_log_params()
        free = float(found.x)
        if not (np.isfinite(free) and found.converged):
            raise QuestionError(
                f"the search for the least expected loss for {self.describe_budget()} did not converge. Check the "
                "fit's health."
            )
        low, high = self.constraints.bounds(free, self.mean_cost, self.budget)
        if risk is None or low == high:
            return free, float(np.clip(free, low, high))
        best = self.regret.optimum.loss

        def tail(points: np.ndarray) -> np.ndarray:
            return np.array([cvar(found - best, risk) for found in self.regret.losses(points).T])

        return free, minimise(tail, max(low, free - SEARCH), min(high, free + SEARCH))

    def decision(self, risk: float | None) -> Callable[[LossPosterior], Float[Array, ""]]:
        """From another loss posterior to ln N of its plan for the same budget and constraints."""
        return lambda other: jnp.asarray(replace(self, posterior=other).decide(risk)[1], dtype=float)

    def near(self, best: float, waste: float) -> tuple[float, float]:
        """The first N on each side of the plan at which expected waste is `NEAR_OPTIMAL` more than at the plan.

        Parameters
        ----------
        best, waste
            ln N of the plan, and its expected waste.
        """
        low, high = self.constraints.bounds(best, self.mean_cost, self.budget)
        most = waste + NEAR_OPTIMAL
        ends = [[best, best - min(best - low, SEARCH)], [best, best + min(high - best, SEARCH)]]
        shares = np.linspace(0.0, 1.0, POINTS // 2) ** 2  # the nearer, the denser
        for _ in range(ROUNDS):
            points = np.array([inner + shares * (outer - inner) for inner, outer in ends])
            excess = self.regret.expected_waste(points.ravel()).reshape(points.shape) - most
            last = [max(1, int(np.argmax(side > 0))) if (side > 0).any() else len(side) - 1 for side in excess]
            ends = [[each[k - 1], each[k]] for each, k in zip(points, last, strict=True)]
            shares = np.linspace(0.0, 1.0, POINTS // 2)
        found = [
            inner + np.clip(-side[k - 1] / max(side[k] - side[k - 1], np.finfo(float).tiny), 0.0, 1.0) * (outer - inner)
            for (inner, outer), side, k in zip(ends, excess, last, strict=True)
        ]
        return float(np.exp(found[0])), float(np.exp(found[1]))

    def check_outcome(self, draws: dict[str, np.ndarray]) -> float:
        """`check_optimum` of an `outcome`; raises `QuestionError` as that does, and where a number is not finite."""
        best, what = draws["N_opt"], self.describe_budget()
        lost = check_optimum(best, self.tokens(best), draws["converged"], what=what, remedy="Use a larger budget")
        if bad := [name for name, values in draws.items() if not np.isfinite(values).all()]:
            raise QuestionError(f"{bad[0]} for {what} is not finite in every draw. Check the fit's health.")
        return lost

    def describe_budget(self) -> str:
        """In words, as in "a budget of 1e22 FLOP"."""
        unit = self.cost.unit
        return f"a budget of {f'{format_flops(self.budget)} FLOP' if unit == 'FLOP' else f'{unit}{self.budget:g}'}"
