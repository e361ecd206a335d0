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

from scalefit._roots import Root, find_root
from scalefit.counting import FLOPS_PER_PARAM_TOKEN
from scalefit.errors import QuestionError
from scalefit.laws import Law
from scalefit.model.discrepancy import PATH_AXES, discrepancy_at

if TYPE_CHECKING:
    pass


LogLoss = Callable[[Array, Array], Array]
"""(ln N, ln D) -> loss, scalars."""
TRADED = {"params", "tokens"}
PATHS = "paths"
# The law's error may move an optimum by a factor of e^3 either way; along a budget its length is 1.5, a step .43.
REACH, GRID = 3.0, 15
LEAST_COUNT = 1.001  # of parameters or tokens: an optimum at the end of the search is there to rounding only
CLOSE = 1e-8  # in ln N: the loss there is exact to rounding


def elasticities(loss: LogLoss, log_n: Array, log_d: Array) -> tuple[Array, Array]:
    """-dL/dlnN and -dL/dlnD: nats gained by one more e-fold of parameters, and of tokens."""
    gain_n, gain_d = jax.grad(loss, argnums=(0, 1))(log_n, log_d)
    return -gain_n, -gain_d


def optimal_log_params(loss: LogLoss, log_flops: Array) -> Root:
    """ln N that minimises a loss unimodal along C = 6 N D; one draw, one budget.

    At least one parameter and one token are assumed.
    """
    log_k = log_flops - jnp.log(FLOPS_PER_PARAM_TOKEN)
    return optimum_along(loss, lambda log_n: log_k - log_n, log_k)


def optimum_along(loss: LogLoss, tokens_along: Callable[[Array], Array], high: Array) -> Root:
    """ln N in [0, high] that minimises a loss unimodal along ln D = `tokens_along`(ln N), a budget's line.

    There an e-fold of parameters gains what it costs in tokens, e_N = -e_D dlnD/dlnN. For sums of power laws along
    C = 6 N D the two sides are straight lines in ln N, once in logarithms: Newton's method needs a step or two.
    Sizes that leave less than a token are not considered. A `WithDiscrepancy` loss need not be unimodal: its optimum is
    sought around that of its law.
    """
    if isinstance(loss, WithDiscrepancy):
        start = optimum_along(loss.law, tokens_along, high)
        found = _optimum_near(lambda u: loss(u, tokens_along(u)), start.x)
        return Root(found.x, found.converged & start.converged)
    tiny = jnp.finfo(high.dtype).tiny

    def gap(log_n: Array) -> Array:
        log_d, slope = jax.jvp(tokens_along, (log_n,), (jnp.ones_like(log_n),))
        e_n, e_d = elasticities(loss, log_n, log_d)
        found = jnp.log(jnp.maximum(e_n, tiny)) - jnp.log(jnp.maximum(-e_d * slope, tiny))
        return jnp.where(log_d > 0, found, -1.0)  # less than a token: fewer parameters

    def gap_and_slope(log_n: Array) -> tuple[Array, Array]:
        return jax.jvp(gap, (log_n,), (jnp.ones_like(log_n),))

    return find_root(gap_and_slope, jnp.zeros_like(high), high, high / 2)


def _optimum_near(loss: Callable[[Array], Array], start: Array) -> Root:
    """Where a smooth loss is least within `REACH` of `start`: the best of a grid, then the root of its slope there."""
    grid = start + jnp.linspace(-REACH, REACH, GRID)
    best = grid[jnp.argmin(jax.vmap(loss)(grid))]
    step = 2 * REACH / (GRID - 1)
    downhill = lambda u: -jax.jvp(loss, (u,), (jnp.ones_like(u),))[1]
    return find_root(lambda u: jax.jvp(downhill, (u,), (jnp.ones_like(u),)), best - step, best + step, best, CLOSE)


@dataclass(frozen=True)
class WithDiscrepancy:
    """A law's loss and its own error on ln loss, together a `LogLoss`."""

    law: LogLoss
    error: LogLoss

    def __call__(self, log_n: Array, log_d: Array) -> Array:
        """Loss in nats per token."""
        return self.law(log_n, log_d) * jnp.exp(self.error(log_n, log_d))


def log_loss_of(law: Law, draw: dict[str, Any]) -> LogLoss:
    """The loss of one of `planning_draws`, as a function of ln N and ln D; `WithDiscrepancy` where it carries the law's error."""
    others = {name: draw[name] for name in law.inputs if name not in TRADED}

    def plain(log_n: Array, log_d: Array) -> Array:
        return law.loss(draw, {"params": jnp.exp(log_n), "tokens": jnp.exp(log_d), **others})

    if PATHS not in draw:
        return plain
    return WithDiscrepancy(plain, partial(discrepancy_at, draw[PATHS]))


def planning_draws(
    law: Law, theta: Mapping[str, np.ndarray], fixed: Mapping[str, Any], paths: Mapping[str, np.ndarray] | None = None
) -> dict[str, Any]:
    """What `log_loss_of` takes, name -> (draw,): the law's parameters, and its inputs beyond params and tokens.

    paths : draws of the law's own error, of `sample_paths`, kept under `PATHS`. fixed : those inputs, each a number or
    (draw,), where the law's own defaults do not serve. Raises `QuestionError` where the law does not trade parameters
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


def check_optimum(
    params: np.ndarray, tokens: np.ndarray, converged: np.ndarray, *, what: str, remedy: str
) -> float:
    """The share of draws whose search for an optimum did not converge, where the others have one.

    Parameters
    ----------
    params, tokens
        (draw,), the optimum of every draw; infinite where nothing reaches it.
    converged
        (draw,), whether the searches for it did.
    what
        A noun for the error: "a budget of 100 FLOP".
    remedy
        An imperative for the error where the optimum is too small: "Use a larger budget".

    Raises
    ------
    QuestionError
        An optimum is not a number, most are less than one parameter or token, or most searches did not converge.
    """
    missing = float(np.mean(np.isnan(params) | np.isnan(tokens)))
    if missing:
        raise QuestionError(
            f"the optimum for {what} is not a number in {missing:.2%} of the draws. Check the fit's health."
        )
    if np.mean((params < LEAST_COUNT) | (tokens < LEAST_COUNT)) > 0.5:
        raise QuestionError(f"the optimum for {what} is less than one parameter or one token. {remedy}.")
    lost = 1 - float(np.mean(converged))
    if lost > 0.5:
        raise QuestionError(
            f"the search for the optimum for {what} did not converge in {lost:.0%} of the draws. Check the fit's health."
        )
    return lost


def trades(law: Law) -> bool:
    """Whether params and tokens are both inputs, so that there is an allocation to optimise."""
    return set(law.inputs) >= TRADED


def check_trades(law: Law, fixed: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Raise `QuestionError` unless the law takes params and tokens, and every other input has a value."""
    if not trades(law):
        raise QuestionError(
            f"the {law.name} law has no allocation to optimise: it takes {', '.join(law.inputs)}; "
            "use a law of params and tokens, such as chinchilla."
        )
    if unknown := sorted(set(fixed) - set(law.inputs) | set(fixed) & TRADED):
        raise QuestionError(f"{', '.join(unknown)} cannot be fixed: the {law.name} law takes {', '.join(law.inputs)}.")
    if missing := sorted(set(law.inputs) - TRADED - set(law.defaults) - set(fixed)):
        raise QuestionError(
            f"the {law.name} law also takes {', '.join(missing)}: say at what value, as in {missing[0]}=1."
        )
