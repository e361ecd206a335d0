"""Variable projection: for given exponents the linear parameters are solved for (Golub and Pereyra 1973,
SIAM J. Numer. Anal. 10, 413).

Everything is written for one table and vectorises over tables and resamples.
"""

from collections.abc import Mapping
from itertools import product

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from scalefit.model.data import Data, Theta
from scalefit.model.model import Model
from scalefit.numerics.linalg import small_solve
from scalefit.numerics.newton import lowest

FLOOR = 1e-4  # a linear coefficient that least squares puts at zero starts here, in units of the mean loss


def basis(
    model: Model, theta: Theta, x: Mapping[str, Float[Array, " run"]]
) -> tuple[Float[Array, "linear run"], Float[Array, " run"]]:
    """The loss of every run per unit of each free linear parameter, and without them all."""
    zero = {**theta, **dict.fromkeys(free_linear(model), jnp.zeros(()))}
    loss = lambda values: jax.vmap(model.law.loss, (None, 0))(values, dict(x))
    rest = loss(zero)
    return jnp.stack([loss({**zero, name: jnp.ones(())}) - rest for name in free_linear(model)]), rest


def free_linear(model: Model) -> tuple[str, ...]:
    """The parameters in which the loss is linear, without those that are fixed."""
    return tuple(name for name in model.law.linear if name in model.free)


def nonnegative(
    phi: Float[Array, "linear run"], target: Float[Array, " run"], weight: Float[Array, " run"]
) -> Float[Array, " linear"]:
    """Non-negative least squares of `target` on the rows of `phi`, exact for a handful of them.

    Every set of active rows is solved for, and the best solution without negative coefficients is taken.
    """
    gram, moment = (phi * weight) @ phi.T, (phi * weight) @ target
    active = jnp.asarray([a for a in product((0.0, 1.0), repeat=len(phi)) if any(a)])
    squares = active[:, :, None] * active[:, None, :] * gram + jax.vmap(jnp.diag)(1 - active)
    found = jax.vmap(small_solve)(squares, active * moment)
    misfit = jnp.einsum("sa,ab,sb->s", found, gram, found) - 2 * found @ moment
    return found[lowest(jnp.where((found >= 0).all(-1), misfit, jnp.inf))]


def project(model: Model, data: Data, theta: Theta) -> Theta:
    """The linear parameters that fit best, in relative error, given the others; all by name, unit-free."""
    if not free_linear(model):
        return theta
    loss = jnp.exp(data.log_loss)
    phi, rest = basis(model, theta, data.x)
    best = jnp.maximum(nonnegative(phi / loss, 1 - rest / loss, data.weight), FLOOR)
    return {**theta, **dict(zip(free_linear(model), best, strict=True))}
