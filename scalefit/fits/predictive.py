"""Compiled programs of what a fit predicts: expected losses draw by draw, and predictive densities."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from scalefit._aot import cached_jit
from scalefit.model.data import Theta
from scalefit.model.discrepancy import discrepancies_at
from scalefit.model.model import Model


@cached_jit("model")
def log_loss_draws(model: Model, theta: Theta, x: dict[str, Array], paths: Mapping[str, Any] | None) -> Array:
    """ln loss of the law, with the discrepancy where there are paths of it, (draw, run)."""
    mean = jax.vmap(lambda draw: model.log_mean(draw, x))(theta)
    return mean if paths is None else mean + discrepancies_at(paths, jnp.log(x["params"]), jnp.log(x["tokens"]))


@cached_jit("model")
def log_predictive_density(model: Model, theta: Theta, mean: Array, log_loss: Array) -> Array:
    """ln of the mean over draws of the density of every run's ln loss, (run,), around the law's `mean` (draw, run)."""
    density = jax.vmap(lambda draw, around: model.noise.distribution(draw, around).log_prob(log_loss))(theta, mean)
    return jax.scipy.special.logsumexp(density, axis=0) - jnp.log(len(mean))
