"""Where is the optimum? N_opt, D_opt and loss along C = 6 N D, per posterior draw and budget, for any law.

The optimum is where another e-fold of parameters gains as much as another of tokens (the first-order condition
of Hoffmann et al. 2022, section 3.3). It is found numerically, so that a law needs no closed form.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit._aot import cached_jit
from scalefit._intervals import interval
from scalefit._precision import precision
from scalefit._tables import INTERVAL
from scalefit.counting import FLOPS_PER_PARAM_TOKEN, tokens_for
from scalefit.errors import QuestionError
from scalefit.frontier.optimum import draw_axes, log_loss_of, optimal_log_params, planning_draws
from scalefit.laws import Law
from scalefit.units import format_flops

if TYPE_CHECKING:
    import pandas as pd


# Budgets are taken in blocks of this size, the last one padded: one compiled program, and bounded memory.
BLOCK = 8
ROUNDING = 1.005  # of compute: a budget read off a table is still that of its largest run


@cached_jit("law")
def optima(law: Law, theta: dict[str, Array], log_flops: Array) -> tuple[Array, Array]:
    """ln N_opt and the loss there, each (draw, budget)."""

    def one(draw: dict[str, Array], log_c: Array) -> tuple[Array, Array]:
        loss = log_loss_of(law, draw)
        log_n = optimal_log_params(loss, log_c)
        return log_n, loss(log_n, log_c - jnp.log(FLOPS_PER_PARAM_TOKEN) - log_n)

    return jax.vmap(jax.vmap(one, in_axes=(None, 0)), in_axes=(draw_axes(theta), None))(theta, log_flops)


@dataclass(frozen=True, eq=False)
class Frontier:
    """The compute-optimal allocation at each budget, per draw.

    flops : (budget,); params, tokens, loss : (draw, budget), loss being that at the optimum, without noise.
    discrepancy : whether the draws include the discrepancy. stacked : whether they pool several laws.
    compute_range : compute of the smallest and largest run in the data, FLOP.
    """

    flops: np.ndarray
    params: np.ndarray
    tokens: np.ndarray
    loss: np.ndarray
    compute_range: tuple[float, float]
    discrepancy: bool = False
    stacked: bool = False

    @property
    def tokens_per_param(self) -> np.ndarray:
        """D_opt / N_opt, (draw, budget)."""
        return self.tokens / self.params

    def summary(self, prob: float = 0.9) -> "pd.DataFrame":
        """Rows: flops. Columns: params, tokens, tokens_per_param, loss, each with median, lower and upper."""
        return frontier_table(self, prob)


def frontier(
    law: Law,
    theta: Mapping[str, np.ndarray],
    flops: np.ndarray,
    compute_range: tuple[float, float],
    fixed: Mapping[str, Any] = MappingProxyType({}),
    paths: Mapping[str, np.ndarray] | None = None,
) -> Frontier:
    """Optima of `law` under each draw of `theta` (name -> (draw,), raw units) at each budget (FLOP).

    fixed : inputs beyond params and tokens, as `planning_draws` takes them. Raises `QuestionError` where the law does
    not trade parameters against tokens, or a budget is so small that half of the draws put its optimum at less than
    one parameter or token.
    """
    log_c = np.log(np.asarray(flops, dtype=float))
    padded = np.pad(log_c, (0, -len(log_c) % BLOCK), mode="edge")
    with precision():
        draws = planning_draws(law, theta, fixed, paths)
        blocks = [optima(law, draws, jnp.asarray(block)) for block in padded.reshape(-1, BLOCK)]
        log_n, loss = (np.concatenate(parts, axis=1)[:, : len(log_c)] for parts in zip(*blocks, strict=True))
    params = np.exp(log_n)
    front = Frontier(flops, params, tokens_for(flops, params), loss, compute_range, paths is not None)
    at_end = np.mean((params < 1.001) | (front.tokens < 1.001), axis=0) > 0.5
    if at_end.any():
        raise QuestionError(
            f"{format_flops(flops[at_end][0])} FLOP has no optimum of a parameter and a token; ask for more."
        )
    return front


def is_extrapolation(flops: Any, compute_range: tuple[float, float]) -> np.ndarray:
    """Whether compute (FLOP) lies outside that of the runs, elementwise."""
    smallest, largest = compute_range
    flops = np.asarray(flops, dtype=float)
    return (flops < smallest / ROUNDING) | (flops > ROUNDING * largest)


def frontier_table(front: "Frontier", prob: float = 0.9) -> "pd.DataFrame":
    """Rows: flops; columns: (params, tokens, tokens_per_param, loss) x (median, lower, upper)."""
    import pandas as pd

    columns = {}
    for name in ("params", "tokens", "tokens_per_param", "loss"):
        for statistic, values in zip(INTERVAL, interval(getattr(front, name), prob), strict=True):
            columns[name, statistic] = values
    return pd.DataFrame(columns, index=pd.Index(front.flops, name="flops"))
