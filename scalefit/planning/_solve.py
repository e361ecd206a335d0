"""How much does a loss cost? The cheapest plan that reaches a target, at even odds and with confidence."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit._aot import cached_jit
from scalefit._roots import Root, find_root
from scalefit.costs.cost import Cost
from scalefit.frontier.optimum import LogLoss, WithDiscrepancy, elasticities, optimum_along
from scalefit.planning._loss_posterior import LossPosterior

if TYPE_CHECKING:
    pass


FURTHEST = 33.0  # budgets are sought up to e^33 times that of ten billion parameters on 200 billion tokens


@cached_jit()
def loss_at(belief: LossPosterior, log_n: Array, log_d: Array) -> Array:
    """Loss of one run, (draw,)."""
    return belief.losses(log_n, log_d)


LARGEST = 85.0  # in logarithms: 8e36, the end of every search, and inside float32
CLOSE = 1e-4  # in ln of a budget, where the law's own error leaves few digits to be had and each step is dear
POINTS = 33  # of one round of a search
TOKEN_RATIOS = (-2.5, 14.0, 331)  # ln D/N from .08 to a million, in steps of .05


def tokens_along(cost: Cost, log_budget: Array) -> Callable[[Array], Array]:
    """ln N -> the ln D that the budget leaves room for."""
    return lambda log_n: cost.log_tokens_for(log_budget, log_n)


def best_log_params(draw: LossPosterior, cost: Cost, log_budget: Array) -> Root:
    """ln N that minimises the loss at a budget; one draw.

    Behind a hard wall the budget left after using every unique token goes into parameters.
    """
    high = jnp.full_like(log_budget, LARGEST)
    free = optimum_along(draw.fresh_loss, tokens_along(cost, log_budget), high)
    if draw.wall is None:
        return free
    at_wall = _root(lambda log_n: log_budget - jnp.log(cost.total(jnp.exp(log_n), draw.wall)), 0 * high, high, free.x)
    return Root(jnp.maximum(free.x, at_wall.x), free.converged & at_wall.converged)


def least_log_budget(
    draw: LossPosterior, cost: Cost, target: Array, start: Array, high: Array, low: Array | None = None
) -> Root:
    """ln of the least budget that reaches the loss `target` when spent at the optimum; `high` where none up to it does.

    One draw; none below `low`, e^-30 of the start by default. The slope is dL*/dlnC = -e_N / (dlnC/dlnN), by the
    envelope theorem: behind a wall too.
    """

    def excess_and_slope(log_budget: Array) -> tuple[Array, Array]:
        log_n = best_log_params(draw, cost, log_budget).x
        log_d = tokens_along(cost, log_budget)(log_n)
        share = jax.grad(lambda n: jnp.log(cost.total(jnp.exp(n), jnp.exp(log_d))))(log_n)
        return draw.loss(log_n, log_d) - target, -elasticities(draw.loss, log_n, log_d)[0] / share

    close = CLOSE if isinstance(draw.fresh_loss, WithDiscrepancy) else 0.0
    return find_root(excess_and_slope, start - 30.0 if low is None else low, high, start, close)


def log_tokens_for(loss: LogLoss, log_n: Array, target: Array) -> Root:
    """ln D at which exp(log_n) parameters reach the loss `target`; infinite where they never do. One draw."""
    high = jnp.full_like(target, LARGEST)
    found = _root(lambda log_d: loss(log_n, log_d) - target, jnp.zeros_like(high), high, 0.35 * high)
    return found._replace(x=jnp.where(loss(log_n, high) > target, jnp.inf, found.x))


def first_log_tokens_for(losses: LogLoss, log_n: Array, level: Array) -> Array:
    """ln D at which exp(log_n) parameters first reach the loss `level`, each (draw,); infinite where they never do.

    losses : (ln N, ln D) -> the loss of every draw, with discrepancy, which need not fall everywhere. It is looked at
    on a grid of tokens per parameter that all draws share, and taken as straight between two points.
    """
    grid = log_n + jnp.linspace(*TOKEN_RATIOS)
    found = jax.vmap(lambda log_d: losses(log_n, log_d))(grid)
    reached = found <= level
    last = jnp.argmax(reached, axis=0)
    first = jnp.maximum(last - 1, 0)
    before, after = (jnp.take_along_axis(found, at[None], axis=0)[0] for at in (first, last))
    share = jnp.where(last > 0, (before - level) / (before - after), 0.0)
    return jnp.where(reached.any(axis=0), grid[first] + share * (grid[last] - grid[first]), jnp.inf)


def balanced_log_tokens(loss: LogLoss, log_n: Array) -> Root:
    """ln D for which exp(log_n) parameters are the optimum of their own 6 N D: e_N = e_D."""

    def gap(log_d: Array) -> Array:
        e_n, e_d = elasticities(loss, log_n, log_d)
        return jnp.log(e_d) - jnp.log(e_n)

    high = jnp.full_like(log_n, LARGEST)
    return _root(gap, jnp.zeros_like(log_n), high, log_n + 3.0)


def minimise(objective: Callable[[np.ndarray], np.ndarray], low: float, high: float, rounds: int = 5) -> float:
    """Where a function of one variable is least, by grids (point,) that close in; never on an infinite value.

    Kinks and unequal scales do not matter, and every round is one call of the same shape.
    """
    for _ in range(rounds):
        points = np.linspace(low, high, POINTS)
        values = objective(points)
        best = points[np.nanargmin(values)]
        step = points[1] - points[0]
        low, high = max(low, best - step), min(high, best + step)
    return float(best)


def _root(f: Callable[[Array], Array], low: Array, high: Array, start: Array) -> Root:
    return find_root(lambda u: jax.jvp(f, (u,), (jnp.ones_like(u),)), low, high, start)
