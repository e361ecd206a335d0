"""Compute-optimal frontiers: N_opt, D_opt and the loss there along a budget, per draw and budget, for any law."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from scalefit._aot import cached_jit
from scalefit._batching import in_chunks
from scalefit._intervals import interval
from scalefit._labelled import labelled
from scalefit._precision import precision
from scalefit._quantities import loss_units, provenance, ranged, write
from scalefit._results import PROB, Result
from scalefit._tables import Table, interval_columns
from scalefit.costs.cost import SIX_ND, Cost, SixND
from scalefit.counting.compute import SAME_COMPUTE
from scalefit.frontier.budget_lines import best_of_law, best_on_lines
from scalefit.frontier.optimum import (
    LARGEST,
    PATHS,
    check_optimum,
    draw_axes,
    log_loss_of,
    optimum_along,
    planning_draws,
)
from scalefit.frontier.priced_lines import best_on_straight_lines, has_straight_lines
from scalefit.laws import Law
from scalefit.loss_units import NATS, in_unit
from scalefit.units import format_count, format_flops

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


BLOCK = 8  # budgets at a time, which bounds memory


@cached_jit("law")
def optima(
    law: Law, theta: dict[str, Any], log_flops: Float[Array, " budget"]
) -> tuple[Float[Array, "draw budget"], Float[Array, "draw budget"], Bool[Array, "draw budget"]]:
    """The optimum of every draw of `planning_draws` at every budget: ln N, the loss, and whether it was found."""
    one = best_of_law if PATHS not in theta else best_on_lines
    return jax.vmap(partial(one, law), in_axes=(draw_axes(theta), None))(theta, log_flops)


@cached_jit("law")
def optima_along(
    law: Law, theta: dict[str, Any], cost: Cost, log_budgets: Float[Array, " budget"]
) -> tuple[Float[Array, "draw budget"], Float[Array, "draw budget"], Bool[Array, "draw budget"]]:
    """The same where budgets pay for any cost."""

    def one(draw: dict[str, Any], cost: Cost, log_budget: Array) -> tuple[Array, Array, Array]:
        loss, along = log_loss_of(law, draw), partial(cost.log_tokens_for, log_budget)
        found = optimum_along(loss, along, jnp.full_like(log_budget, LARGEST))
        return found.x, loss(found.x, along(found.x)), found.converged

    over_budgets = jax.vmap(one, (None, None, 0))
    return jax.vmap(over_budgets, (draw_axes(theta), cost.axes, None))(theta, cost, log_budgets)


@cached_jit("law")
def optima_on_lines(
    law: Law, theta: dict[str, Any], cost: Cost, log_budgets: Float[Array, " budget"]
) -> tuple[Float[Array, "draw budget"], Float[Array, "draw budget"], Bool[Array, "draw budget"]]:
    """The same with discrepancy, where lines of budgets are straight in ln N and ln D."""
    one = partial(best_on_straight_lines, law)
    return jax.vmap(one, (draw_axes(theta), cost.axes, None))(theta, cost, log_budgets)


def priced_optima(law: Law, theta: dict[str, Any], cost: Cost, log_budgets: Float[np.ndarray, " budget"]) -> Any:
    """`optima` by whatever costs; 6 N D times a number is another budget of 6 N D."""
    if isinstance(cost, SixND):
        program: Any = partial(optima, law, theta)
        log_budgets = log_budgets - np.log(cost.times)
    else:
        straight = PATHS in theta and has_straight_lines(cost)
        program = partial(optima_on_lines if straight else optima_along, law, theta, cost)
    return tuple(map(np.asarray, in_chunks(program, log_budgets, BLOCK, axis=1)))


COLUMNS = ("params", "tokens", "tokens_per_param", "loss")


@dataclass(frozen=True, eq=False, repr=False)
class Frontier(Result):
    """The compute-optimal allocation at each budget, per draw.

    Parameters
    ----------
    flops
        The budgets, FLOP.
    params, tokens, loss
        Of the optimum; the loss is the expected one, in `loss_unit`s.
    compute_range
        Compute of the smallest and largest run in the data, FLOP.
    discrepancy
        Whether the draws include the discrepancy.
    stacked
        Whether the draws pool several laws.
    unconverged
        Share of the draws whose search for the optimum did not converge, at the worst budget.
    loss_unit
        Of the loss.
    rule
        How compute is counted.
    """

    flops: Float[np.ndarray, " budget"]
    params: Float[np.ndarray, "draw budget"]
    tokens: Float[np.ndarray, "draw budget"]
    loss: Float[np.ndarray, "draw budget"]
    compute_range: tuple[float, float]
    discrepancy: bool = False
    stacked: bool = False
    unconverged: float = 0.0
    loss_unit: str = NATS
    rule: str = SIX_ND.describe()

    @property
    def tokens_per_param(self) -> Float[np.ndarray, "draw budget"]:
        """D_opt / N_opt."""
        return self.tokens / self.params

    def optimum(self, index: int) -> dict[str, np.ndarray]:
        """N_opt, D_opt, tokens_per_param and loss at one budget, name -> (draw,)."""
        columns = {
            "N_opt": self.params,
            "D_opt": self.tokens,
            "tokens_per_param": self.tokens_per_param,
            "loss": self.loss,
        }
        return {name: values[:, index] for name, values in columns.items()}

    def headline(self, prob: float = PROB) -> str:
        """The optimum at the largest budget."""
        return self.optimum_sentence(int(np.argmax(self.flops)), prob)

    def optimum_sentence(self, index: int, prob: float = PROB) -> str:
        """The optimum at one budget, with intervals."""
        params, tokens, ratio, loss = (interval(getattr(self, name)[:, index], prob) for name in COLUMNS)
        how = f"{'pooled over laws, ' if self.stacked else ''}{provenance(self.discrepancy, loss, prob)}"
        return (
            f"At {format_flops(self.flops[index])} FLOP the optimum is {ranged(params, format_count)} parameters on "
            f"{ranged(tokens, format_count)} tokens, {ranged(ratio, write)} tokens per parameter, with a loss of "
            f"{in_unit(ranged(loss, write), self.loss_unit)} ({how})."
        )

    def summary(self, prob: float = PROB) -> "pd.DataFrame":
        """The optimum at every budget.

        Parameters
        ----------
        prob
            Probability of every interval, equal-tailed.

        Returns
        -------
        pandas.DataFrame
            Rows: flops. Columns: params, tokens, tokens_per_param and loss, each with median, lower and upper.
        """
        return self._table(prob).frame()

    def to_xarray(self) -> "xr.Dataset":
        """The draws with names: params, tokens, tokens_per_param and loss over (draw, budget).

        Returns
        -------
        xarray.Dataset
            The coordinate `budget` is in FLOP. Attributes: discrepancy and stacked (0 or 1), compute_range in FLOP.
        """
        variables = {name: (("draw", "budget"), getattr(self, name)) for name in COLUMNS}
        attrs = {name: getattr(self, name) for name in ("discrepancy", "stacked", "compute_range")}
        return labelled(variables, {"budget": ("budget", self.flops)}, attrs, loss_units(self.loss_unit))

    def _table(self, prob: float) -> Table:
        columns: dict[tuple[str, str], Any] = {}
        for name in COLUMNS:
            columns |= interval_columns(name, interval(getattr(self, name), prob))
        return Table("flops", self.flops, columns).loss_in(self.loss_unit)


def frontier(
    law: Law,
    theta: Mapping[str, np.ndarray],
    flops: np.ndarray,
    compute_range: tuple[float, float],
    fixed: Mapping[str, Any] = MappingProxyType({}),
    paths: Mapping[str, np.ndarray] | None = None,
    cost: Cost = SIX_ND,
) -> Frontier:
    """Optima of a law at each budget, per draw.

    Parameters
    ----------
    law
        One that trades parameters against tokens.
    theta
        Its parameters, name -> (draw,), in raw units.
    flops
        Budgets, FLOP.
    compute_range
        Compute of the smallest and largest run in the data, FLOP.
    fixed
        The law's inputs beyond params and tokens, as `planning_draws` takes them.
    paths
        Draws of the discrepancy, where the optima include it.
    cost
        Of a run in FLOP: numbers, or draws as many as those of theta.

    Raises
    ------
    QuestionError
        The law does not trade parameters against tokens, or the optimum of a budget is less than one parameter or one
        token in half of the draws, is not a number, or was not found.
    """
    log_c = np.log(np.asarray(flops, dtype=float))
    with precision():
        draws = planning_draws(law, theta, fixed, paths)
        log_n, loss, converged = priced_optima(law, draws, cost, log_c)
    params = np.exp(log_n)
    tokens = cost.tokens_for(flops[:, None], params.T).T  # a cost has its draws last
    lost = [
        check_optimum(*each, what=f"a budget of {format_flops(budget)} FLOP", remedy="Use a larger budget")
        for budget, *each in zip(flops, params.T, tokens.T, converged.T, strict=True)
    ]
    return Frontier(
        flops=flops,
        params=params,
        tokens=tokens,
        loss=loss,
        compute_range=compute_range,
        discrepancy=paths is not None,
        unconverged=max(lost),
        rule=cost.describe(),
    )


def is_extrapolation(flops: Any, compute_range: tuple[float, float]) -> Bool[np.ndarray, "..."]:
    """Whether compute (FLOP) lies outside that of the runs, elementwise, by more than it is rounded by."""
    smallest, largest = compute_range
    flops = np.asarray(flops, dtype=float)
    return np.asarray((flops < smallest / SAME_COMPUTE) | (flops > SAME_COMPUTE * largest))
