"""Where posteriors are looked at: flat vectors of unconstrained parameters, and alr ones.

Inputs are in units of their geometric means, so the linear parameters, or those that a law names as its `parts`, add up
to about the loss in the middle of the table. That is known far better than each of them, which trade places where runs
lie near one ray: in the logarithm of each the posterior is then a thin curved sheet, which descents and chains follow
in many steps, and which proposals leave. In the logarithm of the sum and of the ratios to the first (additive
log-ratios, Aitchison 1982, J. R. Stat. Soc. B 44, 139) it is flat. The map keeps volumes, so that densities, and so
modes, are the same in both.
"""

from functools import partial

import jax.numpy as jnp
from jax import Array
from jax.scipy.special import logsumexp

from scalefit.model.data import Data, Theta
from scalefit.model.model import Model


def flatten(model: Model, z: Theta) -> Array:
    """Unconstrained parameters by name as a flat vector (dim,), in alphabetical order."""
    return model.space.alphabetical.flatten(z)


def unflatten(model: Model, flat: Array) -> Theta:
    """The inverse of `flatten`; flat vectors (..., dim) give parameters (...)."""
    return model.space.alphabetical.unflatten(flat)


def flat_potential(model: Model, data: Data, flat: Array) -> Array:
    """`Model.potential` of a flat vector."""
    return model.potential(unflatten(model, flat), data)


def constrain_flat(model: Model, flat: Array) -> Theta:
    """Flat vectors (..., dim) as parameters by name, each (...)."""
    return model.space.constrain(unflatten(model, flat))


def parts(model: Model) -> tuple[str, ...]:
    """The parameters that about add up to the loss in the middle of the table."""
    return model.law.parts or model.law.linear


def to_alr(model: Model, flat: Array) -> Array:
    """From flat coordinates (dim,), which are logarithms for positive parameters."""
    if not parts(model):
        return flat
    z = unflatten(model, flat)
    first, *others = parts(model)
    total = logsumexp(jnp.stack([z[name] for name in parts(model)]))
    return flatten(model, z | {first: total} | {name: z[name] - z[first] for name in others})


def from_alr(model: Model, alr: Array) -> Array:
    """The inverse of `to_alr`."""
    if not parts(model):
        return alr
    z = unflatten(model, alr)
    first, *others = parts(model)
    ratios: Theta = {first: jnp.zeros_like(z[first])} | {name: z[name] for name in others}
    level = z[first] - logsumexp(jnp.stack(list(ratios.values())))
    return flatten(model, z | {name: level + ratio for name, ratio in ratios.items()})


def alr_potential(model: Model, data: Data, alr: Array) -> Array:
    """`flat_potential` at alr coordinates (dim,)."""
    return flat_potential(model, data, from_alr(model, alr))


def constrain_alr(model: Model, alr: Array) -> Theta:
    """Straight vectors (..., dim) as parameters by name, each (...)."""
    return constrain_flat(model, jnp.vectorize(partial(from_alr, model), signature="(dim)->(dim)")(alr))


def unconstrain_alr(model: Model, theta: Theta) -> Array:
    """The inverse of `constrain_alr` for scalars: (dim,)."""
    return to_alr(model, flatten(model, model.space.unconstrain(theta)))
