"""Solvers of one draw of the loss: the best size at a budget, the least budget and the tokens for a loss."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from scalefit._aot import cached_jit
from scalefit._roots import Root, find_root
from scalefit.costs.cost import Cost
from scalefit.costs.measured import Measured
from scalefit.errors import QuestionError
from scalefit.frontier.optimum import LARGEST, LogLoss, best_along, elasticities, optimum_along
from scalefit.planning._loss_posterior import LossPosterior

FURTHEST = 33.0  # budgets are sought up to e^33 times that of ten billion parameters on 200 billion tokens
POINTS = 33  # of one round of a search
Scalar = Float[Array, ""]


@cached_jit()
def loss_at(posterior: LossPosterior, log_n: Scalar, log_d: Scalar) -> Float[Array, " draw"]:
    """Expected loss of one run in every draw."""
    return posterior.losses(log_n, log_d)


def tokens_along(cost: Cost, log_budget: Scalar) -> Callable[[Array], Array]:
    """ln N -> the ln D that the budget leaves room for."""
    return lambda log_n: cost.log_tokens_for(log_budget, log_n)


def best_log_params(draw: LossPosterior, cost: Cost, log_budget: Scalar) -> Root:
    """ln N that minimises the loss of one draw at a budget.

    Beyond a hard data wall, the budget left after training on every unique token goes into parameters.
    """
    high, along = jnp.full_like(log_budget, LARGEST), tokens_along(cost, log_budget)
    if draw.wall is None:
        return optimum_along(draw.fresh_loss, along, high)
    law = optimum_along(draw.law_only.fresh_loss, along, high)
    spent = lambda log_n: log_budget - jnp.log(cost.total(jnp.exp(log_n), draw.wall))
    at_wall = _root(spent, 0 * high, high, law.x)
    if draw.law_only is draw:
        return Root(jnp.maximum(law.x, at_wall.x), law.converged & at_wall.converged)
    # More parameters on fewer tokens than there are; or fewer, on all of them, than the budget pays for.
    loss, all_tokens = draw.with_discrepancy, jnp.log(draw.wall)
    fewer, all_used = best_along(loss, lambda log_n: all_tokens + 0 * log_n, at_wall.x, (0 * high, at_wall.x))
    more, some_used = best_along(loss, along, jnp.maximum(law.x, at_wall.x), (at_wall.x, high))
    better = lambda a, b: jnp.where(all_used < some_used, a, b)
    converged = better(fewer.converged, more.converged)
    return Root(better(fewer.x, more.x), converged & law.converged & at_wall.converged)


def least_log_budget(
    draw: LossPosterior, cost: Cost, target: Scalar, start: Scalar, high: Scalar, low: Scalar | None = None
) -> Root:
    """ln of the least budget that reaches a loss when spent at the optimum of one draw by the law alone.

    Parameters
    ----------
    draw, cost
        The loss of one draw, and what a budget pays for.
    target
        The loss.
    start
        ln of a budget, where to look first.
    high, low
        ln of the largest and the smallest budget; the smallest is e^-30 of the start by default.

    Returns
    -------
    Root
        `high` where no budget up to it reaches the loss.

    Notes
    -----
    The slope is dL*/dlnC = -e_N / (dlnC/dlnN), by the envelope theorem, with a data wall too.
    """

    def excess_and_slope(log_budget: Array) -> tuple[Array, Array]:
        log_n = best_log_params(draw, cost, log_budget).x
        log_d = tokens_along(cost, log_budget)(log_n)
        share = jax.grad(lambda n: jnp.log(cost.total(jnp.exp(n), jnp.exp(log_d))))(log_n)
        return draw.loss(log_n, log_d) - target, -elasticities(draw.loss, log_n, log_d)[0] / share

    return find_root(excess_and_slope, start - 30.0 if low is None else low, high, start)


def log_tokens_for(loss: LogLoss, log_n: Scalar, target: Scalar) -> Root:
    """ln D at which exp(log_n) parameters reach the loss `target` in one draw; infinite where they never do."""
    high = jnp.full_like(target, LARGEST)
    found = _root(lambda log_d: loss(log_n, log_d) - target, jnp.zeros_like(high), high, 0.35 * high)
    return found._replace(x=jnp.where(loss(log_n, high) > target, jnp.inf, found.x))


def log_price_ratio(compute: Cost) -> Any:
    """ln of dlnC/dlnN over dlnC/dlnD, 0 but for `Measured`: what an e-fold of N costs in e-folds of D."""
    if not isinstance(compute, Measured):
        return 0.0
    return jnp.log((1 + compute.params_power) / (1 + compute.tokens_power))


def balanced_log_tokens(loss: LogLoss, log_n: Scalar, steeper: Any) -> Root:
    """ln D for which exp(log_n) parameters are the optimum of their own compute: e_N = e_D exp(steeper)."""

    def gap(log_d: Array) -> Array:
        e_n, e_d = elasticities(loss, log_n, log_d)
        return jnp.log(e_d) + steeper - jnp.log(e_n)

    high = jnp.full_like(log_n, LARGEST)
    return _root(gap, jnp.zeros_like(log_n), high, log_n + 3.0)


def minimise(
    objective: Callable[[np.ndarray], np.ndarray], low: float, high: float, rounds: int = 5, smooth: bool = False
) -> float:
    """Where a function of one variable is least, by grids that close in.

    Kinks and unequal scales do not matter, and every round is one call of the same shape.

    Parameters
    ----------
    objective
        From points (point,) to values (point,), which may be infinite or NaN.
    low, high
        The first grid.
    rounds
        How many grids.
    smooth
        Whether it has no kinks.

    Returns
    -------
    float
        The best point of the last grid; of a smooth function the vertex of the parabola through it and its neighbours.

    Raises
    ------
    QuestionError
        No value is a number.
    """
    for _ in range(rounds):
        points = np.linspace(low, high, POINTS)
        values = objective(points)
        if np.isnan(values).all():
            raise QuestionError("no size gives a finite answer in the draws of this fit. Check the fit's health.")
        row = int(np.nanargmin(values))
        best, step = points[row], points[1] - points[0]
        low, high = max(low, best - step), min(high, best + step)
    if smooth and 0 < row < POINTS - 1:
        before, middle, after = values[row - 1 : row + 2]
        bend = before - 2 * middle + after
        best += 0.5 * step * (before - after) / bend if 0 < bend < np.inf else 0.0
    return float(best)


def _root(f: Callable[[Array], Array], low: Scalar, high: Scalar, start: Scalar) -> Root:
    return find_root(lambda u: jax.jvp(f, (u,), (jnp.ones_like(u),)), low, high, start)
