"""The least budget that reaches a loss, draw by draw, along each draw's own frontier.

By the law alone the optimal loss falls with the budget, and the least budget is a root. With the discrepancy it need
not fall everywhere: it is tabulated, and the least budget is where it first reaches the loss.
"""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from scalefit._aot import cached_jit
from scalefit._batching import at_rows, by_groups, in_chunks, padded_rows
from scalefit.costs.cost import Cost
from scalefit.frontier.frontier import BLOCK, priced_optima
from scalefit.frontier.priced_lines import best_on_straight_lines, has_straight_lines
from scalefit.planning._crossing import falling_roots, first_crossing
from scalefit.planning._loss_posterior import LossPosterior
from scalefit.planning._solve import best_log_params, least_log_budget, tokens_along

DIPS = 3  # of a draw whose bottom is sought
LANES = 256  # draws at a time that have budgets of their own: after the first round few are left
STEP = 0.3  # of ln budget: cubics between points are exact to 1e-5 of a budget
HALVINGS, CLOSE = 8, 1e-5  # of a step of the table, and in ln of a budget
Draws = Float[np.ndarray, " draw"]
Found = tuple[Float[Array, "draw budget"], Float[Array, "draw budget"], Bool[Array, "draw budget"]]


class Optima(NamedTuple):
    """The optimum of every draw at budgets, or at one of its own.

    Parameters
    ----------
    log_n, loss
        ln N, and the loss there.
    converged
        Whether the search for it did.
    """

    log_n: Float[np.ndarray, "draw ..."]
    loss: Float[np.ndarray, "draw ..."]
    converged: Bool[np.ndarray, "draw ..."]


def optima_at(posterior: LossPosterior, cost: Cost, log_budgets: Float[np.ndarray, " budget"]) -> Optima:
    """The optimum of every draw at budgets, given as logarithms."""
    if posterior.wall is None:
        return Optima(*priced_optima(posterior.law, posterior.draws, cost, log_budgets))
    if has_straight_lines(cost) and posterior.law_only is not posterior:
        program: Any = partial(_optima_at_wall, posterior, cost)
    else:
        program = partial(_optima_along, posterior, cost)
    return Optima(*map(np.asarray, in_chunks(program, log_budgets, BLOCK, axis=1)))


@cached_jit()
def _optima_at_wall(posterior: LossPosterior, cost: Cost, log_budgets: Float[Array, " budget"]) -> Found:
    one = lambda draw, cost: best_on_straight_lines(draw.law, draw.draws, cost, log_budgets, jnp.log(draw.wall))
    return jax.vmap(one, (posterior.axes, cost.axes))(posterior, cost)


@cached_jit()
def _optima_along(posterior: LossPosterior, cost: Cost, log_budgets: Float[Array, " budget"]) -> Found:
    over_budgets = jax.vmap(_optimum, (None, None, 0))
    return jax.vmap(over_budgets, (posterior.axes, cost.axes, None))(posterior, cost, log_budgets)


def _optimum(draw: LossPosterior, cost: Cost, log_budget: Array) -> tuple[Array, Array, Array]:
    """ln N of one draw's optimum at a budget, the loss there, and whether it was found."""
    log_n, converged = best_log_params(draw, cost, log_budget)
    return log_n, draw.loss(log_n, tokens_along(cost, log_budget)(log_n)), converged


