"""Fits of several recipes as one netCDF file, their draws as paired as before.

Each recipe's group is that of a fit, with its draws of law and discrepancy together beside: a fit of one table makes
these anew from its seed, while those of a recipe come from the tables of all.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from scalefit._netcdf import Group, Variable, write_file
from scalefit.diagnostics.far_runs import FarRuns
from scalefit.fits.fit import Fit
from scalefit.fits.netcdf import FORMAT_VERSION, group_of
from scalefit.recipes._terms import Differences

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
