"""Where is the optimum? N_opt, D_opt and loss along C = 6 N D, per posterior draw and budget, for any law.

The optimum is where another e-fold of parameters gains as much as another of tokens (the first-order condition
of Hoffmann et al. 2022, section 3.3). It is found numerically, so that a law needs no closed form.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit._numerics import find_root, precision
from scalefit._programs import program
from scalefit.counting import FLOPS_PER_PARAM_TOKEN, share_6nd
from scalefit.discrepancy import PATH_AXES, error_at
from scalefit.errors import PlanError
from scalefit.laws import Law
from scalefit.units import format_flops

if TYPE_CHECKING:
    import pandas as pd

LogLoss = Callable[[Array, Array], Array]
"""(ln N, ln D) -> loss, scalars."""

TRADED = {"params", "tokens"}
# Budgets are taken in blocks of this size, the last one padded: one compiled program, and bounded memory.
BLOCK = 8
PATHS = "paths"
ROUNDING = 1.005  # of compute: a budget read off a table is still that of its largest run
# The law's error may move an optimum by a factor of e^3 either way; along a budget its length is 1.5, a step .43.
REACH, GRID = 3.0, 15
CLOSE = 1e-8  # in ln N: the loss there is exact to rounding


def elasticities(loss: LogLoss, log_n: Array, log_d: Array) -> tuple[Array, Array]:
    """-dL/dlnN and -dL/dlnD: nats gained by one more e-fold of parameters, and of tokens."""
    gain_n, gain_d = jax.grad(loss, argnums=(0, 1))(log_n, log_d)
    return -gain_n, -gain_d


def optimal_log_params(loss: LogLoss, log_flops: Array) -> Array:
    """ln N that minimises a loss unimodal along C = 6 N D; one draw, one budget.

    At least one parameter and one token are assumed.
    """
    log_k = log_flops - jnp.log(FLOPS_PER_PARAM_TOKEN)
    return optimum_along(loss, lambda log_n: log_k - log_n, log_k)


def optimum_along(loss: LogLoss, tokens_along: Callable[[Array], Array], high: Array) -> Array:
    """ln N in [0, high] that minimises a loss unimodal along ln D = `tokens_along`(ln N), a budget's line.

    There an e-fold of parameters gains what it costs in tokens, e_N = -e_D dlnD/dlnN. For sums of power laws along
    C = 6 N D the two sides are straight lines in ln N, once in logarithms: Newton's method needs a step or two.
    Sizes that leave less than a token are not considered. A `Bent` loss need not be unimodal: its optimum is sought
    around that of its law.
    """
    if isinstance(loss, Bent):
        return _optimum_near(lambda u: loss(u, tokens_along(u)), optimum_along(loss.law, tokens_along, high))
    tiny = jnp.finfo(high.dtype).tiny

    def gap(log_n: Array) -> Array:
        log_d, slope = jax.jvp(tokens_along, (log_n,), (jnp.ones_like(log_n),))
        e_n, e_d = elasticities(loss, log_n, log_d)
        found = jnp.log(jnp.maximum(e_n, tiny)) - jnp.log(jnp.maximum(-e_d * slope, tiny))
        return jnp.where(log_d > 0, found, -1.0)  # less than a token: fewer parameters

    def gap_and_slope(log_n: Array) -> tuple[Array, Array]:
        return jax.jvp(gap, (log_n,), (jnp.ones_like(log_n),))

    return find_root(gap_and_slope, jnp.zeros_like(high), high, high / 2)


def _optimum_near(loss: Callable[[Array], Array], start: Array) -> Array:
    """Where a smooth loss is least within `REACH` of `start`: the best of a grid, then the root of its slope there."""
    grid = start + jnp.linspace(-REACH, REACH, GRID)
    best = grid[jnp.argmin(jax.vmap(loss)(grid))]
    step = 2 * REACH / (GRID - 1)
    downhill = lambda u: -jax.jvp(loss, (u,), (jnp.ones_like(u),))[1]
    return find_root(lambda u: jax.jvp(downhill, (u,), (jnp.ones_like(u),)), best - step, best + step, best, CLOSE)


@dataclass(frozen=True)
class Bent:
    """A law's loss and its own error on ln loss, together a `LogLoss`."""

    law: LogLoss
    error: LogLoss

    def __call__(self, log_n: Array, log_d: Array) -> Array:
        """Loss in nats per token."""
        return self.law(log_n, log_d) * jnp.exp(self.error(log_n, log_d))


