"""Saddle-free Newton: downhill in few dimensions, from anywhere. Modes and point estimates are found with it.

Not of optimistix, which has neither Newton with the absolute Hessian, as saddles between two modes need it, nor one
loop for several starts, so that tables that share a program wait for each other once and not at every start.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

STEPS = 200
CLOSE = 1e-8  # in nats
CAREFUL = 1000.0  # damping of the first step, beside which only the steepest curvatures show
# Half the Newton decrement squared, what an undamped step would gain, in nats: a seventh of a standard deviation off.
# Modes of the shipped tables end below 1e-8, in float32 below 1e-4; on 40 copies of five runs, whose density has no
# mode, above 50.
LEFT = 0.01


class Minimum(NamedTuple):
    """Where a descent ended.

    Parameters
    ----------
    x
        (dim,).
    value, gradient, hessian
        (), (dim,) and (dim, dim), at x or a last small step before.
    converged
        Whether an undamped Newton step would gain next to nothing there; False where no descent has ended.
    """

    x: Float[Array, " dim"]
    value: Float[Array, ""]
    gradient: Float[Array, " dim"]
    hessian: Float[Array, "dim dim"]
    converged: Bool[Array, ""] | bool = False

    @classmethod
    def unevaluated(cls, start: Float[Array, " dim"]) -> "Minimum":
        """Higher than any other place, for its value is not known yet."""
        value = jnp.full((), jnp.inf, start.dtype)
        hessian = jnp.eye(start.size, dtype=start.dtype)
        return cls(start, value, jnp.zeros_like(start), hessian, jnp.zeros((), bool))


def lowest(values: Float[Array, " start"]) -> Int[Array, ""]:
    """Index of the smallest finite value."""
    return jnp.argmin(jnp.where(jnp.isfinite(values), values, jnp.inf))


def ranked(values: Float[Array, " start"]) -> Int[Array, " start"]:
    """Indices from the smallest value up, those not finite last."""
    return jnp.argsort(jnp.where(jnp.isfinite(values), values, jnp.inf))


def autodiff_value_grad_hess(potential: Callable[[Array], Array]) -> Callable[[Array], Minimum]:
    """Value, gradient and Hessian of any potential, from one pass over it.

    Forward twice: in few dimensions that costs no more than a reverse pass, and half as much to compile.
    """

    def with_value(z: Float[Array, " dim"]) -> tuple[Array, Array]:
        value = potential(z)
        return value, value

    def with_gradient(z: Float[Array, " dim"]) -> tuple[Array, tuple[Array, Array]]:
        gradient, value = jax.jacfwd(with_value, has_aux=True)(z)
        return gradient, (value, gradient)

    def value_grad_hess(z: Float[Array, " dim"]) -> Minimum:
        hessian, (value, gradient) = jax.jacfwd(with_gradient, has_aux=True)(z)
        return Minimum(z, value, gradient, hessian)

    return value_grad_hess


class Descent(NamedTuple):
    """On its way: the best place so far, the one to evaluate next, and what the step between them would gain."""

    best: Minimum
    trial: Float[Array, " dim"]
    damping: Float[Array, ""]
    gain: Float[Array, ""]
    count: Any


def descend(
    value_grad_hess: Callable[[Array], Minimum], start: Float[Array, " dim"], steps: int = STEPS, left: float = LEFT
) -> Minimum:
    """Damped Newton with the absolute Hessian: downhill across saddles too.

    Parameters
    ----------
    value_grad_hess
        What is known of a place, such as `autodiff_value_grad_hess(potential)`. It stands in one place of the program,
        which is most of what there is to compile.
    start
        Where to begin.
    steps
        The most evaluations.
    left
        What an undamped step may still gain at the end, in units of the value.

    Returns
    -------
    Minimum
        The descent stops where a step would gain less than `CLOSE`, and takes that step unevaluated: so near the
        minimum it doubles the digits.

    References
    ----------
    Dauphin et al. 2014, arXiv 1406.2572.
    """
    return jax.tree.map(lambda leaf: leaf[0], descend_each(value_grad_hess, start[None], steps, left))


def descend_each(
    value_grad_hess: Callable[[Array], Minimum],
    starts: Float[Array, "start dim"],
    steps: int = STEPS,
    left: float = LEFT,
) -> Minimum:
    """`descend` from each of `starts`, the leaves of the result stacked, in one loop for all."""

    def step(state: tuple) -> tuple:
        row, ends, now = state
        now = _step(value_grad_hess, now)
        ends = jax.tree.map(lambda leaf, new: leaf.at[row].set(new), ends, _end(now))
        over = _close(now) | (now.damping >= 1e8) | (now.count >= steps)
        afresh = _begin(starts[jnp.minimum(row + 1, len(starts) - 1)])
        return row + over, ends, jax.tree.map(lambda new, old: jnp.where(over, new, old), afresh, now)

    unevaluated = jax.vmap(Minimum.unevaluated)(starts)
    begin = (0, unevaluated, _begin(starts[0]))
    ends = jax.lax.while_loop(lambda state: state[0] < len(starts), step, begin)[1]
    return ends._replace(converged=jnp.isfinite(ends.value) & (jax.vmap(_undamped_gain)(ends) <= left))


def _begin(start: Float[Array, " dim"]) -> Descent:
    one = jnp.ones((), start.dtype)
    return Descent(Minimum.unevaluated(start), start, CAREFUL * one, one, jnp.zeros((), int))


def _step(value_grad_hess: Callable[[Array], Minimum], now: Descent) -> Descent:
    found = value_grad_hess(now.trial)
    better = found.value < now.best.value
    best = jax.tree.map(lambda new, old: jnp.where(better, new, old), found, now.best)
    damping = jnp.where(better, 0.1 * now.damping, jnp.maximum(10 * now.damping, 1e-3))
    curvature, axes = jnp.linalg.eigh(best.hessian)
    move = axes @ ((axes.T @ best.gradient) / (jnp.abs(curvature) + damping))
    return Descent(best, best.x - move, damping, jnp.abs(best.gradient @ move), now.count + 1)


def _close(now: Descent) -> Bool[Array, ""]:
    """No more to be gained than `CLOSE`, or than the value is rounded by."""
    rounding = jnp.finfo(now.gain.dtype).eps * jnp.abs(now.best.value)
    return now.gain <= jnp.maximum(CLOSE, jnp.where(jnp.isfinite(rounding), rounding, 0.0))


def _end(now: Descent) -> Minimum:
    return now.best._replace(x=jnp.where(_close(now), now.trial, now.best.x))


def _undamped_gain(end: Minimum) -> Float[Array, ""]:
    """What decides whether a descent converged: where it is stuck, damping makes any step gain little."""
    curvature, axes = jnp.linalg.eigh(end.hessian)
    slope = axes.T @ end.gradient
    return 0.5 * jnp.where(slope == 0, 0.0, slope**2 / jnp.abs(curvature)).sum()
