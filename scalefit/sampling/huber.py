"""Point estimates of a law: Huber's loss on ln residuals by Levenberg-Marquardt, and the noise that matches.

Flat vectors hold the law's parameters in order, unconstrained and unit-free. Everything is written for one table and
vectorises over tables and resamples.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float

from scalefit.model.data import Data, Theta
from scalefit.model.model import Model
from scalefit.numerics.newton import autodiff_value_grad_hess, descend, lowest, ranked
from scalefit.sampling.starts import guessed_noise, residuals

POLISHED = 4
STEPS = 300
CLOSE = 1e-10  # of the objective, what a step would gain
STUCK = 1e10  # damping beyond which no step is shorter than rounding


class HuberMinimum(NamedTuple):
    """Where a search ended, and whether there was nothing left to be gained there."""

    x: Float[Array, " dim"]
    converged: Bool[Array, ""]


class Estimate(NamedTuple):
    """A point estimate: parameters of law and noise, unit-free scalars, and whether the searches for them converged."""

    theta: Theta
    converged: Bool[Array, ""]


def huber_sum(
    r: Float[Array, " run"], weight: Float[Array, " run"], delta: Float[Array, ""] | float
) -> Float[Array, ""]:
    """Sum of Huber's loss (1964, Ann. Math. Stat. 35, 73): r^2/2 up to |r| = delta, then a straight line."""
    size = jnp.abs(r)
    return (weight * jnp.where(size <= delta, 0.5 * r**2, delta * (size - 0.5 * delta))).sum()


def minimise_huber(
    model: Model, data: Data, start: Float[Array, " dim"], deltas: Float[Array, " stage"], steps: int = STEPS
) -> HuberMinimum:
    """Local minimum of `huber_sum` at the last of `deltas`, reached through those before it, from smooth to sharp.

    Levenberg-Marquardt. The curvature is that of the runs within delta (Newton's, exact for the quadratic part);
    it is damped by the curvature of iteratively reweighted least squares, which bounds the objective from above. Not of
    optimistix, whose Levenberg-Marquardt is for sums of squares alone.

    Parameters
    ----------
    model, data
        Whose residuals are minimised.
    start
        A law, flat.
    deltas
        Thresholds of the loss.
    steps
        The most evaluations a stage.
    """
    r_of = jax.jit(partial(residuals, model, data))

    def stage(flat: Float[Array, " dim"], delta: Float[Array, ""]) -> tuple[Float[Array, " dim"], Bool[Array, ""]]:
        end = _levenberg_marquardt(r_of, data.weight, flat, delta, steps)
        return end.x, end.converged

    end, converged = jax.lax.scan(stage, start, deltas)
    return HuberMinimum(end, converged[-1])


def _levenberg_marquardt(
    r_of: Callable[[Array], Array],
    weight: Float[Array, " run"],
    start: Float[Array, " dim"],
    delta: Float[Array, ""],
    steps: int,
) -> HuberMinimum:
    def step(state: tuple) -> tuple:
        flat, damping, _, count = state
        r, jacobian = r_of(flat), jax.jacfwd(r_of)(flat)
        irls_weight = weight * jnp.minimum(1.0, delta / jnp.abs(r))
        gradient = jacobian.T @ (irls_weight * r)
        newton = (jacobian.T * (weight * (jnp.abs(r) <= delta))) @ jacobian
        bound = (jacobian.T * irls_weight) @ jacobian
        tiny = 1e-12 * jnp.trace(bound) * jnp.eye(flat.size)
        move = jnp.linalg.solve(newton + damping * bound + tiny, gradient)
        now, then = huber_sum(r, weight, delta), huber_sum(r_of(flat - move), weight, delta)
        better = then < now
        damping = jnp.where(better, 0.2 * damping, 4 * jnp.maximum(damping, 1e-6))
        return jnp.where(better, flat - move, flat), damping, gradient @ move / now, count + 1

    def unfinished(state: tuple) -> Bool[Array, ""]:
        _, damping, gain, count = state
        return (gain > CLOSE) & (damping < STUCK) & (count < steps)

    one = jnp.ones((), start.dtype)
    end, damping, gain, _ = jax.lax.while_loop(unfinished, step, (start, one, one, 0))
    return HuberMinimum(end, (gain <= CLOSE) | (damping >= STUCK))


def search_huber(
    model: Model,
    data: Data,
    starts: Float[Array, "start dim"],
    deltas: Float[Array, " stage"],
    polished: int = POLISHED,
) -> HuberMinimum:
    """The lowest minimum reached from the best `polished` of `starts`."""
    objective = jax.vmap(lambda flat: huber_sum(residuals(model, data, flat), data.weight, deltas[-1]))
    best = ranked(objective(starts))[:polished]
    ends = jax.lax.map(lambda flat: minimise_huber(model, data, flat, deltas), starts[best])
    row = lowest(objective(ends.x))
    return HuberMinimum(ends.x[row], ends.converged[row])


def with_noise(model: Model, data: Data, law: Theta, converged: Bool[Array, ""]) -> Estimate:
    """A law together with the posterior mode of the noise's parameters, given its residuals.

    Parameters
    ----------
    model, data
        What the density is evaluated with.
    law
        Its parameters by name, unit-free.
    converged
        Whether the search for them did.
    """
    law_z = model.space.unconstrain(law)
    noise = guessed_noise(model, data, law)
    flat, unravel = ravel_pytree(model.space.unconstrain({p.name: noise[p.name] for p in model.noise.params()}))
    if not flat.size:
        return Estimate({**law, **noise}, converged)
    found = descend(autodiff_value_grad_hess(lambda z: model.potential({**law_z, **unravel(z)}, data)), flat)
    return Estimate({**law, **model.space.constrain(unravel(found.x))}, converged & found.converged)
