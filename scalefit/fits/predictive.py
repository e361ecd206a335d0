"""What a fit predicts: compiled programs of losses draw by draw and of predictive densities, and labels."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from scalefit._aot import cached_jit
from scalefit._labelled import labelled
from scalefit.model.data import Theta
from scalefit.model.discrepancy import shifted
from scalefit.model.model import Model
from scalefit.model.paths import discrepancies_at

if TYPE_CHECKING:
    import xarray as xr


@cached_jit("model")
def log_loss_draws(
    model: Model, theta: Theta, x: dict[str, Array], paths: Mapping[str, Any] | None
) -> Float[Array, "draw run"]:
    """ln loss of runs, draw by draw, without noise.

    Parameters
    ----------
    model
        Whose law it is.
    theta
        Raw parameters, name -> (draw,).
    x
        Raw inputs of the law, name -> (run,).
    paths
        Of the discrepancy, as `sample_paths` gives them for the same draws; None leaves it out.

    Returns
    -------
    array (draw, run)
        Of the law, plus the discrepancy.
    """
    mean = jax.vmap(lambda draw: model.log_mean(draw, x))(theta)
    if paths is None:
        return mean
    floor = jax.vmap(model.law.floor)(theta)[:, None]
    return jnp.log(shifted(jnp.exp(mean), floor, discrepancies_at(paths, jnp.log(x["params"]), jnp.log(x["tokens"]))))


@cached_jit("model")
def log_predictive_density(
    model: Model, theta: Theta, mean: Float[Array, "draw run"], log_loss: Float[Array, " run"]
) -> Float[Array, " run"]:
    """Log predictive density of every run, noise included.

    Parameters
    ----------
    model
        Whose noise it is.
    theta
        Raw parameters, name -> (draw,).
    mean
        ln loss without noise, as `log_loss_draws` gives it.
    log_loss
        ln loss as observed.

    Returns
    -------
    array (run,)
        ln of the mean over draws of the density of ln loss.
    """
    density = jax.vmap(lambda draw, around: model.noise.distribution(draw, around).log_prob(log_loss))(theta, mean)
    return jax.scipy.special.logsumexp(density, axis=0) - jnp.log(len(mean))


@cached_jit("model")
def log_noise_density(
    model: Model, theta: Theta, residuals: Float[Array, "draw outcome"]
) -> Float[Array, "draw outcome"]:
    """Log density of the noise, draw by draw.

    Parameters
    ----------
    model
        Whose noise it is.
    theta
        Raw parameters, name -> (draw,).
    residuals
        Of ln loss, off each draw's.

    Returns
    -------
    array (draw, outcome)
        Of ln loss.
    """
    return jax.vmap(model.noise.log_density)(theta, residuals)


def label_losses(
    loss: Float[np.ndarray, "draw run"], inputs: Mapping[str, np.ndarray], noise: bool, discrepancy: bool, unit: str
) -> "xr.DataArray":
    """Predicted losses as xarray.

    Parameters
    ----------
    loss
        Of the runs, draw by draw.
    inputs
        Of the runs, name -> (run,), which become coordinates.
    noise, discrepancy
        Whether the losses include them, which become attributes.
    unit
        Of the losses.

    Returns
    -------
    xarray.DataArray
        Called "loss", (draw, run).
    """
    coords = {name: ("run", values) for name, values in inputs.items()}
    found = labelled({"loss": (("draw", "run"), loss)}, coords, units={"loss": unit})["loss"]
    meaning = "loss of one run, noise included" if noise else "expected loss"
    return found.assign_attrs(long_name=meaning, noise=int(noise), discrepancy=int(discrepancy))
