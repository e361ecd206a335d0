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
from scalefit.planning._regret import Optimum, bayes_log_params, cvar, losses, optima, outcomes
from scalefit.planning._solve import minimise
from scalefit.planning.constraints import Constraints
from scalefit.units import format_flops

NEAR_OPTIMAL = 0.01  # of the budget
SEARCH = np.log(1e3)  # the near-optimal range is sought within this factor of the plan


@dataclass(frozen=True, eq=False)
class AllocationProblem:
    """A budget, what it pays for, and the posterior of the loss; for use inside `precision()`. Sizes are ln N.

    Parameters
    ----------
    posterior
        Of the loss.
    cost, budget
        What the budget pays for, and how much it is in that cost's unit.
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
        """The same, up to a hard data wall, beyond which further tokens would buy nothing."""
        return min(float(self.tokens(params)), self.posterior.most_useful_tokens)

    @cached_property
    def optimum(self) -> Optimum:
        """The optimum of every draw."""
        return optima(self.posterior, self.cost, self.log_budget)

    def outcome(self, log_n: float) -> dict[str, Shaped[np.ndarray, " draw"]]:
        """`outcomes` of a size, with the N_opt of every draw."""
        at = jnp.asarray(log_n, dtype=float)
        found = outcomes(self.posterior, self.cost, self.optimum, at, self.log_budget)
        return {name: np.asarray(values) for name, values in found.items()} | {"N_opt": np.exp(self.optimum.log_n)}

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
        found = bayes_log_params(self.posterior, self.cost, self.log_budget)
        free = float(found.x)
        if not (np.isfinite(free) and found.converged):
            raise QuestionError(
                f"the search for the least expected loss for {self.describe_budget()} did not converge. Check the "
                "fit's health."
            )
        low, high = self.constraints.bounds(free, self.cost, self.budget)
        if risk is None or low == high:
            return free, float(np.clip(free, low, high))
        best = np.asarray(self.optimum.loss)

        def tail(points: np.ndarray) -> np.ndarray:
            found = np.asarray(losses(self.posterior, self.cost, jnp.asarray(points), self.log_budget))
            return np.array([cvar(regret, risk) for regret in found - best])

        return free, minimise(tail, max(low, free - SEARCH), min(high, free + SEARCH))

    def decision(self, risk: float | None) -> Callable[[LossPosterior], Float[Array, ""]]:
        """From another loss posterior to ln N of its plan for the same budget and constraints."""
        return lambda other: jnp.asarray(replace(self, posterior=other).decide(risk)[1], dtype=float)

    def near(self, best: float, waste: float) -> tuple[float, float]:
        """The N on each side of the plan at which expected waste is `NEAR_OPTIMAL` more than at the plan.

        Parameters
        ----------
        best
            ln N of the plan.
        waste
            Its expected share of wasted compute.
        """
        from scipy.optimize import brentq

        def excess(log_n: float) -> float:
            return float(self.outcome(log_n)["wasted_compute"].mean()) - waste - NEAR_OPTIMAL

        def end(sign: float, furthest: float) -> float:
            inner, reach = best, 0.25
            while excess(outer := float(np.clip(best + sign * reach, low, high))) < 0:
                if outer == furthest or reach > SEARCH:
                    return outer
                inner, reach = outer, 2 * reach
            return outer if inner == outer else float(brentq(excess, inner, outer, xtol=1e-4))

        low, high = self.constraints.bounds(best, self.cost, self.budget)
        return float(np.exp(end(-1.0, low))), float(np.exp(end(1.0, high)))

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
