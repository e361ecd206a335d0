"""Coordinates of posteriors: flat vectors of unconstrained parameters, and additive log-ratio (ALR) ones.

Inputs are in units of their geometric means, so the linear parameters, or those that a law names as its `parts`, add up
to about the loss in the middle of the table. That is known far better than each of them, which trade places where runs
lie near one ray: in the logarithm of each the posterior is then a thin curved sheet, which descents and chains follow
in many steps, and which proposals leave. In the logarithm of the sum and of the ratios to the first (additive
log-ratios, Aitchison 1982, J. R. Stat. Soc. B 44, 139) it is flat. The map keeps volumes, so that densities, and so
modes, are the same in both.
"""

from functools import partial
from math import inf

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float

from scalefit.model.data import Data, Theta
from scalefit.model.model import Model


def flatten(model: Model, z: Theta) -> Float[Array, " dim"]:
    """Unconstrained parameters by name, scalars, as a flat vector in alphabetical order."""
    return model.space.alphabetical.flatten(z)


def unflatten(model: Model, flat: Float[Array, "*draw dim"]) -> dict[str, Float[Array, "*draw"]]:
    """The inverse of `flatten`, of any number of vectors."""
    return model.space.alphabetical.unflatten(flat)


def flat_potential(model: Model, data: Data, flat: Float[Array, " dim"]) -> Float[Array, ""]:
    """`Model.potential` of a flat vector."""
    return model.potential(unflatten(model, flat), data)


def constrain_flat(model: Model, flat: Float[Array, "*draw dim"]) -> dict[str, Float[Array, "*draw"]]:
    """Flat vectors as parameters on their supports, by name."""
    return model.space.constrain(unflatten(model, flat))


def parts(model: Model) -> tuple[str, ...]:
    """The free, positive parameters that about add up to the loss in the middle of the table."""
    priors = model.space.priors
    return tuple(n for n in model.law.parts or model.law.linear if n in priors and priors[n].ends == (0.0, inf))


def to_alr(model: Model, flat: Float[Array, " dim"]) -> Float[Array, " dim"]:
    """From flat coordinates, which are logarithms for positive parameters, to ALR ones."""
    if not parts(model):
        return flat
    z = unflatten(model, flat)
    first, *others = parts(model)
    total = logsumexp(jnp.stack([z[name] for name in parts(model)]))
    return flatten(model, z | {first: total} | {name: z[name] - z[first] for name in others})


def from_alr(model: Model, alr: Float[Array, " dim"]) -> Float[Array, " dim"]:
    """The inverse of `to_alr`."""
    if not parts(model):
        return alr
    z = unflatten(model, alr)
    first, *others = parts(model)
    ratios: Theta = {first: jnp.zeros_like(z[first])} | {name: z[name] for name in others}
    level = z[first] - logsumexp(jnp.stack(list(ratios.values())))
    return flatten(model, z | {name: level + ratio for name, ratio in ratios.items()})


def alr_potential(model: Model, data: Data, alr: Float[Array, " dim"]) -> Float[Array, ""]:
    """`flat_potential` at ALR coordinates."""
    return flat_potential(model, data, from_alr(model, alr))


def constrain_alr(model: Model, alr: Float[Array | np.ndarray, "*draw dim"]) -> dict[str, Float[Array, "*draw"]]:
    """ALR vectors as parameters on their supports, by name."""
    return constrain_flat(model, jnp.vectorize(partial(from_alr, model), signature="(dim)->(dim)")(alr))


def unconstrain_alr(model: Model, theta: Theta) -> Float[Array, " dim"]:
    """The inverse of `constrain_alr` for scalars."""
    return to_alr(model, flatten(model, model.space.unconstrain(theta)))
