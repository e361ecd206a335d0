"""The modes of a posterior and the curvature there: where samplers start, and the metric that makes them fast."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit._programs import program
from scalefit.infer._coordinates import bent, straight_potential, unconstrain_straight, unflatten
from scalefit.infer._newton import Bottom, descend_each, lowest, ranked
from scalefit.infer._robust import constrain_law, guessed_noise, projected_starts, residuals
from scalefit.model import Data, Model, over_tiles, thinned

POLISHED = 3
APART = 1.0  # between starts, in unconstrained coordinates, whose priors have scales of about one
NEGLIGIBLE = 8.0  # a mode this much higher, in nats, is left unsaid
# Unit-free coordinates have priors of scale one: no posterior is wider than this curvature allows.
LEAST_CURVATURE = 0.25


class Laplace(NamedTuple):
    """Normal approximations at modes, in straight coordinates (dim,).

    height : the potential there; mode + scale @ normal is a draw, scale (dim, dim). Several modes lie along a
    leading axis of each; some may be the same mode, reached from several starts.
    """

    height: Array
    mode: Array
    scale: Array

    @classmethod
    def shapes(cls, model: Model, *count: int) -> Self:
        """Of `count` modes, or of one."""
        dim, number = len(model.params()), jnp.result_type(float)
        leaves: Any = (jax.ShapeDtypeStruct((*count, *own), number) for own in ((), (dim,), (dim, dim)))
        return cls(*leaves)


def modes(model: Model, data: Data) -> Laplace:
    """Modes reached from the `POLISHED` best starts that lie apart, best first. Nothing here is random."""
    return Laplace(*_modes(model, data))


@program("model")
def _modes(model: Model, data: Data) -> tuple[Array, ...]:
    few = thinned(data)
    starts = jax.vmap(partial(_start, model, few))(projected_starts(model, few))
    best = apart(starts, jax.vmap(partial(straight_potential, model, few))(starts))
    return tuple(modes_from(partial(derivatives, model, data), best))


def modes_from(look: Callable[[Array], Bottom], starts: Array) -> Laplace:
    """Modes reached from `starts` (start, dim), best first."""
    found = jax.vmap(laplace_at)(descend_each(look, starts))
    order = ranked(found.height)
    # What led nowhere gives way to the best, or proposals from all would have no density.
    order = jnp.where(jnp.isfinite(found.height[order]), order, order[0])
    return jax.tree.map(lambda leaf: leaf[order], found)


def derivatives(model: Model, data: Data, straight: Array) -> Bottom:
    """`straight_potential` with gradient and Hessian, by the chain rule from those in flat coordinates.

    The same as differentiating it (a test compares them), in a fraction of the operations.
    """
    there = partial(bent, model)
    height, gradient, hessian = _flat_derivatives(model, data, there(straight))
    slope = jax.jacfwd(there)(straight)
    turn = jax.hessian(lambda at: gradient @ there(at))(straight)
    return Bottom(straight, height, gradient @ slope, slope.T @ hessian @ slope + turn)


def _flat_derivatives(model: Model, data: Data, flat: Array) -> tuple[Array, Array, Array]:
    """`flat_potential` with gradient and Hessian, through the residuals: noise acts on runs one by one."""
    prior = _separable(lambda z: model.prior_potential(unflatten(model, z)), flat)
    gained = over_tiles(lambda tile: _likelihood(model, tile, flat), data)
    height, gradient, hessian = (a - b for a, b in zip(prior, gained, strict=True))
    return height, gradient, hessian


def _likelihood(model: Model, data: Data, flat: Array) -> tuple[Array, Array, Array]:
    """Log likelihood of the runs with gradient and Hessian."""
    names = sorted(p.name for p in model.params())
    law, noise = (np.array([names.index(p.name) for p in part.params()]) for part in (model.law, model.noise))
    miss = partial(residuals, model, data)
    r, slopes = -miss(flat[law]), jax.jacfwd(miss)(flat[law])

    value, (by_r, by_z), by_rr, (by_rz, by_zz) = _noise_derivatives(model, data, r, flat[noise])
    bend = jax.hessian(lambda z: jax.lax.stop_gradient(by_r) @ miss(z))(flat[law])
    across = -slopes.T @ by_rz
    gradient = jnp.concatenate([-by_r @ slopes, by_z])
    hessian = jnp.block([[(slopes.T * by_rr) @ slopes - bend, across], [across.T, by_zz]])
    order = np.argsort(np.concatenate([law, noise]))
    return value, gradient[order], hessian[order[:, None], order]


def _noise_derivatives(model: Model, data: Data, r: Array, z: Array) -> tuple[Array, Any, Array, Any]:
    """Log likelihood of ln residuals r (run,) under unconstrained noise parameters z; its slopes by r and z; then by
    r twice, (run,); and by z, of both slopes."""

    def likelihood(r: Array, z: Array) -> Array:
        noise = model.constrain({p.name: value for p, value in zip(model.noise.params(), z, strict=True)})
        return (data.weight * model.noise.log_density(noise, r)).sum()

    look = jax.value_and_grad(likelihood, (0, 1))
    by_rr = jax.jvp(lambda r: look(r, z)[1][0], (r,), (jnp.ones_like(r),))[1]  # each run's density has its r alone
    return *look(r, z), by_rr, jax.jacfwd(lambda z: look(r, z)[1])(z)


def _separable(f: Callable[[Array], Array], z: Array) -> tuple[Array, Array, Array]:
    """Value, gradient and Hessian of a sum of functions of one coordinate each, as priors are."""
    (value, gradient), (_, second) = jax.jvp(jax.value_and_grad(f), (z,), (jnp.ones_like(z),))
    return value, gradient, jnp.diag(second)


def apart(starts: Array, heights: Array) -> Array:
    """The lowest start, then the lowest of those at least `APART` from all before it, and so on: (POLISHED, dim)."""
    chosen = []
    for _ in range(POLISHED):
        chosen.append(starts[lowest(heights)])
        heights = jnp.where(jnp.linalg.norm(starts - chosen[-1], axis=1) < APART, jnp.inf, heights)
    return jnp.stack(chosen)


def laplace(model: Model, data: Data) -> Laplace:
    """The lowest of the modes."""
    return jax.tree.map(lambda leaf: leaf[0], modes(model, data))


def _start(model: Model, data: Data, law: Array) -> Array:
    """Straight coordinates of a law's parameters, with noise to match."""
    theta = constrain_law(model, law)
    return unconstrain_straight(model, {**theta, **guessed_noise(model, data, theta)})


def laplace_at(bottom: Bottom) -> Laplace:
    """Laplace's approximation from where a descent ended."""
    curvature, axes = jnp.linalg.eigh(bottom.hessian)
    return Laplace(bottom.height, bottom.place, axes / jnp.sqrt(jnp.maximum(curvature, LEAST_CURVATURE)))


def count_modes(found: Laplace) -> Array:
    """How many of the modes differ, by three standard deviations, and are not negligible beside the lowest."""
    whiten = jnp.linalg.inv(found.scale)
    off = found.mode[:, None] - found.mode[None]
    distance = jnp.linalg.norm(jnp.einsum("jab,ijb->ija", whiten, off), axis=-1)
    earlier = jnp.tril(jnp.ones(distance.shape, bool), -1)
    repeated = (earlier & (distance < 3.0)).any(axis=1)
    return (~repeated & (found.height < found.height[0] + NEGLIGIBLE)).sum()
