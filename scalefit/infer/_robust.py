"""Point estimates of a law: Huber's loss on ln residuals, where to start, and the noise that is left over.

Flat vectors hold the law's parameters in order, unconstrained and unit-free. Everything is written for one table and
vectorises over tables and resamples.
"""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from scalefit.infer._newton import autodiff, descend, lowest, ranked
from scalefit.model import Data, Model, Theta

CANDIDATES = 64
POLISHED = 4
STEPS = 300
FLOOR = 1e-4  # a linear coefficient that least squares puts at zero starts here, in units of the mean loss


def constrain_law(model: Model, flat: Array) -> Theta:
    """The law's parameters by name from a flat vector."""
    return model.constrain({p.name: value for p, value in zip(model.law.params(), flat, strict=True)})


def flatten_law(model: Model, theta: Mapping[str, Any]) -> Array:
    """The inverse of `constrain_law`; parameters of the noise are left out."""
    law = model.unconstrain({p.name: theta[p.name] for p in model.law.params()})
    return jnp.stack([law[p.name] for p in model.law.params()])


def residuals(model: Model, data: Data, flat: Array) -> Array:
    """ln law - ln loss of every run, (run,)."""
    return model.log_mean(constrain_law(model, flat), data.x) - data.log_loss


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


def basis(model: Model, theta: Theta, x: Mapping[str, Array]) -> tuple[Array, Array]:
    """The loss of every run per unit of each linear parameter, (linear, run), and without them all, (run,)."""
    zero = {**theta, **dict.fromkeys(model.law.linear, jnp.zeros(()))}
    loss = lambda values: jax.vmap(model.law.loss, (None, 0))(values, dict(x))
    rest = loss(zero)
    return jnp.stack([loss({**zero, name: jnp.ones(())}) - rest for name in model.law.linear]), rest


def nonnegative(phi: Array, target: Array, weight: Array) -> Array:
    """Non-negative least squares, (linear,): the best of all sets of active columns, exact for a handful of them."""
    gram, moment = (phi * weight) @ phi.T, (phi * weight) @ target
    active = jnp.asarray([a for a in product((0.0, 1.0), repeat=len(phi)) if any(a)])
    squares = active[:, :, None] * active[:, None, :] * gram + jax.vmap(jnp.diag)(1 - active)
    found = jax.vmap(_eliminate)(squares, active * moment)
    misfit = jnp.einsum("sa,ab,sb->s", found, gram, found) - 2 * found @ moment
    return found[lowest(jnp.where((found >= 0).all(-1), misfit, jnp.inf))]


def _eliminate(a: Array, b: Array) -> Array:
    """x of a x = b, a positive definite: Gauss and Jordan's elimination, far quicker than LAPACK on a few unknowns."""
    rows = jnp.column_stack([a, b])
    for i in range(len(b)):
        pivot = rows[i] / rows[i, i]
        rows = jnp.where(jnp.arange(len(b))[:, None] == i, pivot, rows - rows[:, i, None] * pivot)
    return rows[:, -1]


def project(model: Model, data: Data, theta: Theta) -> Theta:
    """Variable projection: the linear parameters that fit best, in relative error, given the others."""
    if not model.law.linear:
        return theta
    loss = jnp.exp(data.log_loss)
    phi, rest = basis(model, theta, data.x)
    best = jnp.maximum(nonnegative(phi / loss, 1 - rest / loss, data.weight), FLOOR)
    return {**theta, **dict(zip(model.law.linear, best, strict=True))}


def projected_starts(model: Model, data: Data) -> Array:
    """Parameters from all over the prior, the linear ones projected, (CANDIDATES, dim)."""
    draws = model.spread_prior(CANDIDATES)
    return jax.vmap(lambda theta: flatten_law(model, project(model, data, theta)))(draws)


def search_huber(model: Model, data: Data, starts: Array, deltas: Array, polished: int = POLISHED) -> Array:
    """The lowest minimum reached from the best few of `starts`, (start, dim)."""
    height = jax.vmap(lambda flat: huber_sum(residuals(model, data, flat), data.weight, deltas[-1]))
    best = ranked(height(starts))[:polished]
    ends = jax.lax.map(lambda flat: minimise_huber(model, data, flat, deltas), starts[best])
    return ends[lowest(height(ends))]


def guessed_noise(model: Model, data: Data, law: Theta) -> Theta:
    """Noise of the size that the law's residuals have."""
    left = jnp.abs(model.log_mean(law, data.x) - data.log_loss)
    return model.noise.guess((data.weight * left).sum() / data.weight.sum())


def with_noise(model: Model, data: Data, law: Theta) -> Theta:
    """The law's parameters and the posterior mode of the noise's, given the law's residuals."""
    law_z = model.unconstrain(law)
    flat, unravel = ravel_pytree(model.unconstrain(guessed_noise(model, data, law)))
    found = descend(autodiff(lambda z: model.potential({**law_z, **unravel(z)}, data)), flat)
    return {**law, **model.constrain(unravel(found.place))}
