"""One budget to be allocated: its plan, free and within limits, what that costs, and the sizes that are as good."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit.costs.cost import Cost
from scalefit.errors import QuestionError
from scalefit.frontier.optimum import check_optimum
from scalefit.planning._loss_posterior import LossPosterior
from scalefit.planning._regret import Optimum, bayes_log_params, cvar, informed, losses, price
from scalefit.planning._solve import minimise
from scalefit.planning.constraints import Constraints
from scalefit.units import format_flops

NEAR_OPTIMAL = 0.01  # of the budget
SEARCH = np.log(1e3)  # the near-optimal range is sought within this factor of the plan


@dataclass(frozen=True, eq=False)
class Choice:
    """A budget in the units of a cost, and what may be asked of it; sizes are ln N. For use inside `precision()`."""

    belief: LossPosterior
    cost: Cost
    budget: float
    constraints: Constraints

    @property
    def log_budget(self) -> Array:
        """ln of the budget."""
        return jnp.log(jnp.asarray(self.budget, dtype=float))

    def tokens(self, params: Any) -> Any:
        """Training tokens that the budget leaves room for."""
        return self.cost.tokens_for(self.budget, params)

    def useful_tokens(self, params: float) -> float:
        """The same, as far as they teach anything: behind a hard wall the rest would buy nothing."""
        return min(float(self.tokens(params)), self.belief.most_useful_tokens)

    @cached_property
    def optimum(self) -> Optimum:
        """What every draw would do with the budget, each (draw,)."""
        return informed(self.belief, self.cost, self.log_budget)

    def price(self, log_n: float) -> dict[str, np.ndarray]:
        """`price` of a size, name -> (draw,), with `converged`, and `N_opt`."""
        found = price(self.belief, self.cost, self.optimum, jnp.asarray(log_n, dtype=float), self.log_budget)
        return {name: np.asarray(values) for name, values in found.items()} | {"N_opt": np.exp(self.optimum.log_n)}

    def decide(self, risk: float | None) -> tuple[float, float]:
        """ln N of the plan without limits, and within them."""
        found = bayes_log_params(self.belief, self.cost, self.log_budget)
        free = float(found.x)
        if not (np.isfinite(free) and found.converged):
            raise QuestionError(
                f"the search for the least expected loss for {self.describe_budget()} did not converge. Check the fit's "
                "health."
            )
        low, high = self.constraints.hold(free, self.cost, self.budget)
        if risk is None or low == high:
            return free, float(np.clip(free, low, high))
        best = np.asarray(self.optimum.loss)

        def tail(points: np.ndarray) -> np.ndarray:
            found = np.asarray(losses(self.belief, self.cost, jnp.asarray(points), self.log_budget))
            return np.array([cvar(regret, risk) for regret in found - best])

        return free, minimise(tail, max(low, free - SEARCH), min(high, free + SEARCH))

    def under(self, risk: float | None) -> Callable[[LossPosterior], Array]:
        """ln N of the plan that another belief would make of the same budget and limits."""
        return lambda belief: jnp.asarray(replace(self, belief=belief).decide(risk)[1], dtype=float)

    def near(self, best: float, waste: float) -> tuple[float, float]:
        """The N on each side of the plan where expected waste is `NEAR_OPTIMAL` more than at the plan."""
        from scipy.optimize import brentq

        def excess(log_n: float) -> float:
            return float(self.price(log_n)["wasted_compute"].mean()) - waste - NEAR_OPTIMAL

        def end(sign: float, furthest: float) -> float:
            inner, reach = best, 0.25
            while excess(outer := float(np.clip(best + sign * reach, low, high))) < 0:
                if outer == furthest or reach > SEARCH:
                    return outer
                inner, reach = outer, 2 * reach
            return outer if inner == outer else float(brentq(excess, inner, outer, xtol=1e-4))

        low, high = self.constraints.hold(best, self.cost, self.budget)
        return float(np.exp(end(-1.0, low))), float(np.exp(end(1.0, high)))

    def check_optimum(self, draws: dict[str, np.ndarray]) -> float:
        """`check_optimum` of what `price` gives of the plan; raises `QuestionError` as that does."""
        optima, converged = draws["N_opt"], draws["converged"]
        what, remedy = self.describe_budget(), "Use a larger budget"
        lost = check_optimum(optima, self.tokens(optima), converged, what=what, remedy=remedy)
        if bad := [name for name, values in draws.items() if not np.isfinite(values).all()]:
            raise QuestionError(f"{bad[0]} for {what} is not finite in every draw. Check the fit's health.")
        return lost

    def describe_budget(self) -> str:
        """In words, as in "a budget of 1e22 FLOP"."""
        unit = self.cost.unit
        return f"a budget of {f'{format_flops(self.budget)} FLOP' if unit == 'FLOP' else f'{unit}{self.budget:g}'}"
