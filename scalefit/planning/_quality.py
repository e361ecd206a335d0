"""The cheapest way to a quality: the tokens that each size needs for it, and the size of the least expected cost."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from scalefit._aot import cached_jit
from scalefit.costs.cost import Cost
from scalefit.errors import OptionError, QuestionError
from scalefit.io.published_models import read_model
from scalefit.planning._loss_posterior import LossPosterior
from scalefit.planning._solve import (
    FURTHEST,
    POINTS,
    balanced_log_tokens,
    first_log_tokens_for,
    least_log_budget,
    log_tokens_for,
    loss_at,
    minimise,
)
from scalefit.runs import LARGEST_PLAUSIBLE_LOSS
from scalefit.units import format_count, parse_quantity, percent

SEARCH = np.log(100.0)  # sizes are sought within this factor of the one that trains cheapest
MOST_MISSED = 0.1  # share of the draws in which a size may miss the quality


def quality_of(posterior: LossPosterior, quality: Any) -> tuple[Float[Array, " draw"], float | None]:
    """The loss to be reached in each draw, and the size that the question names, if it does."""
    try:
        value = parse_quantity(quality)
    except OptionError:
        model = read_model(quality)
        log_n, log_d = jnp.log(model.params), jnp.log(model.tokens)
        return loss_at(posterior, log_n, log_d), model.params
    if value < LARGEST_PLAUSIBLE_LOSS:
        return jnp.full(posterior.count, value), None
    log_n = jnp.log(jnp.asarray(value, dtype=float))
    return loss_at(posterior, log_n, _balanced(posterior, log_n)), value


def cost_or_fallback(cost: Cost, params: Any, tokens: np.ndarray, fallback: np.ndarray | float) -> np.ndarray:
    """Total cost of a size on the tokens it needs, (..., draw); where it never reaches the quality, twice `fallback`.

    Training then stops when it has cost as much as the model that is cheapest to train, which is trained instead.
    """
    return np.where(np.isfinite(tokens), cost.total(params, tokens), 2 * fallback)


def decide(
    posterior: LossPosterior,
    cost: Cost,
    level: Float[Array, "*draw"],
    about: float,
    cap: float = np.inf,
    fallback: np.ndarray | float = np.inf,
) -> float:
    """ln N of the least expected cost at equal quality, among sizes that reach it in nearly all draws.

    Parameters
    ----------
    posterior, cost
        Of the loss, and what is paid for.
    level
        The loss to be reached, one for all draws or one a draw.
    about
        A size near which others are sought.
    cap
        The largest ln N.
    fallback
        Cost of the model that is trained where a size never reaches the quality, one or one a draw.

    Raises
    ------
    QuestionError
        No size reaches the quality.
    """

    def expected(log_n: np.ndarray) -> np.ndarray:
        needed = np.exp(np.asarray(tokens_needed(posterior, jnp.asarray(log_n), level)))
        total = cost_or_fallback(cost, np.exp(log_n)[:, None], needed, fallback).mean(axis=1)
        return np.log(np.where(np.mean(~np.isfinite(needed), axis=1) > MOST_MISSED, np.inf, total))

    middle = min(float(np.log(about)), cap)
    best = minimise(expected, middle - SEARCH, min(middle + SEARCH, cap))
    if not np.isfinite(expected(np.full(POINTS, best))[0]):
        capped, remedy = "", "Use"
        if np.isfinite(cap):
            capped, remedy = f" up to {format_count(np.exp(cap))}", "Raise the cap, or use"
        raise QuestionError(
            f"no size{capped} reaches that quality in {percent(1 - MOST_MISSED)} of the draws, whatever its tokens. "
            f"{remedy} a higher loss."
        )
    return best


@cached_jit()
def tokens_needed(
    posterior: LossPosterior, log_n: Float[Array, " point"], level: Float[Array, "*draw"]
) -> Float[Array, "point draw"]:
    """ln of the tokens with which exp(log_n) parameters reach a loss, one for all draws or one a draw."""
    levels = jnp.broadcast_to(level, (posterior.count,))
    if posterior.law_only is not posterior:
        return jax.lax.map(lambda n: first_log_tokens_for(posterior.losses, n, levels), log_n)
    over_draws = jax.vmap(lambda draw, n, target: log_tokens_for(draw.loss, n, target).x, (posterior.axes, None, 0))
    return jax.vmap(over_draws, (None, 0, None))(posterior, log_n, levels)


@cached_jit()
def _balanced(posterior: LossPosterior, log_n: Float[Array, ""]) -> Float[Array, ""]:
    """ln D that makes exp(log_n) the size with the least expected loss for its training compute."""
    return balanced_log_tokens(posterior.expected_loss, log_n).x


@cached_jit()
def least_costs(
    posterior: LossPosterior, cost: Cost, level: Float[Array, " draw"]
) -> tuple[Float[Array, " draw"], Bool[Array, " draw"]]:
    """ln of each draw's least cost of the quality, and whether the search for it converged."""

    def one(draw: LossPosterior, cost: Cost, target: Array) -> tuple[Array, Array]:
        start = jnp.log(cost.total(jnp.full_like(target, 1e10), 2e11))
        found = least_log_budget(draw, cost, target, start, start + FURTHEST)
        return found.x, found.converged

    return jax.vmap(one, (posterior.axes, 0, 0))(posterior, cost, level)
