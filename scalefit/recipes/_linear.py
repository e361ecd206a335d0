"""Where the joint model of several recipes is linear: a law, and how ln loss of every run moves with the differences.

Around one point ln loss is linear in the differences between recipes, which are normal beforehand. They become columns
of a basis, beside those of the discrepancy, and the posterior of law, noise and basis is that of one table.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from scalefit._aot import cached_jit
from scalefit.model.data import Data, Theta
from scalefit.model.model import Model
from scalefit.recipes._terms import Terms
from scalefit.sampling.alr import from_alr, unflatten

STEPS = 12  # Gauss and Newton's
LONGEST = 0.7  # step in any coordinate
SMOOTH = 0.005  # of ln loss: what law and differences leave to the discrepancy
NU = 4.0  # of the weights, by which a far run does not move the point


class Linear(NamedTuple):
    """The point, and the table as a law alone explains it there.

    Attributes
    ----------
    theta
        Law and noise, unit-free scalars.
    delta
        Of every recipe but the baseline.
    log_x, log_loss
        Inputs that every run counts for, and its loss less what is linear, unit-free.
    slopes
        Of ln loss, by the terms of the run's own recipe, in units of their prior standard deviation.
    """

    theta: Theta
    delta: Float[Array, "recipe term"]
    log_x: dict[str, Float[Array, " run"]]
    log_loss: Float[Array, " run"]
    slopes: Float[Array, "run term"]


@cached_jit("model", "terms", "recipes")
def linearised(
    model: Model, terms: Terms, recipes: int, data: Data, code: Int[Array, " run"], start: Float[Array, " dim"]
) -> tuple[Any, ...]:
    """`Linear` at the mode of law and differences, sought from a law's ALR coordinates.

    Parameters
    ----------
    model, terms, recipes
        The law, how recipes differ, and how many there are, the baseline included.
    data, code
        The table, and the recipe of every run, 0 for the baseline.
    start
        ALR coordinates of the baseline's law and noise.
    """
    count, dim, sd = recipes - 1, len(start), jnp.asarray(terms.sd, start.dtype)
    own = jax.nn.one_hot(code - 1, count, dtype=start.dtype)

    def theta_of(alr: Array) -> Theta:
        return model.space.constrain(unflatten(model, from_alr(model, alr)))

    def log_loss(theta: Theta, v: Array) -> Array:
        of_run = lambda x, delta: terms.log_loss(model.law, theta, x, delta)
        return jax.vmap(of_run)(data.x, (own @ v) * sd)

    def slopes_of(theta: Theta, v: Array) -> Array:
        of_run = lambda x, delta: jax.jacfwd(lambda d: terms.log_loss(model.law, theta, x, d))(delta)
        return jax.vmap(of_run)(data.x, (own @ v) * sd) * sd

    prior = lambda alr: -model.space.log_density(unflatten(model, from_alr(model, alr)))
    scale = jnp.sqrt(theta_of(start)["sigma"] ** 2 + SMOOTH**2)
    moving = jnp.asarray([float(name in model.law_space.names) for name in sorted(model.free)], start.dtype)

    def step(_: Any, at: Array) -> Array:
        alr, v = at[:dim], at[dim:].reshape(count, len(sd))
        r = data.log_loss - log_loss(theta_of(alr), v)
        by_law = jax.jacfwd(lambda alr: log_loss(theta_of(alr), v))(alr)
        by_term = (own[:, :, None] * slopes_of(theta_of(alr), v)[:, None]).reshape(len(r), -1)
        slopes = jnp.concatenate([by_law, by_term], axis=1)
        weight = data.weight * (NU + 1) / (NU + (r / scale) ** 2) / scale**2
        precision = jnp.zeros((len(at), len(at)), at.dtype).at[:dim, :dim].set(_curved(jax.hessian(prior)(alr)))
        precision = precision + jnp.diag(jnp.concatenate([1 - moving, jnp.ones(v.size, at.dtype)]))
        pull = jnp.concatenate([-jax.grad(prior)(alr) * moving, -at[dim:]])
        move = jnp.linalg.solve((slopes.T * weight) @ slopes + precision, slopes.T @ (weight * r) + pull)
        return at + move * jnp.minimum(1.0, LONGEST / jnp.maximum(jnp.abs(move).max(), 1e-9))

    at = jax.lax.fori_loop(0, STEPS, step, jnp.concatenate([start, jnp.zeros(count * len(sd), start.dtype)]))
    theta, v = theta_of(at[:dim]), at[dim:].reshape(count, len(sd))
    delta, slopes = v * sd, slopes_of(theta, v)
    by_name = dict(zip(terms.names, (own @ delta).T, strict=True))
    names = model.law.same_unit
    log_x = {name: values + by_name.get(names.get(name, name), 0.0) for name, values in data.log_x.items()}
    counted = {name: jnp.exp(values) for name, values in log_x.items()}
    beside = log_loss(theta, v) - model.log_mean(theta, counted)  # floor, exponents and level, at the point
    rest = data.log_loss - beside + (slopes * (own @ v)).sum(axis=1)
    return theta, delta, log_x, rest, slopes


def _curved(hessian: Float[Array, "dim dim"]) -> Float[Array, "dim dim"]:
    curvature, axes = jnp.linalg.eigh(hessian)
    return (axes * jnp.maximum(curvature, 0.1)) @ axes.T
