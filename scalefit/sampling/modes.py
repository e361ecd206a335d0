"""The modes of a posterior and the curvature there: where samplers start, and the metric that makes them fast."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from scalefit._aot import cached_jit
from scalefit.model.data import Data, over_tiles, thinned
from scalefit.model.likelihood import log_density
from scalefit.model.model import Model
from scalefit.numerics.laplace import Laplace, laplace_at
from scalefit.numerics.newton import Minimum, descend_each, lowest, ranked
from scalefit.sampling.alr import alr_potential, from_alr, unconstrain_alr, unflatten
from scalefit.sampling.starts import constrain_law, guessed_noise, projected_starts, residuals

POLISHED = 3
APART = 1.0  # between starts, in unconstrained coordinates, whose priors have scales of about one


class Derivatives(NamedTuple):
    """Of a function of flat coordinates, at one place."""

    value: Float[Array, ""]
    gradient: Float[Array, " dim"]
    hessian: Float[Array, "dim dim"]


def modes(model: Model, data: Data) -> Laplace:
    """Modes reached from the `POLISHED` best starts that lie apart, best first. Nothing here is random."""
    return Laplace(*_modes(model, data))


@cached_jit("model")
def _modes(model: Model, data: Data) -> tuple[Array, ...]:
    few = thinned(data)
    starts = jax.vmap(partial(_start, model, few))(projected_starts(model, few))
    best = apart(starts, jax.vmap(partial(alr_potential, model, few))(starts))
    return tuple(modes_from(partial(derivatives, model, data), best))


def _start(model: Model, data: Data, law: Float[Array, " law"]) -> Float[Array, " dim"]:
    """ALR coordinates of a law's parameters, with noise to match."""
    theta = constrain_law(model, law)
    return unconstrain_alr(model, {**theta, **guessed_noise(model, data, theta)})


def laplace(model: Model, data: Data) -> Laplace:
    """The lowest of the modes."""
    return jax.tree.map(lambda leaf: leaf[0], modes(model, data))


def apart(starts: Float[Array, "start dim"], values: Float[Array, " start"]) -> Float[Array, "polished dim"]:
    """The lowest start, then the lowest of those at least `APART` from all before it, and so on."""
    chosen = []
    for _ in range(POLISHED):
        chosen.append(starts[lowest(values)])
        values = jnp.where(jnp.linalg.norm(starts - chosen[-1], axis=1) < APART, jnp.inf, values)
    return jnp.stack(chosen)


def modes_from(value_grad_hess: Callable[[Array], Minimum], starts: Float[Array, "start dim"]) -> Laplace:
    """Modes reached from `starts`, best first."""
    found = jax.vmap(laplace_at)(descend_each(value_grad_hess, starts))
    order = ranked(found.value)
    # A descent that led nowhere gives way to the best, or proposals from all would have no density.
    order = jnp.where(jnp.isfinite(found.value[order]), order, order[0])
    return jax.tree.map(lambda leaf: leaf[order], found)


def derivatives(model: Model, data: Data, alr: Float[Array, " dim"]) -> Minimum:
    """`alr_potential` with gradient and Hessian, by the chain rule from those in flat coordinates.

    The same as differentiating it (a test compares them), in a fraction of the operations.
    """
    flat_of = partial(from_alr, model)
    value, gradient, hessian = _flat_derivatives(model, data, flat_of(alr))
    jacobian = jax.jacfwd(flat_of)(alr)
    curvature = jax.hessian(lambda alr: gradient @ flat_of(alr))(alr)
    return Minimum(alr, value, gradient @ jacobian, jacobian.T @ hessian @ jacobian + curvature)


def _flat_derivatives(model: Model, data: Data, flat: Float[Array, " dim"]) -> Derivatives:
    """`flat_potential` with gradient and Hessian, through the residuals: noise acts on runs one by one."""
    prior = _separable(lambda z: -model.space.log_density(unflatten(model, z)), flat)
    log_likelihood = over_tiles(lambda tile: tuple(_log_likelihood(model, tile, flat)), data)
    return Derivatives(*(a - b for a, b in zip(prior, log_likelihood, strict=True)))


