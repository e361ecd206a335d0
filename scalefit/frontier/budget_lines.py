"""The optima of one draw on the lines C = 6 N D of many budgets."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from scalefit.counting import FLOPS_PER_PARAM_TOKEN
from scalefit.frontier.optimum import (
    PATHS,
    RATIOS,
    Line,
    Scalar,
    WithDiscrepancy,
    best_on_line,
    log_loss_of,
    optimal_log_params,
)
from scalefit.laws import Law
from scalefit.model.path_grids import discrepancy_on_lines

Optima = tuple[Float[Array, " budget"], Float[Array, " budget"], Bool[Array, " budget"]]
"""ln N, the loss there, and whether the search for it converged."""

FINER = 13  # sizes of the second grid beside a data wall


def best_of_law(law: Law, draw: dict[str, Any], log_flops: Float[Array, " budget"]) -> Optima:
    """The optima of one of `planning_draws` by the law alone."""
    loss = log_loss_of(law, draw)
    found = jax.vmap(partial(optimal_log_params, loss))(log_flops)
    log_d = log_flops - jnp.log(FLOPS_PER_PARAM_TOKEN) - found.x
    return found.x, jax.vmap(loss)(found.x, log_d), found.converged


def best_on_lines(
    law: Law, draw: dict[str, Any], log_flops: Float[Array, " budget"], log_wall: Scalar | None = None
) -> Optima:
    """The optima of one of `planning_draws` with discrepancy.

    Parameters
    ----------
    law, draw
        Of the loss.
    log_flops
        ln C of the lines.
    log_wall
        ln of the unique tokens beyond which further tokens change nothing, where there are so few.
    """
    loss = log_loss_of(law, draw)
    assert isinstance(loss, WithDiscrepancy), "a draw without a path has no discrepancy"
    log_k, offsets = log_flops - jnp.log(FLOPS_PER_PARAM_TOKEN), jnp.asarray(RATIOS, log_flops.dtype)
    from_law = jax.vmap(partial(optimal_log_params, loss.law))(log_flops)
    fewest = jnp.zeros_like(log_k) if log_wall is None else jnp.maximum(log_k - log_wall, 0.0)
    middles = log_k - 2 * jnp.maximum(from_law.x, fewest)

    def one(log_k: Scalar, fewest: Scalar, middle: Scalar, errors: Float[Array, " ratio"]) -> tuple[Array, ...]:
        ratios = middle + offsets
        line = Line(ratios, jnp.maximum(0.5 * (log_k - ratios), fewest), errors)
        found, least = best_on_line(loss, lambda log_n: log_k - log_n, line)
        return found.x, least, found.converged

    errors = discrepancy_on_lines(draw[PATHS], log_flops, middles, offsets)
    log_n, least, converged = jax.vmap(one)(log_k, fewest, middles, errors)
    if log_wall is not None:
        log_n, least = or_smaller(loss, log_wall, fewest, (log_n, least))
    return log_n, least, converged & from_law.converged


def or_smaller(
    loss: WithDiscrepancy,
    log_wall: Scalar,
    most: Float[Array, " budget"],
    best: tuple[Float[Array, " budget"], Float[Array, " budget"]],
) -> tuple[Float[Array, " budget"], Float[Array, " budget"]]:
    """A size below exp(most), on all unique tokens, where it is better than the `best` size and loss of a budget."""

    def losses_at(log_n: Float[Array, " size"], high: Float[Array, "*budget"]) -> Float[Array, "*budget size"]:
        errors = jax.vmap(loss.discrepancy, (0, None))(log_n, log_wall)
        losses = loss.joined(jax.vmap(lambda u: loss.law(u, log_wall))(log_n), errors)
        return jnp.where(log_n <= high[..., None], losses, jnp.inf)

    coarse = most.max() + jnp.asarray(RATIOS[0] - RATIOS, log_wall.dtype) / 2
    step = coarse[0] - coarse[1]
    middle = coarse[losses_at(coarse, most).argmin(axis=1)]
    # The minimum may lie between the wall and the first size below it, so that the second grid ends at the wall.
    low, high = middle - step, jnp.minimum(middle + step, most)
    fine = low[:, None] + (high - low)[:, None] * jnp.linspace(0.0, 1.0, FINER, dtype=log_wall.dtype)
    log_n, least = jax.vmap(_vertex)(fine, jax.vmap(losses_at)(fine, high))
    return jnp.where(least < best[1], log_n, best[0]), jnp.minimum(least, best[1])


def _vertex(log_n: Float[Array, " size"], losses: Float[Array, " size"]) -> tuple[Scalar, Scalar]:
    """The least of losses on an even grid, by a parabola through three points where it lies inside."""
    row = losses.argmin()
    inner = jnp.clip(row, 1, len(losses) - 2)
    before, middle, after = (losses[inner + step] for step in (-1, 0, 1))
    bend, tilt = before - 2 * middle + after, before - after
    inside = jnp.isfinite(bend) & (bend > 0) & (row == inner)
    bend = jnp.where(inside, bend, 1.0)
    vertex = log_n[row] + jnp.where(inside, (log_n[1] - log_n[0]) * tilt / (2 * bend), 0.0)
    return vertex, losses[row] - jnp.where(inside, tilt**2 / (8 * bend), 0.0)