@dataclass(frozen=True, eq=False)
class LeastBudgets:
    """The least budget for any loss, in every draw; for use inside `precision()`.

    Parameters
    ----------
    posterior, cost
        Of the loss, and what a budget pays for.
    around, low, high
        ln of a budget, and of the smallest and the largest.
    near
        Points of the table are `STEP` apart up to that many e-folds from `around`, and ever further from there.
    """

    posterior: LossPosterior
    cost: Cost
    around: float
    low: float
    high: float
    near: float = 6.0

    @cached_property
    def log_budgets(self) -> Float[np.ndarray, " budget"]:
        """Of the table."""
        below, above = (self._away(far) for far in (self.around - self.low, self.high - self.around))
        return self.around + np.concatenate([-below[:0:-1], above])

    def _away(self, far: float) -> Float[np.ndarray, " point"]:
        last = np.arcsinh(far / self.near)
        return self.near * np.sinh(np.linspace(0.0, last, int(np.ceil(last * self.near / STEP)) + 1))

    @cached_property
    def envelope(self) -> Optima:
        """The optimum of every draw at `log_budgets`."""
        return optima_at(self.posterior, self.cost, self.log_budgets)

    def __call__(self, level: Draws) -> tuple[Draws, Bool[np.ndarray, " draw"]]:
        """ln of the least budget for a loss in every draw, and whether the searches converged.

        That is `low` where a smaller one suffices, and infinite where none up to `high` does.
        """
        log_c, _, converged = self.with_optimum(level)
        return log_c, converged

    def with_optimum(self, level: Draws) -> tuple[Draws, Draws, Bool[np.ndarray, " draw"]]:
        """The same, with ln N of the optimum at the least budget in its middle; infinite where that is."""
        if self.posterior.law_only is self.posterior:
            return self._law_roots(level)
        first, (loss, to), draws = self.tabulated(level), self._with_dips, np.arange(len(level))
        last = np.clip(np.searchsorted(self.log_budgets, first), 1, len(self.log_budgets) - 1)
        ends = np.array([self.log_budgets[last - 1], to[draws, last]])
        beyond = np.array([loss[draws, last - 1], loss[draws, last]]) - level
        log_n, converged = np.full(len(level), np.nan), np.ones(len(level), dtype=bool)

        def excess(log_c: Draws, rows: Int[np.ndarray, " draw"]) -> Draws:
            found = self._own_optima(log_c, rows)
            log_n[rows], converged[rows] = found.log_n, found.converged
            return found.loss - level[rows]

        # The table's cubic is not exact where an optimum jumps from one size to another.
        log_c = falling_roots(excess, np.clip(first, *ends), ends, beyond, CLOSE)
        log_c = np.where(first <= self.low, self.low, log_c)
        return np.where(np.isinf(first), np.inf, log_c), np.where(np.isinf(first), np.inf, log_n), converged

    @cached_property
    def _host(self) -> tuple[LossPosterior, Cost]:
        """The posterior and the cost as NumPy arrays, of which rows are cheap to take."""
        return jax.tree.map(np.asarray, (self.posterior, self.cost))

    def _own_optima(self, log_budgets: Draws, draws: Int[np.ndarray, " draw"]) -> Optima:
        """`optima_of_own` of some draws at a budget each."""
        parts = []
        for chunk in padded_rows(len(draws), LANES).reshape(-1, LANES):
            posterior, cost = at_rows((self.posterior.axes, self.cost.axes), self._host, draws[chunk])
            parts.append(map(np.asarray, optima_of_own(posterior, cost, log_budgets[chunk])))
        return Optima(*(np.concatenate(each)[: len(draws)] for each in zip(*parts, strict=True)))

    @cached_property
    def _with_dips(self) -> tuple[Float[np.ndarray, "draw budget"], Float[np.ndarray, "draw budget"]]:
        """The table's losses and their budgets, where a loss that rises again has its least between points: there."""
        x, loss = self.log_budgets, self.envelope.loss.copy()
        to = np.broadcast_to(x, loss.shape).copy()
        dips = np.pad((loss[:, 1:-1] < loss[:, :-2]) & (loss[:, 1:-1] <= loss[:, 2:]), ((0, 0), (1, 1)))
        for turn in range(1, 1 + min(DIPS, int(dips.sum(axis=1).max(initial=0)))):
            draw = np.flatnonzero(dips.sum(axis=1) >= turn)
            k = np.argmax(np.cumsum(dips[draw], axis=1) == turn, axis=1)
            bottom = _vertex(*((x[k + i], loss[draw, k + i]) for i in (-1, 0, 1)))
            least = self._own_optima(bottom, draw).loss
            lower = least < loss[draw, k]
            draw, k, least, bottom = draw[lower], k[lower], least[lower], bottom[lower]
            loss[draw, k], to[draw, k] = least, np.maximum(x[k], bottom)
        return loss, to

    def first_with_size(self, log_n: float) -> Draws:
        """ln of the least budget whose optimum has at least exp(log_n) parameters, infinite where none up to `high`."""
        sizes = self.envelope.log_n
        reached = sizes >= log_n
        last = np.clip(reached.argmax(axis=1), 1, len(self.log_budgets) - 1)
        low, high = self.log_budgets[last - 1], self.log_budgets[last]
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            enough = self._own_optima(middle, np.arange(len(middle))).log_n >= log_n
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        return np.where(reached[:, 0], self.low, np.where(reached.any(axis=1), 0.5 * (low + high), np.inf))

    def _law_roots(self, level: Draws) -> tuple[Draws, Draws, Bool[np.ndarray, " draw"]]:
        ends = jnp.asarray([self.around, self.low, self.high])
        found = _roots(self.posterior, self.cost, jnp.asarray(level), ends)
        log_c, log_n, converged, beyond = map(np.asarray, found)
        return np.where(beyond, np.inf, log_c), np.where(beyond, np.inf, log_n), converged

    def tabulated(self, level: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """ln of the least budget from the table alone, for any number of losses a draw, (draw, ...)."""
        table, _ = self._with_dips
        lanes = np.broadcast_to(table.reshape(len(table), *[1] * (level.ndim - 1), -1), (*level.shape, table.shape[1]))
        return first_crossing(self.log_budgets, lanes, level)


def _vertex(a: tuple[Draws, Draws], b: tuple[Draws, Draws], c: tuple[Draws, Draws]) -> Draws:
    """Where parabolas through three points each, the middle one the lowest, have their bottom."""
    (xa, ya), (xb, yb), (xc, yc) = a, b, c
    before, after = (yb - ya) / (xb - xa), (yc - yb) / (xc - xb)
    return 0.5 * (xa + xb) - before * 0.5 * (xc - xa) / (after - before)


@cached_jit()
def _roots(
    posterior: LossPosterior, cost: Cost, level: Float[Array, " draw"], ends: Float[Array, "3"]
) -> tuple[Float[Array, " draw"], Float[Array, " draw"], Bool[Array, " draw"], Bool[Array, " draw"]]:
    """ln of the least budget and of N there, whether both were found, and whether all budgets are too small."""
    around, low, high = ends

    def one(draw: LossPosterior, cost: Cost, level: Array) -> tuple[Array, Array, Array, Array]:
        found = least_log_budget(draw, cost, level, around, high, low)
        log_n, reached, converged = _optimum(draw, cost, found.x)
        beyond = (found.x > high - 1e-3) & (reached > level * (1 + 1e-6))
        return found.x, log_n, found.converged & converged, beyond

    return by_groups(one, (posterior.axes, cost.axes, 0))(posterior, cost, level)


@cached_jit()
def optima_of_own(
    posterior: LossPosterior, cost: Cost, log_budget: Float[Array, " draw"]
) -> tuple[Float[Array, " draw"], Float[Array, " draw"], Bool[Array, " draw"]]:
    """ln N and loss of the optimum of every draw with discrepancy at a budget of its own."""

    def one(draw: LossPosterior, cost: Cost, log_budget: Array) -> tuple[Array, Array, Array]:
        if has_straight_lines(cost):
            log_wall = None if draw.wall is None else jnp.log(draw.wall)
            found = best_on_straight_lines(draw.law, draw.draws, cost, log_budget[None], log_wall)
            return tuple(part[0] for part in found)  # type: ignore[return-value]
        return _optimum(draw, cost, log_budget)

    return jax.vmap(one, (posterior.axes, cost.axes, 0))(posterior, cost, log_budget)
