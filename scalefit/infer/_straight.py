"""Coordinates in which posteriors are straight: what the parts of the loss add up to, and their ratios.

Inputs are in units of their geometric means, so the linear parameters, or those that a law names as its `parts`, add up
to about the loss in the middle of the table. That is known far better than each of them, which trade places where runs
lie near one ray: in the logarithm of each the posterior is then a thin curved sheet, which proposals leave and chains
follow in many steps. In the logarithm of the sum and of the ratios to the first (additive log-ratios, Aitchison 1982,
J. R. Stat. Soc. B 44, 139) it is flat. The map keeps volumes, so that densities are the same in both.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import logsumexp

from scalefit.infer._mode import Laplace, constrain_flat, flat_potential, flatten, unflatten
from scalefit.model import Data, Model, Theta


def parts(model: Model) -> tuple[str, ...]:
    """The parameters that about add up to the loss in the middle of the table."""
    return model.law.parts or model.law.linear


def straightened(model: Model, flat: Array) -> Array:
    """From flat unconstrained coordinates (dim,), which are logarithms for positive parameters."""
    if not parts(model):
        return flat
    z = unflatten(model, flat)
    first, *others = parts(model)
    total = logsumexp(jnp.stack([z[name] for name in parts(model)]))
    return flatten(model, z | {first: total} | {name: z[name] - z[first] for name in others})


def bent(model: Model, straight: Array) -> Array:
    """The inverse of `straightened`."""
    if not parts(model):
        return straight
    z = unflatten(model, straight)
    first, *others = parts(model)
    ratios: Theta = {first: jnp.zeros_like(z[first])} | {name: z[name] for name in others}
    level = z[first] - logsumexp(jnp.stack(list(ratios.values())))
    return flatten(model, z | {name: level + ratio for name, ratio in ratios.items()})


@partial(jax.jit, static_argnames="model")
def straight_laplace(model: Model, found: Laplace) -> Laplace:
    """Several of Laplace's approximations, each carried over by the slope of the map at its mode."""
    there = partial(straightened, model)
    slope = jax.vmap(jax.jacfwd(there))(found.mode)
    return Laplace(found.height, jax.vmap(there)(found.mode), slope @ found.scale)


def straight_potential(model: Model, data: Data, straight: Array) -> Array:
    """`flat_potential` at straight coordinates (dim,)."""
    return flat_potential(model, data, bent(model, straight))


def constrain_straight(model: Model, straight: Array) -> Theta:
    """Straight vectors (..., dim) as parameters by name, each (...)."""
    return constrain_flat(model, jnp.vectorize(partial(bent, model), signature="(dim)->(dim)")(straight))
