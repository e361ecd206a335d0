"""Fits of several recipes from what `_storage` wrote; anything else is refused."""

import json
from dataclasses import fields
from typing import Any

from scalefit._netcdf import Contents
from scalefit.diagnostics.far_runs import FarRuns
from scalefit.errors import StorageError
from scalefit.fits.fit import Fit
from scalefit.fits.netcdf import JOINT, fields_of, options_of
from scalefit.recipes._storage import DIMS, DISCREPANCY, PATHS, RESIDUALS
from scalefit.recipes._terms import Differences
from scalefit.sampling.discrepancy_posterior import DiscrepancyPosterior


def decoded(contents: Contents) -> dict[str, Any]:
    """The fields of `RecipeFits`; raises any error on what `save` did not write."""
    names, groups = [str(name) for name in json.loads(contents.attrs["recipes"])], contents.groups
    terms, apart = json.loads(groups["differences"].attrs["names"]), groups["differences"].arrays
    fits = {name: _fit_of(groups[f"recipe_{i}"]) for i, name in enumerate(names)}
    unseen, shape = _fit_of(groups["unseen"]), (len(names) - 1, _count(fits[names[0]]))
    if len(fits) < 2 or len(fits) != len(names):
        raise StorageError("its recipes are fewer than two, or have one name")
    if {_count(fit) for fit in (*fits.values(), unseen)} != {shape[1]} or len({f.model for f in fits.values()}) != 1:
        raise StorageError("the draws of its recipes are not paired")
    if any(apart[x].shape != shape or apart[x].dtype.kind != "f" for x in terms):
        raise StorageError("its differences are not those of its recipes")
    return {
        "fits": fits,
        "baseline": names[0],
        "draws": {name: {x: apart[x][r] for x in terms} for r, name in enumerate(names[1:])},
        "differences": Differences(**options_of(json.loads(contents.attrs["differences"]))),
        "unseen": unseen,
    }


def _count(fit: Fit) -> int:
    """Draws of what answers include by default."""
    theta, _ = fit.joint_draws(None)
    return len(next(iter(theta.values())))


def _fit_of(contents: Contents) -> Fit:
    fit, groups = Fit(**fields_of(contents)), contents.groups
    if fit.engine != JOINT or not fit.model.has_discrepancy == (DISCREPANCY in groups):
        raise StorageError("one of its fits is not of several recipes")
    if not fit.has_discrepancy:
        return fit
    theta, paths, about = groups[DISCREPANCY].arrays, groups[PATHS].arrays, groups[DISCREPANCY].attrs
    component, spread, draws = paths["component"], paths["sd_at_runs"], len(theta["sigma"])
    of_draws = (*theta.values(), *paths.values())
    ranks = {**{name: len(dims) for name, dims in DIMS.items()}, "component": 1, "sd_at_runs": 1}
    if set(theta) != set(fit.draws) or {name: values.ndim for name, values in paths.items()} != ranks:
        raise StorageError("its draws with discrepancy are not those of its model")
    if any(len(values) != draws for values in of_draws) or component.dtype.kind not in "iu":
        raise StorageError("its draws with discrepancy differ in length")
    theta = {name: theta[name] for name in fit.draws}
    found = DiscrepancyPosterior(
        theta,
        {name: paths[name] for name in DIMS},
        component,
        float(json.loads(about["pareto_k"])),
        spread,
        str(about["doubt"]),
    )
    residuals = FarRuns(**{each.name: groups[RESIDUALS].arrays[each.name] for each in fields(FarRuns)})
    if any(len(values) != len(fit.runs) for values in vars(residuals).values()):
        raise StorageError("its residuals are not those of its runs")
    vars(fit).update(discrepancy_posterior=found, far_runs=residuals)
    return fit
