"""Point estimates of a law: Huber's loss on ln residuals, where to start, and the noise that is left over.

Flat vectors hold the law's parameters in order, unconstrained and unit-free. Everything is written for one table and
vectorises over tables and resamples.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from scalefit.model.data import Data, Theta
from scalefit.model.model import Model
from scalefit.numerics.newton import autodiff_value_grad_hess, descend, lowest, ranked
from scalefit.sampling.starts import guessed_noise, residuals

POLISHED = 4
STEPS = 300
CLOSE = 1e-10  # of the objective, what a step would gain
STUCK = 1e10  # damping beyond which no step is shorter than rounding


class HuberMinimum(NamedTuple):
    """Where a search ended, (dim,), and whether there was nothing left to be gained there."""

    x: Array
    converged: Array


class Estimate(NamedTuple):
    """A point estimate: parameters of law and noise, unit-free scalars, and whether the searches for them converged."""

    theta: Theta
    converged: Array


def huber_sum(r: Array, weight: Array, delta: Array | float) -> Array:
    """Sum of Huber's loss (1964, Ann. Math. Stat. 35, 73): r^2/2 up to |r| = delta, then straight."""
    size = jnp.abs(r)
    return (weight * jnp.where(size <= delta, 0.5 * r**2, delta * (size - 0.5 * delta))).sum()


def minimise_huber(model: Model, data: Data, start: Array, deltas: Array, steps: int = STEPS) -> HuberMinimum:
    """Local minimum of `huber_sum` at the last of `deltas`, reached through those before it, from smooth to sharp.

    Levenberg-Marquardt. The curvature is that of the runs within delta (Newton's, exact for the quadratic part);
    it is damped by the curvature of iteratively reweighted least squares, which bounds the objective from above.
    """
    r_of = jax.jit(partial(residuals, model, data))

    def stage(flat: Array, delta: Array) -> tuple[Array, Array]:
        return tuple(_levenberg_marquardt(r_of, data.weight, flat, delta, steps))

    end, converged = jax.lax.scan(stage, start, deltas)
    return HuberMinimum(end, converged[-1])


def _levenberg_marquardt(
    r_of: Callable[[Array], Array], weight: Array, start: Array, delta: Array, steps: int
) -> HuberMinimum:
    def step(state: tuple) -> tuple:
        flat, damping, _, count = state
        r, jacobian = r_of(flat), jax.jacfwd(r_of)(flat)
        pull = weight * jnp.minimum(1.0, delta / jnp.abs(r))
        gradient = jacobian.T @ (pull * r)
        newton = (jacobian.T * (weight * (jnp.abs(r) <= delta))) @ jacobian
        bound = (jacobian.T * pull) @ jacobian
        tiny = 1e-12 * jnp.trace(bound) * jnp.eye(flat.size)
        move = jnp.linalg.solve(newton + damping * bound + tiny, gradient)
        now, then = huber_sum(r, weight, delta), huber_sum(r_of(flat - move), weight, delta)
        better = then < now
        damping = jnp.where(better, 0.2 * damping, 4 * jnp.maximum(damping, 1e-6))
        return jnp.where(better, flat - move, flat), damping, gradient @ move / now, count + 1

    def unfinished(state: tuple) -> Array:
        _, damping, gain, count = state
        return (gain > CLOSE) & (damping < STUCK) & (count < steps)

    one = jnp.ones((), start.dtype)
    end, damping, gain, _ = jax.lax.while_loop(unfinished, step, (start, one, one, 0))
    return HuberMinimum(end, (gain <= CLOSE) | (damping >= STUCK))


def search_huber(model: Model, data: Data, starts: Array, deltas: Array, polished: int = POLISHED) -> HuberMinimum:
    """The lowest minimum reached from the best few of `starts`, (start, dim)."""
    height = jax.vmap(lambda flat: huber_sum(residuals(model, data, flat), data.weight, deltas[-1]))
    best = ranked(height(starts))[:polished]
    ends = jax.lax.map(lambda flat: minimise_huber(model, data, flat, deltas), starts[best])
    row = lowest(height(ends.x))
    return HuberMinimum(ends.x[row], ends.converged[row])


def with_noise(model: Model, data: Data, law: Theta, converged: Array) -> Estimate:
    """The law's parameters and the posterior mode of the noise's, given the law's residuals.

    converged : whether the search for the law's parameters did.
    """
    law_z = model.space.unconstrain(law)
    flat, unravel = ravel_pytree(model.space.unconstrain(guessed_noise(model, data, law)))
    found = descend(autodiff_value_grad_hess(lambda z: model.potential({**law_z, **unravel(z)}, data)), flat)
    return Estimate({**law, **model.space.constrain(unravel(found.x))}, converged & found.converged)
