"""Draws as an ArviZ DataTree. xarray lives here, inside functions."""

import json
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, UInt32

from scalefit._aot import cached_jit
from scalefit._labelled import labelled
from scalefit._precision import precision
from scalefit._random import prng_key
from scalefit.costs.cost import Compute
from scalefit.fits._draws import Draws
from scalefit.fits.netcdf import SAMPLE
from scalefit.model.data import Data, Theta
from scalefit.model.model import Model

if TYPE_CHECKING:
    import xarray as xr


def to_datatree(fit: Draws, predictions: "xr.DataArray | None" = None) -> "xr.DataTree":
    """Draws in ArviZ's layout, with `log_loss` the observed variable.

    Parameters
    ----------
    fit
        Any draws; those of a fit.
    predictions
        Losses of new runs, as `Fit.predict(new_runs, labelled=True)` gives them.

    Returns
    -------
    xarray.DataTree
        Of the law-only posterior: posterior, sample_stats, log_prior (chain, draw), log_likelihood and
        posterior_predictive (chain, draw, run); where runs share errors, log_likelihood has a density for each cluster,
        (chain, draw, cluster), and replicated runs have errors of their own. Of the table: observed_data, constant_data
        (run). Of new runs: predictions, their `loss`, and predictions_constant_data (run). Every dimension has a
        coordinate, every variable the attribute `units`.

    Notes
    -----
    Predictions with a discrepancy are made of draws of law and discrepancy together, which are sampled on their own:
    draw i there has nothing to do with draw i of the law-only posterior. There are 1,000, or 500 where the engine drew
    fewer than 1,000.
    `predictions` is then (draw, run), without chains, so that nothing pairs it with `posterior`; ArviZ takes it with
    `sample_dims="draw"`. Predictions of the law alone are (chain, draw, run), made of the very draws of `posterior`.
    The group's attributes say which: `discrepancy` (0 or 1), and `sample_dims`.
    """
    import xarray as xr

    with precision():
        unit_draws = {name: jnp.asarray(values) for name, values in fit.bound.to_unit(dict(fit.draws)).items()}
        # Log loss as observed: the unit-free log loss differs by a constant, its density not at all.
        shift = np.log(fit.bound.unit["loss"])
        keys = jax.random.split(prng_key(fit.seed), next(iter(fit.draws.values())).shape)
        density, replicates, prior = _pointwise(fit.bound.model, unit_draws, keys, fit.bound.data)
    pointwise, unit = (*SAMPLE, "run"), "run" if fit.runs.clusters is None else "cluster"
    log_likelihood = np.asarray(density)[..., : fit.runs.units]  # without the padding
    replicated = np.asarray(replicates)[..., : len(fit.runs)] + shift
    columns = {name: ("run", fit.runs[name]) for name in fit.model.law.inputs}
    log_loss, one_run = {"log_loss": f"ln {fit.runs.unit}"}, {"loss_one_run": fit.runs.unit}
    groups = {
        "/": xr.Dataset(attrs=_provenance(fit)),
        "/posterior": labelled({name: (SAMPLE, values) for name, values in fit.draws.items()}, units=fit.param_units),
        "/sample_stats": labelled({name: (SAMPLE, values) for name, values in fit.stats.items()}),
        "/observed_data": labelled({"log_loss": ("run", np.log(fit.runs.loss))}, units=log_loss),
        "/constant_data": _with_compute(
            labelled({**columns, "loss_one_run": ("run", fit.runs.loss)}, units=one_run), fit.mean_cost
        ).rename(loss_one_run="loss"),
        "/log_likelihood": labelled({"log_loss": ((*SAMPLE, unit), log_likelihood)}),
        "/posterior_predictive": labelled({"log_loss": (pointwise, replicated)}, units=log_loss),
        "/log_prior": labelled({name: (SAMPLE, np.asarray(values)) for name, values in prior.items()}),
    }
    if predictions is not None:
        groups |= _predictions(predictions, fit.mean_cost, next(iter(fit.draws.values())).shape)
    return xr.DataTree.from_dict(groups)


def _provenance(fit: Draws) -> dict[str, Any]:
    return {
        "inference_library": "scalefit",
        "inference_library_version": fit.versions.get("scalefit", ""),
        "versions": json.dumps(fit.versions),
        "law": fit.model.law.name,
        "noise": fit.model.noise.name,
        "table": fit.runs.name,
        "kind": fit.kind,
        "engine": fit.engine,
        "seed": fit.seed,
        "health": fit.health.verdict,
    }


def _predictions(loss: "xr.DataArray", cost: Compute, chains_draws: tuple[int, ...]) -> dict[str, "xr.Dataset"]:
    dims: tuple[str, ...] = ("draw", "run")
    values = loss.values
    if not loss.attrs["discrepancy"]:
        dims, values = (*SAMPLE, "run"), values.reshape(*chains_draws, -1)
    which = {"discrepancy": loss.attrs["discrepancy"], "sample_dims": list(dims[:-1])}
    predicted = labelled({"loss": (dims, values)}, attrs=which)
    predicted["loss"].attrs |= loss.attrs
    inputs = {str(name): ("run", column.values) for name, column in loss.coords.items() if name not in loss.dims}
    return {"/predictions": predicted, "/predictions_constant_data": _with_compute(labelled(inputs), cost)}


def _with_compute(runs: "xr.Dataset", cost: Compute) -> "xr.Dataset":
    """With the compute of the runs, as the table prices it, where they have N and D."""
    if not {"params", "tokens"} <= set(runs):
        return runs
    flops = cost.flops(runs["params"].values, runs["tokens"].values)
    return runs.merge(labelled({"flops": ("run", flops)}))


@cached_jit("model")
def _pointwise(
    model: Model, theta: Theta, keys: UInt32[Array, "chain draw 2"], data: Data
) -> tuple[Float[Array, "chain draw run"], Float[Array, "chain draw run"], Theta]:
    """Per draw: log likelihood and a replicate of every run; log prior of every parameter, name -> (chain, draw)."""

    def one(draw: Theta, key: Array) -> tuple[Array, Array, Theta]:
        replicate = model.noise.distribution(draw, model.log_mean(draw, data.x)).sample(key)
        return model.log_likelihood(draw, data), replicate, model.space.log_prior(draw)

    return jax.vmap(jax.vmap(one))(theta, keys)
