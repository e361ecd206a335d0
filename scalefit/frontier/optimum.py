"""The compute-optimal allocation of a loss along a budget, for one draw and any law.

The optimum is where another e-fold of parameters gains as much as another of tokens. It is found numerically, so that a
law needs no closed form.

References
----------
Hoffmann et al. 2022 (arXiv 2203.15556), section 3.3: the first-order condition.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from scalefit._roots import Root, find_root
from scalefit.counting import FLOPS_PER_PARAM_TOKEN
from scalefit.errors import QuestionError
from scalefit.laws import Law
from scalefit.model.discrepancy import shifted
from scalefit.model.paths import discrepancy_at

Scalar = Float[Array, ""]
LogLoss = Callable[[Scalar, Scalar], Scalar]
"""(ln N, ln D) -> loss, scalars."""
TRADED = {"params", "tokens"}
PATHS = "paths"
# ln D/N is searched within this of the optimum of the law, in steps of a seventh of a discrepancy's length.
RATIOS = np.linspace(-12.0, 12.0, 41)
STENCIL = 13  # points of the polynomial through a discrepancy: a loss is exact to 1e-9
TO_POWERS = np.linalg.inv(np.vander(np.arange(STENCIL) - STENCIL // 2.0))
CLOSE = 1e-8  # in ln N: the loss there is exact to rounding
LARGEST = 85.0  # in logarithms: 8e36, the end of every search, and inside float32
LEAST_COUNT = 1.001  # of parameters or tokens: an optimum at the end of the search is there to rounding only


def elasticities(loss: LogLoss, log_n: Scalar, log_d: Scalar) -> tuple[Scalar, Scalar]:
    """-dL/dlnN and -dL/dlnD: loss saved by one more e-fold of parameters, and of tokens."""
    gain_n, gain_d = jax.grad(loss, argnums=(0, 1))(log_n, log_d)
    return -gain_n, -gain_d


def optimal_log_params(loss: LogLoss, log_flops: Scalar) -> Root:
    """ln N that minimises a loss along C = 6 N D, with at least one parameter and one token."""
    log_k = log_flops - jnp.log(FLOPS_PER_PARAM_TOKEN)
    return optimum_along(loss, lambda log_n: log_k - log_n, log_k)


def optimum_along(loss: LogLoss, tokens_along: Callable[[Scalar], Scalar], high: Scalar) -> Root:
    """ln N in [0, high] that minimises a loss along a budget's line.

    Parameters
    ----------
    loss
        Unimodal along the line. A `WithDiscrepancy` loss need not be: its optimum is sought around that of its law.
    tokens_along
        ln N -> ln D that the budget pays for. Sizes that leave less than a token are not considered.
    high
        The largest ln N.

    Returns
    -------
    Root
        Its search has not converged where the loss with discrepancy falls to the end of what is searched.

    Notes
    -----
    At the optimum an e-fold of parameters gains what it costs in tokens, e_N = -e_D dlnD/dlnN. For sums of power laws
    along C = 6 N D the two sides are straight lines in ln N, once in logarithms: Newton's method needs a step or two.
    """
    if isinstance(loss, WithDiscrepancy):
        from_law = optimum_along(loss.law, tokens_along, high)
        found, _ = best_along(loss, tokens_along, from_law.x, (0 * high, high))
        return Root(found.x, found.converged & from_law.converged)
    tiny = jnp.finfo(high.dtype).tiny

    def gap(log_n: Scalar) -> Scalar:
        log_d, slope = jax.jvp(tokens_along, (log_n,), (jnp.ones_like(log_n),))
        e_n, e_d = elasticities(loss, log_n, log_d)
        found = jnp.log(jnp.maximum(e_n, tiny)) - jnp.log(jnp.maximum(-e_d * slope, tiny))
        return jnp.where(log_d > 0, found, -1.0)  # less than a token: fewer parameters

    def gap_and_slope(log_n: Scalar) -> tuple[Scalar, Scalar]:
        return jax.jvp(gap, (log_n,), (jnp.ones_like(log_n),))

    return find_root(gap_and_slope, jnp.zeros_like(high), high, high / 2)


def best_along(
    loss: "WithDiscrepancy", tokens_along: Callable[[Scalar], Scalar], start: Scalar, ends: tuple[Scalar, Scalar]
) -> tuple[Root, Scalar]:
    """ln N between two ends that minimises a loss with discrepancy along any line, sought around `start`; the loss."""
    ratios = tokens_along(start) - start + RATIOS
    log_n = jax.vmap(lambda ratio: _size_at(tokens_along, ratio, ends))(ratios)
    errors = jax.vmap(loss.discrepancy)(log_n, log_n + ratios)
    return best_on_line(loss, tokens_along, Line(ratios, log_n, errors))


class Line(NamedTuple):
    """A budget's line on a grid.

    Parameters
    ----------
    ratios
        ln D/N, evenly spaced.
    log_n
        ln N there.
    errors
        The discrepancy at ln N and ln N + ratio.
    """

    ratios: Float[Array, " ratio"]
    log_n: Float[Array, " ratio"]
    errors: Float[Array, " ratio"]


def best_on_line(loss: "WithDiscrepancy", tokens_along: Callable[[Scalar], Scalar], line: Line) -> tuple[Root, Scalar]:
    """ln N of the least loss with discrepancy along a line, and that loss: the best of its grid, refined.

    Between points the discrepancy is a polynomial through the nearest `STENCIL`, the law is itself.
    """
    ratios, log_n, errors = line
    log_d = jax.vmap(tokens_along)(log_n)
    on_line = jnp.abs(log_d - log_n - ratios) < 1e-3  # not where less than a parameter or a token is left
    values = jnp.where(on_line, loss.joined(jax.vmap(loss.law)(log_n, log_n + ratios), errors), jnp.inf)
    row = jnp.argmin(values)
    first = jnp.clip(row - STENCIL // 2, 0, len(ratios) - STENCIL)
    powers = (jnp.asarray(TO_POWERS, errors.dtype) * jax.lax.dynamic_slice(errors, (first,), (STENCIL,))).sum(axis=1)
    middle, step = ratios[first + STENCIL // 2], ratios[1] - ratios[0]

    def along(u: Scalar) -> Scalar:
        log_d = tokens_along(u)
        return loss.joined(loss.law(u, log_d), jnp.polyval(powers, (log_d - u - middle) / step))

    downhill = lambda u: -jax.jvp(along, (u,), (jnp.ones_like(u),))[1]
    low, high = log_n[jnp.minimum(row + 1, len(ratios) - 1)], log_n[jnp.maximum(row - 1, 0)]
    found = find_root(lambda u: jax.jvp(downhill, (u,), (jnp.ones_like(u),)), low, high, log_n[row], CLOSE)
    return Root(found.x, found.converged & (row > 0) & (row < len(ratios) - 1)), along(found.x)


def _size_at(tokens_along: Callable[[Scalar], Scalar], ratio: Scalar, ends: tuple[Scalar, Scalar]) -> Scalar:
    """ln N at which a line has exp(ratio) tokens per parameter; the end that is nearest to it where it has not."""
    gap = lambda u: tokens_along(u) - u - ratio
    return find_root(lambda u: jax.jvp(gap, (u,), (jnp.ones_like(u),)), *ends, 0.5 * (ends[0] + ends[1])).x


@dataclass(frozen=True)
class WithDiscrepancy:
    """A law's loss and its discrepancy, together a `LogLoss`."""

    law: LogLoss
    discrepancy: LogLoss
    floor: Any

    def __call__(self, log_n: Scalar, log_d: Scalar) -> Scalar:
        """The loss."""
        return self.joined(self.law(log_n, log_d), self.discrepancy(log_n, log_d))

    def joined(self, law: Array, error: Array) -> Array:
        """The loss, of the law's and of the discrepancy, elementwise."""
        return shifted(law, self.floor, error)


