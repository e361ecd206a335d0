"""The optima of one draw with discrepancy on budget lines of measured compute, straight in ln N and ln D."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from scalefit.costs.cost import Cost, SixND
from scalefit.costs.measured import Measured
from scalefit.counting import FLOPS_PER_PARAM_TOKEN
from scalefit.frontier.budget_lines import Optima, best_on_lines, or_smaller
from scalefit.frontier.optimum import (
    LARGEST,
    PATHS,
    RATIOS,
    Line,
    Scalar,
    WithDiscrepancy,
    best_on_line,
    log_loss_of,
    optimum_along,
)
from scalefit.laws import Law
from scalefit.model.path_grids import coordinates_of, discrepancy_at_sums


def has_straight_lines(cost: Cost) -> bool:
    """Whether the lines of all budgets are straight and parallel, so that their points are sums."""
    return isinstance(cost, SixND | Measured)


def best_on_straight_lines(
    law: Law, draw: dict[str, Any], cost: Cost, log_budgets: Float[Array, " budget"], log_wall: Scalar | None = None
) -> Optima:
    """The optima of one of `planning_draws` with discrepancy.

    Parameters
    ----------
    law, draw, cost
        Of the loss, and of a run: one draw of a `SixND` or a `Measured`.
    log_budgets
        ln of what is spent along each line.
    log_wall
        ln of the unique tokens beyond which further tokens change nothing, where there are so few.

    Notes
    -----
    Where ln C = k + p ln N + q ln D, a step of ln D/N along a line changes ln 6 N D by (p - q)/(p + q) of it.
    """
    if isinstance(cost, SixND):
        return best_on_lines(law, draw, log_budgets - jnp.log(cost.times), log_wall)
    assert isinstance(cost, Measured), "lines of other costs are curved"
    loss = log_loss_of(law, draw)
    assert isinstance(loss, WithDiscrepancy), "a draw without a path has no discrepancy"
    p, q, log_k = 1 + cost.params_power, 1 + cost.tokens_power, jnp.log(cost.training(1.0, 1.0))
    left, offsets = log_budgets - log_k, jnp.asarray(RATIOS, log_budgets.dtype)
    along = lambda left: lambda log_n: jnp.maximum((left - p * log_n) / q, 0.0)
    high = jnp.full_like(left, LARGEST)
    from_law = jax.vmap(lambda left, high: optimum_along(loss.law, along(left), high))(left, high)
    fewest = jnp.zeros_like(left) if log_wall is None else jnp.maximum((left - q * log_wall) / p, 0.0)
    start = jnp.maximum(from_law.x, fewest)
    start_d = jax.vmap(lambda left, log_n: along(left)(log_n))(left, start)
    middles = start_d - start

    def one(left: Scalar, fewest: Scalar, middle: Scalar, errors: Float[Array, " ratio"]) -> tuple[Array, ...]:
        ratios = middle + offsets
        line = Line(ratios, jnp.maximum((left - q * ratios) / (p + q), fewest), errors)
        found, least = best_on_line(loss, along(left), line)
        return found.x, least, found.converged

    rows = coordinates_of(jnp.log(FLOPS_PER_PARAM_TOKEN) + start + start_d, middles)
    errors = discrepancy_at_sums(draw[PATHS], rows, coordinates_of((p - q) / (p + q) * offsets, offsets))
    log_n, least, converged = jax.vmap(one)(left, fewest, middles, errors)
    if log_wall is not None:
        log_n, least = or_smaller(loss, log_wall, fewest, (log_n, least))
    return log_n, least, converged & from_law.converged


def losses_on_line(
    law: Law, draw: dict[str, Any], cost: Cost, log_budget: Scalar, log_n: Float[Array, " point"]
) -> Float[Array, " point"]:
    """Losses with discrepancy of one of `planning_draws` at sizes on the line of a budget."""
    loss = log_loss_of(law, draw)
    assert isinstance(loss, WithDiscrepancy), "a draw without a path has no discrepancy"
    log_d = jax.vmap(lambda u: cost.log_tokens_for(log_budget, u))(log_n)
    at = coordinates_of(jnp.log(FLOPS_PER_PARAM_TOKEN) + log_n + log_d, log_d - log_n)
    middle = at.mean(axis=0, keepdims=True)
    errors = discrepancy_at_sums(draw[PATHS], middle, at - middle)[0]
    return loss.joined(jax.vmap(loss.law)(log_n, log_d), errors)
