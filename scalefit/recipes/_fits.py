"""A `Fit` of each recipe from the joint draws."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from scalefit._aot import versions
from scalefit.diagnostics.checks import Health
from scalefit.diagnostics.far_runs import FarRuns
from scalefit.fits.fit import Fit
from scalefit.fits.netcdf import JOINT
from scalefit.model.model import Model
from scalefit.recipes._health import health_of
from scalefit.recipes._joint import JointTable
from scalefit.recipes._paths import Paths
from scalefit.recipes._posterior import JointPosterior
from scalefit.recipes._terms import Terms
from scalefit.sampling.discrepancy_posterior import CHAINS, DiscrepancyPosterior

UNSEEN = ""  # name of a recipe without runs


def raw_of(table: JointTable, terms: Terms, joint: JointPosterior, recipe: int) -> dict[str, np.ndarray]:
    """Raw parameters of the law and noise of one recipe, each (draw,)."""
    if not recipe:
        return {name: np.asarray(values, dtype=float) for name, values in table.bound.to_raw(joint.theta).items()}
    return terms.to_raw(table.bound.model.law, joint.theta, table.bound.unit, joint.delta[:, recipe - 1])


def fits_of(
    table: JointTable,
    terms: Terms,
    law_only: JointPosterior,
    joint: JointPosterior | None,
    paths: list[Paths],
    falling: list[float],
    seed: int,
) -> dict[str, Fit]:
    """Recipe -> its fit: draws by the law alone, and of law and discrepancy where there is one.

    Parameters
    ----------
    table, terms
        The runs, and how recipes differ.
    law_only, joint
        Draws without and with discrepancies.
    paths, falling
        Of `joint`, for every recipe, as `paths_of_recipes` gives them.
    seed
        What the draws were made from.
    """
    model = table.bound.stated or table.bound.model
    found = {}
    # Last one of which there are no runs; what it costs is what the baseline's runs show.
    some = (*zip(table.names, table.tables, strict=True), (UNSEEN, table.tables[0]))
    for r, (name, runs) in enumerate(some):
        draws = {k: v.reshape(CHAINS, -1) for k, v in raw_of(table, terms, law_only, r).items()}
        draws = {p.name: draws[p.name] for p in model.params()}
        fit = Fit(draws, "posterior", model, runs, law_only.stats, JOINT, seed + r, dict(versions()), Health(()))
        if joint is not None:
            theta = raw_of(table, terms, joint, r)
            f = discrepancy_at_runs(table, joint, r if name != UNSEEN else 0)
            posterior = DiscrepancyPosterior(
                theta, paths[r], joint.component, joint.pareto_k, f.std(axis=1), joint.doubt
            )
            # What a fit computes from its own table alone, on first use, is here that of all recipes.
            vars(fit)["discrepancy_posterior"] = posterior
            vars(fit)["far_runs"] = _residuals(model, runs, theta, f)
        if name != UNSEEN:
            vars(fit)["health"] = health_of(table, fit, joint, falling, r)
        found[name] = fit
    return found


def discrepancy_at_runs(table: JointTable, joint: JointPosterior, recipe: int) -> Float[np.ndarray, "draw run"]:
    """The discrepancy of one recipe at its runs."""
    start = sum(len(each) for each in table.tables[:recipe])
    count = len(table.tables[recipe])
    f = np.empty((len(joint.component), count))
    for k in np.unique(joint.component):
        rows = joint.component == k
        f[rows] = joint.shared[rows] @ table.shared[1][k, start : start + count].T
        if recipe:
            f[rows] += joint.own[rows, recipe - 1] @ table.each[recipe - 1][1][k, :count].T
    return f


def _residuals(model: Model, runs: Any, theta: Mapping[str, np.ndarray], f: Float[np.ndarray, "draw run"]) -> FarRuns:
    """Of every run, off law and discrepancy: medians over the draws."""
    columns = {name: values[:, None] for name, values in theta.items()}
    expected = np.log(np.asarray(model.law.loss(columns, {name: runs[name] for name in model.law.inputs}))) + f
    off = np.log(runs.loss) - np.median(expected, axis=0)
    return FarRuns(np.arange(len(runs)), off, np.full(len(runs), float(np.median(theta["sigma"]))))
