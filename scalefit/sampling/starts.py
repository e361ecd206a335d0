"""Point estimates of a law: Huber's loss on ln residuals, where to start, and the noise that is left over.

Flat vectors hold the law's parameters in order, unconstrained and unit-free. Everything is written for one table and
vectorises over tables and resamples.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from scalefit.model.data import Data, Theta
from scalefit.model.model import Model
from scalefit.sampling.varpro import project

CANDIDATES = 64


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


def projected_starts(model: Model, data: Data) -> Array:
    """Parameters from all over the prior, the linear ones projected, (CANDIDATES, dim)."""
    draws = model.spread_prior(CANDIDATES)
    return jax.vmap(lambda theta: flatten_law(model, project(model, data, theta)))(draws)


def guessed_noise(model: Model, data: Data, law: Theta) -> Theta:
    """Noise of the size that the law's residuals have."""
    left = jnp.abs(model.log_mean(law, data.x) - data.log_loss)
    return model.noise.guess((data.weight * left).sum() / data.weight.sum())
