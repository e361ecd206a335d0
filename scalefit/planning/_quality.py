"""The cheapest way to a quality: the tokens that each size needs for it, and the size of the least expected cost."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from scalefit._aot import cached_jit
from scalefit.costs.cost import Compute, Cost
from scalefit.errors import OptionError, QuestionError
from scalefit.frontier.optimum import elasticities
from scalefit.io.published_models import read_model
from scalefit.loss_units import largest_plausible
from scalefit.planning._grid import FEWEST, MOST, first_log_tokens, first_log_tokens_around
from scalefit.planning._loss_posterior import LossPosterior
from scalefit.planning._solve import (
    FURTHEST,
    POINTS,
    balanced_log_tokens,
    least_log_budget,
    log_price_ratio,
    log_tokens_for,
    loss_at,
    minimise,
)
from scalefit.units import format_count, parse_quantity, percent

SMALLEST_SIZE = 1e4  # a quality that is a larger number is no loss, in whatever unit
SEARCH = np.log(100.0)  # sizes are sought within this factor of the one that trains cheapest
ROUNDS = 4  # of grids that close in, to 1e-4; with discrepancy the table's steps are .3 and a last grid's .02
NEARBY = 9  # sizes of the second grid of a draw's own, .04 apart: within .0002 of the least cost
MOST_MISSED = 0.1  # share of the draws in which a size may miss the quality


def quality_of(
    posterior: LossPosterior, quality: Any, unit: str, compute: Compute
) -> tuple[Float[np.ndarray, " draw"], float | None]:
    """The loss to be reached in each draw, and the size that the question names, if it does."""
    try:
        value = parse_quantity(quality)
    except OptionError:
        model = read_model(quality)
        return _losses_of(posterior, np.log(model.params), np.log(model.tokens)), model.params
    if value < min(largest_plausible(unit), SMALLEST_SIZE):
        return np.full(posterior.count, value), None
    return _losses_of(posterior, np.log(value), _balanced(posterior, np.log(value), compute)), value


def _losses_of(posterior: LossPosterior, log_n: float, log_d: float) -> Float[np.ndarray, " draw"]:
    return np.asarray(loss_at(posterior, *(jnp.asarray(value, dtype=float) for value in (log_n, log_d))))


def cost_or_fallback(cost: Cost, params: Any, tokens: np.ndarray, fallback: np.ndarray | float) -> np.ndarray:
    """Total cost of a size on the tokens it needs, (..., draw); where it never reaches the quality, twice `fallback`.

    Training then stops when it has cost as much as the model that is cheapest to train, which is trained instead.
    """
    return np.where(np.isfinite(tokens), cost.total(params, tokens), 2 * fallback)


def decide(needed: "TokensNeeded", cost: Cost, cap: float = np.inf, fallback: np.ndarray | float = np.inf) -> float:
    """ln N of the least expected cost at equal quality, among sizes that reach it in nearly all draws.

    Parameters
    ----------
    needed
        The quality, and a size near which others are sought.
    cost
        What is paid for.
    cap
        The largest ln N.
    fallback
        Cost of the model that is trained where a size never reaches the quality, one or one a draw.

    Raises
    ------
    QuestionError
        No size reaches the quality.
    """

    def expected(tokens_of: Callable[[np.ndarray], np.ndarray], log_n: np.ndarray) -> np.ndarray:
        tokens = np.exp(tokens_of(log_n))
        total = cost_or_fallback(cost, np.exp(log_n)[:, None], tokens, fallback).mean(axis=1)
        return np.log(np.where(np.mean(~np.isfinite(tokens), axis=1) > MOST_MISSED, np.inf, total))

    middle, step = min(needed.about, cap), 2 * SEARCH / POINTS
    best = minimise(partial(expected, needed.near), middle - SEARCH, min(middle + SEARCH, cap), ROUNDS)
    points = np.linspace(best - step, min(best + step, cap), POINTS)
    values = expected(needed, points)
    best = float(points[np.argmin(values)])
    if not np.isfinite(values.min()):
        capped, remedy = "", "Use"
        if np.isfinite(cap):
            capped, remedy = f" up to {format_count(np.exp(cap))}", "Raise the cap, or use"
        raise QuestionError(
            f"no size{capped} reaches that quality in {percent(1 - MOST_MISSED)} of the draws, whatever its tokens. "
            f"{remedy} a higher loss."
        )
    return best


@dataclass(frozen=True, eq=False)
class TokensNeeded:
    """The tokens with which sizes reach a quality, draw by draw; for use inside `precision()`.

    Parameters
    ----------
    posterior
        Of the loss.
    level
        The loss to be reached.
    about
        ln of a size near which others are tabulated, with discrepancy.
    """

    posterior: LossPosterior
    level: Float[np.ndarray, " draw"]
    about: float

    @cached_property
    def table(self) -> tuple[Float[np.ndarray, " size"], Float[np.ndarray, "size draw"]]:
        """ln N, and ln of the tokens, infinite where a size never reaches the quality."""
        log_n = np.linspace(self.about - SEARCH, self.about + SEARCH, 2 * POINTS)
        return log_n, first_log_tokens(self.posterior, log_n, self.level)

    def near(self, log_n: Float[np.ndarray, " point"]) -> Float[np.ndarray, "point draw"]:
        """ln of the tokens of sizes in the table's range, straight between its sizes."""
        if self.posterior.law_only is self.posterior:
            return self(log_n)
        sizes, log_d = self.table
        last = np.clip(np.searchsorted(sizes, log_n), 1, len(sizes) - 1)
        share = ((log_n - sizes[last - 1]) / (sizes[last] - sizes[last - 1]))[:, None]
        before, after = log_d[last - 1], log_d[last]
        with np.errstate(invalid="ignore"):  # between two sizes that never reach the quality
            between = np.where(np.isinf(before) & np.isinf(after), np.inf, before + share * (after - before))
        return np.where(share <= 0, before, np.where(share >= 1, after, between))

    def __call__(self, log_n: Float[np.ndarray, " point"]) -> Float[np.ndarray, "point draw"]:
        """ln of the tokens of any sizes."""
        if self.posterior.law_only is not self.posterior:
            return first_log_tokens(self.posterior, log_n, self.level)
        return np.asarray(_law_tokens_needed(self.posterior, jnp.asarray(log_n), jnp.asarray(self.level)))


