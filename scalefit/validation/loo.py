"""A fit as one netCDF file and back, and as an ArviZ DataTree. xarray lives here; nothing is ever unpickled."""

import warnings
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit._aot import cached_jit
from scalefit._precision import precision
from scalefit.fits.fit import Fit
from scalefit.fits.netcdf import SAMPLE, _numbered
from scalefit.model.data import Data, Theta
from scalefit.model.model import Model

if TYPE_CHECKING:
    pass


def leave_one_out(fit: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Log density of each run's ln loss under a fit to the others, (run,), and its Pareto k: not trusted above 0.7.

    PSIS-LOO (Vehtari, Gelman and Gabry 2017, Statistics and Computing 27, 1413) by ArviZ, without fitting again.
    """
    import xarray as xr
    from arviz_stats import loo

    with precision():
        unit_draws = {name: jnp.asarray(values) for name, values in fit.bound.to_unit(fit.draws).items()}
        density = np.asarray(_log_likelihood(fit.model, unit_draws, fit.bound.data))[..., : len(fit.runs)]
    groups = {
        "/posterior": xr.Dataset({name: (SAMPLE, values) for name, values in fit.draws.items()}),
        "/log_likelihood": xr.Dataset({"log_loss": ((*SAMPLE, "run"), density)}),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of large Pareto k, which are returned
        found = loo(xr.DataTree.from_dict({k: _numbered(v) for k, v in groups.items()}), pointwise=True)
    return np.asarray(found.elpd_i), np.asarray(found.pareto_k)


@cached_jit("model")
def _log_likelihood(model: Model, theta: Theta, data: Data) -> Array:
    """Log likelihood of every run, (chain, draw, run)."""
    return jax.vmap(jax.vmap(lambda draw: model.log_likelihood(draw, data)))(theta)
