"""Point estimates of a law: Huber's loss on ln residuals, where to start, and the noise that is left over.

Flat vectors hold the law's parameters in order, unconstrained and unit-free. Everything is written for one table and
vectorises over tables and resamples.
"""

from collections.abc import Callable
from functools import partial

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


def huber_sum(r: Array, weight: Array, delta: Array | float) -> Array:
    """Sum of Huber's loss (1964, Ann. Math. Stat. 35, 73): r^2/2 up to |r| = delta, then straight."""
    size = jnp.abs(r)
    return (weight * jnp.where(size <= delta, 0.5 * r**2, delta * (size - 0.5 * delta))).sum()


def minimise_huber(model: Model, data: Data, start: Array, deltas: Array, steps: int = STEPS) -> Array:
    """Local minimum of `huber_sum` at the last of `deltas`, reached through those before it, from smooth to sharp.

    Levenberg-Marquardt. The curvature is that of the runs within delta (Newton's, exact for the quadratic part);
    it is damped by the curvature of iteratively reweighted least squares, which bounds the objective from above.
    """
    r_of = jax.jit(partial(residuals, model, data))

    def stage(flat: Array, delta: Array) -> tuple[Array, None]:
        return _levenberg_marquardt(r_of, data.weight, flat, delta, steps), None

    return jax.lax.scan(stage, start, deltas)[0]


def _levenberg_marquardt(
    r_of: Callable[[Array], Array], weight: Array, start: Array, delta: Array, steps: int
) -> Array:
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
        return (gain > 1e-10) & (damping < 1e10) & (count < steps)

    one = jnp.ones((), start.dtype)
    return jax.lax.while_loop(unfinished, step, (start, one, one, 0))[0]


def search_huber(model: Model, data: Data, starts: Array, deltas: Array, polished: int = POLISHED) -> Array:
    """The lowest minimum reached from the best few of `starts`, (start, dim)."""
    height = jax.vmap(lambda flat: huber_sum(residuals(model, data, flat), data.weight, deltas[-1]))
    best = ranked(height(starts))[:polished]
    ends = jax.lax.map(lambda flat: minimise_huber(model, data, flat, deltas), starts[best])
    return ends[lowest(height(ends))]


def with_noise(model: Model, data: Data, law: Theta) -> Theta:
    """The law's parameters and the posterior mode of the noise's, given the law's residuals."""
    law_z = model.space.unconstrain(law)
    flat, unravel = ravel_pytree(model.space.unconstrain(guessed_noise(model, data, law)))
    found = descend(autodiff_value_grad_hess(lambda z: model.potential({**law_z, **unravel(z)}, data)), flat)
    return {**law, **model.space.constrain(unravel(found.x))}
