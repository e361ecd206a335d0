"""Leave-one-out cross-validation by Pareto-smoothed importance sampling, without fitting again."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from scalefit._aot import cached_jit
from scalefit._labelled import labelled
from scalefit._precision import precision
from scalefit.fits.fit import Fit
from scalefit.fits.netcdf import SAMPLE
from scalefit.model.data import Data, Theta
from scalefit.model.model import Model


def leave_one_out(fit: Fit) -> tuple[Float[np.ndarray, " run"], Float[np.ndarray, " run"]]:
    """Log density of each run's ln loss under a fit to the other runs, by ArviZ.

    Parameters
    ----------
    fit
        A posterior.

    Returns
    -------
    tuple
        The densities (run,), and the Pareto k of each (run,): above 0.7 a density is unreliable. Runs that share an
        error are left out together, and have equal parts of their density.

    References
    ----------
    Vehtari, Gelman and Gabry 2017 (Statistics and Computing 27, 1413).
    """
    import xarray as xr
    from arviz_stats import loo

    with precision():
        unit_draws = {name: jnp.asarray(values) for name, values in fit.bound.to_unit(fit.draws).items()}
        density = np.asarray(_log_likelihood(fit.model, unit_draws, fit.bound.data))[..., : fit.runs.units]
    tree = {
        "/posterior": labelled({name: (SAMPLE, values) for name, values in fit.draws.items()}),
        "/log_likelihood": labelled({"log_loss": ((*SAMPLE, "run"), density)}),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of large Pareto k, which are returned
        found = loo(xr.DataTree.from_dict(tree), pointwise=True)
    densities, pareto_k, groups = np.asarray(found.elpd_i), np.asarray(found.pareto_k), fit.runs.clusters
    if groups is None:
        return densities, pareto_k
    return (densities / np.bincount(groups))[groups], pareto_k[groups]


@cached_jit("model")
def _log_likelihood(model: Model, theta: Theta, data: Data) -> Float[Array, "chain draw run"]:
    """Log likelihood of every run."""
    return jax.vmap(jax.vmap(lambda draw: model.log_likelihood(draw, data)))(theta)
