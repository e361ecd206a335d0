"""Where searches start: laws from all over the prior, their residuals, and noise to match these.

Flat vectors hold the law's parameters in order, unconstrained and unit-free. Everything is written for one table and
vectorises over tables and resamples.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from scalefit.model.data import Data, Theta
from scalefit.model.model import Model
from scalefit.sampling.varpro import project

CANDIDATES = 64


def constrain_law(model: Model, flat: Float[Array, "*start dim"]) -> dict[str, Float[Array, "*start"]]:
    """The law's parameters by name from a flat vector."""
    return model.law_space.constrain(model.law_space.unflatten(flat))


def flatten_law(model: Model, theta: Mapping[str, Any]) -> Float[Array, "*start dim"]:
    """The inverse of `constrain_law`; parameters of the noise are left out."""
    return model.law_space.flatten(model.law_space.unconstrain(theta))


def residuals(model: Model, data: Data, flat: Float[Array, " dim"]) -> Float[Array, " run"]:
    """ln law - ln loss of every run."""
    return model.log_mean(constrain_law(model, flat), data.x) - data.log_loss


def projected_starts(model: Model, data: Data) -> Float[Array, "start dim"]:
    """`CANDIDATES` laws from all over the prior, their linear parameters projected."""
    laws = model.law_space.spread(CANDIDATES)
    return jax.vmap(lambda theta: flatten_law(model, model.law_space.inside(project(model, data, theta))))(laws)


def guessed_noise(model: Model, data: Data, law: Theta) -> Theta:
    """Noise of the size that the law's residuals have."""
    size = jnp.abs(model.log_mean(law, data.x) - data.log_loss)
    return model.space.inside(model.noise.guess((data.weight * size).sum() / data.weight.sum()), margin=0.5)