@cached_jit()
def _law_tokens_needed(
    posterior: LossPosterior, log_n: Float[Array, " point"], level: Float[Array, " draw"]
) -> Float[Array, "point draw"]:
    over_draws = jax.vmap(lambda draw, n, target: log_tokens_for(draw.loss, n, target).x, (posterior.axes, None, 0))
    return jax.vmap(over_draws, (None, 0, None))(posterior, log_n, level)


def _balanced(posterior: LossPosterior, log_n: float, compute: Compute) -> float:
    """ln D that makes exp(log_n) the size with the least expected loss for its training compute."""
    steeper = log_price_ratio(compute)
    if posterior.law_only is posterior:
        return float(_law_balanced(posterior, jnp.asarray(log_n, dtype=float), jnp.asarray(steeper)))
    low, high = log_n + FEWEST, log_n + MOST
    for _ in range(ROUNDS):
        points = np.linspace(low, high, POINTS)
        gain = np.asarray(
            _gain_of_tokens(posterior, jnp.asarray(log_n, dtype=float), jnp.asarray(points), jnp.asarray(steeper))
        )
        last = max(1, int(np.argmax(gain < 0)))
        low, high = points[last - 1], points[last]
    return float(0.5 * (low + high))


@cached_jit()
def _law_balanced(posterior: LossPosterior, log_n: Float[Array, ""], steeper: Float[Array, ""]) -> Float[Array, ""]:
    return balanced_log_tokens(posterior.expected_loss, log_n, steeper).x


@cached_jit()
def _gain_of_tokens(
    posterior: LossPosterior, log_n: Float[Array, ""], log_d: Float[Array, " point"], steeper: Float[Array, ""]
) -> Float[Array, " point"]:
    """What the price of an e-fold of parameters gains more when it is spent on tokens, in expected loss."""

    def one(log_d: Float[Array, ""]) -> Float[Array, ""]:
        e_n, e_d = elasticities(posterior.expected_loss, log_n, log_d)
        return e_d * jnp.exp(steeper) - e_n

    return jax.lax.map(one, log_d)


def least_costs(needed: TokensNeeded, cost: Cost) -> tuple[Float[np.ndarray, " draw"], Bool[np.ndarray, " draw"]]:
    """ln of each draw's least cost of the quality, and whether the search for it converged.

    With discrepancy the least of a table of sizes, then of a grid of each draw's own.
    """
    posterior, level = needed.posterior, needed.level
    if posterior.law_only is posterior:
        return tuple(map(np.asarray, _law_least_costs(posterior, cost, jnp.asarray(level))))  # type: ignore[return-value]
    log_n, log_d = needed.table
    best, draws = cost.total(np.exp(log_n)[:, None], np.exp(log_d)).argmin(axis=0), np.arange(posterior.count)
    least = log_d[best, draws]
    inside = np.isfinite(least) & (best > 0) & (best < len(log_n) - 1)
    nearby = log_n[best] + (log_n[1] - log_n[0]) * np.linspace(-1.0, 1.0, NEARBY)[:, None]
    log_d = first_log_tokens_around(posterior, nearby, np.where(inside, least, nearby[0]), level)
    return np.log(cost.total(np.exp(nearby), np.exp(log_d)).min(axis=0)), inside


@cached_jit()
def _law_least_costs(
    posterior: LossPosterior, cost: Cost, level: Float[Array, " draw"]
) -> tuple[Float[Array, " draw"], Bool[Array, " draw"]]:
    def one(draw: LossPosterior, cost: Cost, target: Array) -> tuple[Array, Array]:
        start = jnp.log(cost.total(jnp.full_like(target, 1e10), 2e11))
        found = least_log_budget(draw, cost, target, start, start + FURTHEST)
        return found.x, found.converged

    return jax.vmap(one, (posterior.axes, 0, 0))(posterior, cost, level)
