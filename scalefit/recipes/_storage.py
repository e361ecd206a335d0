"""Fits of several recipes as one netCDF file and back, their draws as paired as before.

Each recipe's group is that of a fit, with its draws of law and discrepancy together beside: a fit of one table makes
these anew from its seed, while those of a recipe come from the tables of all.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from scalefit._netcdf import Contents, Group, Variable, write_file
from scalefit.diagnostics.far_runs import FarRuns
from scalefit.errors import StorageError
from scalefit.fits.fit import Fit
from scalefit.fits.netcdf import FORMAT_VERSION, JOINT, fields_of, group_of, options_of
from scalefit.recipes._terms import Differences
from scalefit.sampling.discrepancy_posterior import DiscrepancyPosterior

RECIPES = "scalefit fit of several recipes"
DIMS = {
    "scales": ("draw", "scale"),
    "centres": ("draw", "pivot", "coordinate"),
    "pull": ("draw", "pivot"),
    "line": ("draw", "wave"),
    "plane": ("draw", "wave_c", "wave_ratio"),
}
DISCREPANCY, PATHS, RESIDUALS = "joint_posterior", "discrepancy_paths", "residuals"


def save(
    path: str | Path,
    fits: Mapping[str, Fit],
    unseen: Fit,
    draws: Mapping[str, Mapping[str, np.ndarray]],
    differences: Differences,
) -> Path:
    """Write what `RecipeFits` has, the baseline's fit first, to one file, complete or not at all."""
    others = list(fits)[1:]
    root: dict[str, str | int] = {
        "format": RECIPES,
        "format_version": FORMAT_VERSION,
        "recipes": json.dumps(list(fits)),
        "differences": json.dumps({"options": asdict(differences)}),
    }
    groups = {f"recipe_{i}": _group_of(fit) for i, fit in enumerate(fits.values())} | {"unseen": _group_of(unseen)}
    names = list(draws[others[0]])
    apart = {x: Variable(("recipe", "draw"), np.array([draws[name][x] for name in others])) for x in names}
    groups["differences"] = Group({"names": json.dumps(names)}, apart)
    write_file(path := Path(path), Group(root, {}, groups), FORMAT_VERSION)
    return path


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
    return len(theta["sigma"])


def _group_of(fit: Fit) -> Group:
    group = group_of(fit)
    if not fit.has_discrepancy:
        return group
    found, residuals = fit.discrepancy_posterior, fit.far_runs
    more = {
        DISCREPANCY: Group(
            {"pareto_k": json.dumps(found.pareto_k), "doubt": found.doubt},
            {name: Variable(("draw",), values) for name, values in found.theta.items()},
        ),
        PATHS: Group(
            {},
            {name: Variable(DIMS[name], values) for name, values in found.paths.items()}
            | {name: Variable(("draw",), getattr(found, name)) for name in ("component", "sd_at_runs")},
        ),
        RESIDUALS: Group(
            {}, {each.name: Variable(("run",), getattr(residuals, each.name)) for each in fields(FarRuns)}
        ),
    }
    return group._replace(groups={**group.groups, **more})


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