def log_loss_of(law: Law, draw: dict[str, Any]) -> LogLoss:
    """The loss of one of `planning_draws`, as a function of ln N and ln D; `Bent` where it carries the law's error."""
    others = {name: draw[name] for name in law.inputs if name not in TRADED}

    def plain(log_n: Array, log_d: Array) -> Array:
        return law.loss(draw, {"params": jnp.exp(log_n), "tokens": jnp.exp(log_d), **others})

    if PATHS not in draw:
        return plain
    return Bent(plain, partial(error_at, draw[PATHS]))


def planning_draws(
    law: Law, theta: Mapping[str, np.ndarray], fixed: Mapping[str, Any], paths: Mapping[str, np.ndarray] | None = None
) -> dict[str, Any]:
    """What `log_loss_of` takes, name -> (draw,): the law's parameters, and its inputs beyond params and tokens.

    paths : draws of the law's own error, of `make_paths`, kept under `PATHS`. fixed : those inputs, each a number or
    (draw,), where the law's own defaults do not serve. Raises `PlanError` where the law does not trade parameters
    against tokens, or an input is left open or is none of the law's.
    """
    check_trades(law, fixed)
    count = len(next(iter(theta.values())))
    others = {name: {**law.defaults, **fixed}[name] for name in law.inputs if name not in TRADED}
    values = {**{p.name: theta[p.name] for p in law.params()}, **others}
    draws = {name: jnp.broadcast_to(jnp.asarray(value, dtype=float), (count,)) for name, value in values.items()}
    return draws if paths is None else draws | {PATHS: {name: jnp.asarray(value) for name, value in paths.items()}}


def draw_axes(draws: Mapping[str, Any]) -> dict[str, Any]:
    """The axis of draws in each of `planning_draws`, for `jax.vmap`."""
    return {name: PATH_AXES if name == PATHS else 0 for name in draws}


@program("law")
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
    kind : `mean` carries parameter uncertainty only, `form` the law's own error too.
    compute_range : compute of the smallest and largest run in the data, FLOP.
    """

    flops: np.ndarray
    params: np.ndarray
    tokens: np.ndarray
    loss: np.ndarray
    compute_range: tuple[float, float]
    kind: str = "mean"

    @property
    def tokens_per_param(self) -> np.ndarray:
        """D_opt / N_opt, (draw, budget)."""
        return self.tokens / self.params

    def summary(self, prob: float = 0.9) -> "pd.DataFrame":
        """Rows: flops. Columns: params, tokens, tokens_per_param, loss, each with median, lower and upper."""
        from scalefit.tables.plans import frontier_table

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

    fixed : inputs beyond params and tokens, as `planning_draws` takes them. Raises `PlanError` where the law does
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
    kind = "mean" if paths is None else "form"
    front = Frontier(flops, params, share_6nd(flops, params), loss, compute_range, kind)
    at_end = np.mean((params < 1.001) | (front.tokens < 1.001), axis=0) > 0.5
    if at_end.any():
        raise PlanError(
            f"{format_flops(flops[at_end][0])} FLOP has no optimum of a parameter and a token; ask for more."
        )
    return front


def beyond(flops: Any, compute_range: tuple[float, float]) -> np.ndarray:
    """Whether compute (FLOP) lies outside that of the runs, elementwise."""
    smallest, largest = compute_range
    flops = np.asarray(flops, dtype=float)
    return (flops < smallest / ROUNDING) | (flops > ROUNDING * largest)


def trades(law: Law) -> bool:
    """Whether params and tokens are both inputs, so that there is an allocation to optimise."""
    return set(law.inputs) >= TRADED


def check_trades(law: Law, fixed: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Raise `PlanError` unless the law takes params and tokens, and every other input has a value."""
    if not trades(law):
        raise PlanError(
            f"the {law.name} law has no allocation to optimise: it takes {', '.join(law.inputs)}; "
            "use a law of params and tokens, such as chinchilla."
        )
    if unknown := sorted(set(fixed) - set(law.inputs) | set(fixed) & TRADED):
        raise PlanError(f"{', '.join(unknown)} cannot be fixed: the {law.name} law takes {', '.join(law.inputs)}.")
    if missing := sorted(set(law.inputs) - TRADED - set(law.defaults) - set(fixed)):
        raise PlanError(f"the {law.name} law also takes {', '.join(missing)}: say at what value, as in {missing[0]}=1.")
