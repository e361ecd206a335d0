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
        found = best_on_line(loss, lambda log_n: log_k - log_n, line)
        return found.x, loss(found.x, jnp.minimum(log_k - found.x, log_k - fewest)), found.converged

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
    below = jnp.asarray(RATIOS[0] - RATIOS, log_wall.dtype) / 2
    log_n = most.max() + below
    errors = jax.vmap(loss.discrepancy, (0, None))(log_n, log_wall)
    losses = loss.joined(jax.vmap(lambda u: loss.law(u, log_wall))(log_n), errors)
    allowed = jnp.where(log_n <= most[:, None], losses, jnp.inf)
    row = jnp.clip(allowed.argmin(axis=1), 1, len(log_n) - 2)
    before, middle, after = (jnp.take_along_axis(allowed, row[:, None] + step, axis=1)[:, 0] for step in (-1, 0, 1))
    bend, tilt = before - 2 * middle + after, before - after
    inside = jnp.isfinite(bend) & (middle < before) & (middle < after)  # a parabola through three points
    least = jnp.where(inside, middle - tilt**2 / (8 * jnp.where(inside, bend, 1.0)), allowed.min(axis=1))
    step = log_n[1] - log_n[0]
    vertex = log_n[row] + step * jnp.where(inside, tilt / (2 * jnp.where(inside, bend, 1.0)), 0.0)
    smaller = jnp.where(inside, vertex, log_n[allowed.argmin(axis=1)])
    return jnp.where(least < best[1], smaller, best[0]), jnp.minimum(least, best[1])