def log_loss_of(law: Law, draw: Mapping[str, Any]) -> LogLoss:
    """The loss of one of `planning_draws`; `WithDiscrepancy` where that includes a path of it."""
    others = {name: draw[name] for name in law.inputs if name not in TRADED}

    def plain(log_n: Array, log_d: Array) -> Array:  # of any shapes that broadcast
        return law.loss(draw, {"params": jnp.exp(log_n), "tokens": jnp.exp(log_d), **others})

    if PATHS not in draw:
        return plain
    return WithDiscrepancy(plain, partial(discrepancy_at, draw[PATHS]), law.floor(draw))


def planning_draws(
    law: Law, theta: Mapping[str, Any], fixed: Mapping[str, Any], paths: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What `log_loss_of` takes: the law's parameters, and its inputs beyond params and tokens.

    Parameters
    ----------
    law
        Whose loss it is.
    theta
        Raw parameters, name -> (draw,).
    fixed
        Inputs beyond params and tokens, each a number or (draw,), where the law's own defaults do not serve.
    paths
        Draws of the discrepancy, of `sample_paths`, kept under `PATHS`.

    Returns
    -------
    dict
        Name -> (draw,).

    Raises
    ------
    QuestionError
        As `check_trades` does.
    """
    check_trades(law, fixed)
    count = len(next(iter(theta.values())))
    others = {name: {**law.defaults, **fixed}[name] for name in law.inputs if name not in TRADED}
    values = {**{p.name: theta[p.name] for p in law.params()}, **others}
    draws = {name: jnp.broadcast_to(jnp.asarray(value, dtype=float), (count,)) for name, value in values.items()}
    return draws if paths is None else draws | {PATHS: {name: jnp.asarray(value) for name, value in paths.items()}}


def draw_axes(draws: Mapping[str, Any]) -> dict[str, Any]:
    """The axis of draws in each of `planning_draws`, for `jax.vmap`."""
    return dict.fromkeys(draws, 0)


def check_optimum(
    params: Float[np.ndarray, " draw"],
    tokens: Float[np.ndarray, " draw"],
    converged: Bool[np.ndarray, " draw"],
    *,
    what: str,
    remedy: str,
) -> float:
    """The share of draws whose search for an optimum did not converge, where most have one.

    Parameters
    ----------
    params, tokens
        The optimum of every draw; infinite where nothing reaches it.
    converged
        Whether the searches for it did.
    what
        A noun for the error: "a budget of 100 FLOP".
    remedy
        An imperative for the error where the optimum is too small: "Use a larger budget".

    Returns
    -------
    float
        Between 0 and 0.5.

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
            f"the search for the optimum for {what} failed in {lost:.0%} of the draws. Check the fit's health."
        )
    return lost


def trades(law: Law) -> bool:
    """Whether params and tokens are both inputs, so that there is an allocation to optimise."""
    return set(law.inputs) >= TRADED


def check_trades(law: Law, fixed: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Refuse a law without an allocation, or with an input left open.

    Parameters
    ----------
    law
        The law to optimise.
    fixed
        The inputs that are given beyond params and tokens, by name.

    Raises
    ------
    QuestionError
        The law does not trade parameters against tokens, an input has neither a value nor a default, or a value is
        given for what is none of the law's further inputs.
    """
    if not trades(law):
        raise QuestionError(
            f"the {law.name} law has no allocation to optimise: it takes {', '.join(law.inputs)}. "
            "Use a law of params and tokens, such as chinchilla."
        )
    if unknown := sorted(set(fixed) - set(law.inputs) | set(fixed) & TRADED):
        raise QuestionError(f"{', '.join(unknown)} cannot be fixed: the {law.name} law takes {', '.join(law.inputs)}.")
    if missing := sorted(set(law.inputs) - TRADED - set(law.defaults) - set(fixed)):
        raise QuestionError(f"the {law.name} law also takes {', '.join(missing)}. Give a value, as in {missing[0]}=1.")
