"""Point estimates of a law: Huber's loss on ln residuals, where to start, and the noise that is left over.

Flat vectors hold the law's parameters in order, unconstrained and unit-free. Everything is written for one table and
vectorises over tables and resamples.
"""

from collections.abc import Mapping
from itertools import product

import jax
import jax.numpy as jnp
from jax import Array

from scalefit.model.data import Data, Theta
from scalefit.model.model import Model
from scalefit.numerics.newton import lowest

FLOOR = 1e-4  # a linear coefficient that least squares puts at zero starts here, in units of the mean loss


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
