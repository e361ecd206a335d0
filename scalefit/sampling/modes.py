"""The modes of a posterior and the curvature there: where samplers start, and the metric that makes them fast."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit._aot import cached_jit
from scalefit.model.data import Data, over_tiles, thinned
from scalefit.model.model import Model
from scalefit.numerics.laplace import Laplace, laplace_at
from scalefit.numerics.newton import Minimum, descend_each, lowest, ranked
from scalefit.sampling.alr import alr_potential, from_alr, unconstrain_alr, unflatten
from scalefit.sampling.starts import constrain_law, guessed_noise, projected_starts, residuals

POLISHED = 3
APART = 1.0  # between starts, in unconstrained coordinates, whose priors have scales of about one


def modes(model: Model, data: Data) -> Laplace:
    """Modes reached from the `POLISHED` best starts that lie apart, best first. Nothing here is random."""
    return Laplace(*_modes(model, data))


@cached_jit("model")
def _modes(model: Model, data: Data) -> tuple[Array, ...]:
    few = thinned(data)
    starts = jax.vmap(partial(_start, model, few))(projected_starts(model, few))
    best = apart(starts, jax.vmap(partial(alr_potential, model, few))(starts))
    return tuple(modes_from(partial(derivatives, model, data), best))


def modes_from(value_grad_hess: Callable[[Array], Minimum], starts: Array) -> Laplace:
    """Modes reached from `starts` (start, dim), best first."""
    found = jax.vmap(laplace_at)(descend_each(value_grad_hess, starts))
    order = ranked(found.value)
    # What led nowhere gives way to the best, or proposals from all would have no density.
    order = jnp.where(jnp.isfinite(found.value[order]), order, order[0])
    return jax.tree.map(lambda leaf: leaf[order], found)


def derivatives(model: Model, data: Data, alr: Array) -> Minimum:
    """`alr_potential` with gradient and Hessian, by the chain rule from those in flat coordinates.

    The same as differentiating it (a test compares them), in a fraction of the operations.
    """
    there = partial(from_alr, model)
    height, gradient, hessian = _flat_derivatives(model, data, there(alr))
    slope = jax.jacfwd(there)(alr)
    turn = jax.hessian(lambda at: gradient @ there(at))(alr)
    return Minimum(alr, height, gradient @ slope, slope.T @ hessian @ slope + turn)


def _flat_derivatives(model: Model, data: Data, flat: Array) -> tuple[Array, Array, Array]:
    """`flat_potential` with gradient and Hessian, through the residuals: noise acts on runs one by one."""
    prior = _separable(lambda z: -model.space.log_density(unflatten(model, z)), flat)
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
        noise = model.space.constrain({p.name: value for p, value in zip(model.noise.params(), z, strict=True)})
        return (data.weight * model.noise.log_density(noise, r)).sum()

    value_grad_hess = jax.value_and_grad(likelihood, (0, 1))
    by_rr = jax.jvp(lambda r: value_grad_hess(r, z)[1][0], (r,), (jnp.ones_like(r),))[
        1
    ]  # each run's density has its r alone
    return *value_grad_hess(r, z), by_rr, jax.jacfwd(lambda z: value_grad_hess(r, z)[1])(z)


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
    return unconstrain_alr(model, {**theta, **guessed_noise(model, data, theta)})
