"""What should I train? The one allocation at a budget that minimises posterior expected loss, and its price.

Let L_s(N) be the loss of draw s at N and D = C/6N, L*_s its optimum, and C'_s the least compute that reaches
L_s(N) when spent at that draw's optimum. Then regret is L_s(N) - L*_s(C) in nats, and wasted compute 1 - C'_s/C.
For the Chinchilla form C'_s/C is [(a m^-alpha + b m^beta)]^(-1/gamma), m = N/N*_s, gamma = alpha beta/(alpha + beta);
here it is solved for numerically, so that any law will do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit._numerics import precision
from scalefit.counting import FLOPS_PER_PARAM_TOKEN, share_6nd
from scalefit.errors import PlanError
from scalefit.fitted import Fit
from scalefit.frontier import (
    equivalent_log_flops,
    log_loss_of,
    optimal_log_params,
    planning_draws,
)
from scalefit.laws import Law
from scalefit.units import positive_budgets

if TYPE_CHECKING:
    import pandas as pd

NEAR_OPTIMAL = 0.01  # of compute
SEARCH = np.log(1e3)  # the near-optimal range is sought within this factor of the plan


@dataclass(frozen=True, eq=False)
class Plan:
    """One recommended allocation at one budget, and what it may cost to be wrong.

    budget : FLOP. params, tokens : what to train. loss : posterior expected loss there, nats per token.
    draws : name -> (draw,): `loss` (kind mean), `loss_one_run` (kind run), `regret` (nats), `wasted_compute`
        (fraction of the budget), and the optimum of each draw, `N_opt` and `D_opt`.
    near_optimal : smallest and largest N that waste at most 1 % of compute more than the plan, on average.
    compute_range : compute of the smallest and largest run in the data, FLOP.
    """

    budget: float
    params: float
    tokens: float
    loss: float
    draws: dict[str, np.ndarray]
    near_optimal: tuple[float, float]
    compute_range: tuple[float, float]

    @property
    def times_beyond(self) -> float:
        """The budget in multiples of the largest run's compute: above 1 the plan is an extrapolation."""
        return self.budget / self.compute_range[1]

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
        """Posterior expected share of the budget that a perfectly informed plan would save."""
        return float(self.draws["wasted_compute"].mean())

    def summary(self, prob: float = 0.9) -> "pd.DataFrame":
        """Rows: loss, regret, wasted compute, the optimum. Columns: mean, median, lower, upper."""
        from scalefit.tables import plan_table

        return plan_table(self, prob)


def plan(fit: Fit, budget: Any, **fixed: Any) -> Plan:
    """The allocation along C = 6 N D that minimises posterior expected loss at `budget` FLOP.

    fixed : the law's inputs beyond params and tokens, such as unique_tokens. Never the mean of the optima. Intervals
    carry parameter uncertainty (and noise, for one run), not the law's own error: read `times_beyond` with them.
    Raises `PlanError` where the law has no allocation.
    """
    flops = positive_budgets(budget)
    if flops.size != 1:
        raise PlanError("a plan is for one budget; ask `fit.frontier` for several.")
    fit.frontier(flops, **fixed)  # refuses a law without an allocation, and a budget without an optimum
    with precision():
        law, theta = fit.model.law, planning_draws(fit.model.law, fit.theta, fixed)
        log_c = jnp.log(jnp.asarray(flops[0], dtype=float))
        best = float(_bayes_log_params(law, theta, log_c))
        draws = {name: np.asarray(values) for name, values in _price(law, theta, best, log_c).items()}
        near = _near_optimal(lambda log_n: float(_expected_waste(law, theta, log_n, log_c)), best)
    params, tokens = float(np.exp(best)), float(share_6nd(flops[0], np.exp(best)))
    one_run = fit.observed(draws["loss"])
    draws |= {"loss_one_run": one_run, "D_opt": share_6nd(flops[0], draws["N_opt"])}
    expected = float(draws["loss"].mean())
    return Plan(float(flops[0]), params, tokens, expected, draws, near, fit.compute_range)


@partial(jax.jit, static_argnames="law")
def _bayes_log_params(law: Law, theta: dict[str, Array], log_c: Array) -> Array:
    """ln N that minimises the mean over draws of the loss."""

    def expected_loss(log_n: Array, log_d: Array) -> Array:
        return jax.vmap(lambda draw: log_loss_of(law, draw)(log_n, log_d))(theta).mean()

    return optimal_log_params(expected_loss, log_c)


@partial(jax.jit, static_argnames="law")
def _price(law: Law, theta: dict[str, Array], log_n: Array, log_c: Array) -> dict[str, Array]:
    """Loss, regret and wasted compute of training exp(log_n) parameters, and N_opt: each (draw,)."""

    def one(draw: dict[str, Array]) -> dict[str, Array]:
        loss = log_loss_of(law, draw)
        log_k = log_c - jnp.log(FLOPS_PER_PARAM_TOKEN)
        best = optimal_log_params(loss, log_c)
        here = loss(log_n, log_k - log_n)
        regret = jnp.maximum(here - loss(best, log_k - best), 0.0)
        saved = equivalent_log_flops(loss, here, log_c)
        return {"loss": here, "regret": regret, "wasted_compute": -jnp.expm1(saved - log_c), "N_opt": jnp.exp(best)}

    return jax.vmap(one)(theta)


@partial(jax.jit, static_argnames="law")
def _expected_waste(law: Law, theta: dict[str, Array], log_n: Array, log_c: Array) -> Array:
    return _price(law, theta, log_n, log_c)["wasted_compute"].mean()


def _near_optimal(waste: Callable[[float], float], best: float) -> tuple[float, float]:
    """The N on each side of the plan where expected waste is `NEAR_OPTIMAL` more than at the plan."""
    from scipy.optimize import brentq

    allowed = waste(best) + NEAR_OPTIMAL

    def end(reach: float) -> float:
        def excess(log_n: float) -> float:
            return waste(log_n) - allowed

        return best + reach if excess(best + reach) < 0 else brentq(excess, best, best + reach, xtol=1e-4)

    return float(np.exp(end(-SEARCH))), float(np.exp(end(SEARCH)))
