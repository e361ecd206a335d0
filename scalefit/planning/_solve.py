"""Solvers of one draw of the loss: the best size at a budget, the least budget and the tokens for a loss."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from scalefit._aot import cached_jit
from scalefit._roots import Root, find_root
from scalefit.costs.cost import Cost
from scalefit.errors import QuestionError
from scalefit.frontier.optimum import LogLoss, WithDiscrepancy, elasticities, optimum_along
from scalefit.planning._loss_posterior import LossPosterior

FURTHEST = 33.0  # budgets are sought up to e^33 times that of ten billion parameters on 200 billion tokens
LARGEST = 85.0  # in logarithms: 8e36, the end of every search, and inside float32
CLOSE = 1e-4  # in ln of a budget, where a discrepancy leaves few digits to be had and each step is dear
POINTS = 33  # of one round of a search
TOKEN_RATIOS = (-2.5, 14.0, 331)  # ln D/N from .08 to a million, in steps of .05
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
    high = jnp.full_like(log_budget, LARGEST)
    free = optimum_along(draw.fresh_loss, tokens_along(cost, log_budget), high)
    if draw.wall is None:
        return free
    at_wall = _root(lambda log_n: log_budget - jnp.log(cost.total(jnp.exp(log_n), draw.wall)), 0 * high, high, free.x)
    return Root(jnp.maximum(free.x, at_wall.x), free.converged & at_wall.converged)


def least_log_budget(
    draw: LossPosterior, cost: Cost, target: Scalar, start: Scalar, high: Scalar, low: Scalar | None = None
) -> Root:
    """ln of the least budget that reaches a loss when spent at the optimum of one draw.

    Parameters
    ----------
    draw, cost
        The loss of one draw, and what a budget pays for.
    target
        The loss, nats per token.
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

    close = CLOSE if isinstance(draw.fresh_loss, WithDiscrepancy) else 0.0
    return find_root(excess_and_slope, start - 30.0 if low is None else low, high, start, close)


def log_tokens_for(loss: LogLoss, log_n: Scalar, target: Scalar) -> Root:
    """ln D at which exp(log_n) parameters reach the loss `target` in one draw; infinite where they never do."""
    high = jnp.full_like(target, LARGEST)
    found = _root(lambda log_d: loss(log_n, log_d) - target, jnp.zeros_like(high), high, 0.35 * high)
    return found._replace(x=jnp.where(loss(log_n, high) > target, jnp.inf, found.x))


def first_log_tokens_for(losses: LogLoss, log_n: Scalar, level: Float[Array, " draw"]) -> Float[Array, " draw"]:
    """ln D at which exp(log_n) parameters first reach a loss in every draw with discrepancy.

    Such a loss need not fall everywhere. It is looked at on a grid of tokens per parameter that all draws share, and
    taken as straight between two points.

    Parameters
    ----------
    losses
        (ln N, ln D) -> the loss of every draw.
    log_n
        The size.
    level
        The loss to be reached, nats per token.

    Returns
    -------
    array (draw,)
        Infinite where a draw never reaches it.
    """
    grid = log_n + jnp.linspace(*TOKEN_RATIOS)
    found = jax.vmap(lambda log_d: losses(log_n, log_d))(grid)
    reached = found <= level
    last = jnp.argmax(reached, axis=0)
    first = jnp.maximum(last - 1, 0)
    before, after = (jnp.take_along_axis(found, at[None], axis=0)[0] for at in (first, last))
    share = jnp.where(last > 0, (before - level) / (before - after), 0.0)
    return jnp.where(reached.any(axis=0), grid[first] + share * (grid[last] - grid[first]), jnp.inf)


def balanced_log_tokens(loss: LogLoss, log_n: Scalar) -> Root:
    """ln D for which exp(log_n) parameters are the optimum of their own 6 N D: e_N = e_D."""

    def gap(log_d: Array) -> Array:
        e_n, e_d = elasticities(loss, log_n, log_d)
        return jnp.log(e_d) - jnp.log(e_n)

    high = jnp.full_like(log_n, LARGEST)
    return _root(gap, jnp.zeros_like(log_n), high, log_n + 3.0)


def minimise(objective: Callable[[np.ndarray], np.ndarray], low: float, high: float, rounds: int = 5) -> float:
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

    Returns
    -------
    float
        The best point of the last grid.

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
        best = points[np.nanargmin(values)]
        step = points[1] - points[0]
        low, high = max(low, best - step), min(high, best + step)
    return float(best)


def _root(f: Callable[[Array], Array], low: Scalar, high: Scalar, start: Scalar) -> Root:
    return find_root(lambda u: jax.jvp(f, (u,), (jnp.ones_like(u),)), low, high, start)