def _separable(f: Callable[[Array], Array], z: Float[Array, " dim"]) -> Derivatives:
    """Of a sum of functions of one coordinate each, as priors are."""
    (value, gradient), (_, second) = jax.jvp(jax.value_and_grad(f), (z,), (jnp.ones_like(z),))
    return Derivatives(value, gradient, jnp.diag(second))


def _log_likelihood(model: Model, data: Data, flat: Float[Array, " dim"]) -> Derivatives:
    """Log likelihood of the runs."""
    names, in_law = sorted(model.free), model.law_space.names
    law = np.array([names.index(name) for name in in_law], dtype=int)
    noise = np.array([names.index(name) for name in model.free if name not in in_law], dtype=int)
    residual = partial(residuals, model, data)
    r, slopes = -residual(flat[law]), jax.jacfwd(residual)(flat[law])

    if data.clusters is None:
        value, (by_r, by_z), by_rr, (by_rz, by_zz) = _noise_derivatives(model, data, r, flat[noise])
        by_law = (slopes.T * by_rr) @ slopes
    else:
        value, (by_r, by_z), by_law, (by_rz, by_zz) = _cluster_derivatives(model, data, r, flat[noise], slopes)
    curvature = jax.hessian(lambda z: jax.lax.stop_gradient(by_r) @ residual(z))(flat[law])
    across = -slopes.T @ by_rz
    gradient = jnp.concatenate([-by_r @ slopes, by_z])
    hessian = jnp.block([[by_law - curvature, across], [across.T, by_zz]])
    order = np.argsort(np.concatenate([law, noise]))
    return Derivatives(value, gradient[order], hessian[order[:, None], order])


def _noise_derivatives(
    model: Model, data: Data, r: Float[Array, " run"], z: Float[Array, " noise"]
) -> tuple[
    Float[Array, ""],
    tuple[Float[Array, " run"], Float[Array, " noise"]],
    Float[Array, " run"],
    tuple[Float[Array, "run noise"], Float[Array, "noise noise"]],
]:
    """Log likelihood of ln residuals r under unconstrained noise parameters z; its slopes by r and z; then by r twice;
    and by z, of both slopes."""

    value_and_grad = jax.value_and_grad(partial(_of_noise, model, data), (0, 1))
    # The density of each run depends on its own r alone.
    by_rr = jax.jvp(lambda r: value_and_grad(r, z)[1][0], (r,), (jnp.ones_like(r),))[1]
    return *value_and_grad(r, z), by_rr, jax.jacfwd(lambda z: value_and_grad(r, z)[1])(z)


def _cluster_derivatives(
    model: Model,
    data: Data,
    r: Float[Array, " run"],
    z: Float[Array, " noise"],
    slopes: Float[Array, "run law"],
) -> tuple[
    Float[Array, ""],
    tuple[Float[Array, " run"], Float[Array, " noise"]],
    Float[Array, "law law"],
    tuple[Float[Array, "run noise"], Float[Array, "noise noise"]],
]:
    """As `_noise_derivatives`, where the density of a run depends on its cluster's; its second slopes by r twice are
    along `slopes`, of the law's ln loss."""
    count = slopes.shape[1]

    def grad_at(moved: Float[Array, " law_and_noise"]) -> tuple[Array, Array]:
        return jax.grad(partial(_of_noise, model, data), (0, 1))(r + slopes @ moved[:count], z + moved[count:])

    here = jnp.zeros(count + len(z), r.dtype)
    along_r, along_z = jax.jacfwd(grad_at)(here)
    second = slopes.T @ along_r[:, :count], (along_r[:, count:], along_z[:, count:])
    return _of_noise(model, data, r, z), grad_at(here), *second


def _of_noise(model: Model, data: Data, r: Float[Array, " run"], z: Float[Array, " noise"]) -> Float[Array, ""]:
    """Log likelihood of ln residuals r under unconstrained parameters z of the noise."""
    free_noise = [name for name in model.free if name not in model.law_space.names]
    return log_density(model.noise, model.space.constrain(dict(zip(free_noise, z, strict=True))), data, r)
