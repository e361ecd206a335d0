"""The health of one recipe's fit: that of the sampler, of the baseline's table, and of the few runs of the recipe."""

import numpy as np

from scalefit.diagnostics.checks import Check, Health
from scalefit.diagnostics.health import assess
from scalefit.errors import DataError
from scalefit.fits.fit import Fit
from scalefit.recipes._joint import JointTable
from scalefit.recipes._posterior import JointPosterior
from scalefit.sampling.monotone import LEAST_KEPT

FEW = 3  # runs, below which a recipe's own are hardly more than a check of the prior
NARROW = 3.0  # range of compute, below which they tell a level from nothing else


def health_of(table: JointTable, fit: Fit, joint: JointPosterior | None, falling: list[float], recipe: int) -> Health:
    """All checks of one recipe.

    Parameters
    ----------
    table, fit
        All runs, and the fit without health.
    joint, falling
        The draws with discrepancies, and how many paths of each recipe fall with N and D.
    recipe
        Its number, 0 for the baseline.
    """
    checks = _of_sampler(joint, falling[recipe] if falling else 1.0)
    if recipe:
        return Health((*checks, *few_runs_checks(fit, table.names[0], table.tables[0].flops.max())))
    try:
        return Health((*assess(fit.bound, fit.draws, fit.law_only_quantities(), fit.stats).checks, *checks))
    except DataError as problem:
        return Health((*checks, Check("baseline", "review", float(len(fit.runs)), str(problem))))


def _of_sampler(joint: JointPosterior | None, falling: float) -> tuple[Check, ...]:
    if joint is None:
        return ()
    if joint.doubt:
        sentence = f"{joint.doubt}, of all recipes together. Take intervals as rough."
        return (Check("joint draws", "review", joint.pareto_k, sentence),)
    if falling < LEAST_KEPT:
        sentence = "in few draws does the loss fall with parameters and tokens. Check the runs of this recipe."
        return (Check("joint draws", "review", falling, sentence),)
    sentence = f"Pareto k of the joint draws is {joint.pareto_k:.2f}."
    return (Check("joint draws", "ok", joint.pareto_k, sentence),)


def few_runs_checks(fit: Fit, baseline: str, largest: float) -> tuple[Check, ...]:
    """Checks of the runs of a recipe, beside the baseline and its largest compute."""
    runs, name = fit.runs, fit.runs.name
    span = float(runs.flops.max() / runs.flops.min())
    checks = []
    if len(runs) < FEW:
        sentence = (
            f"{name} has {len(runs)} run{'s' * (len(runs) > 1)}, so that intervals rest on how recipes differed "
            f"elsewhere. Run at least {FEW}."
        )
        checks.append(Check("recipe runs", "review", float(len(runs)), sentence))
    if span < NARROW:
        sentence = (
            f"the runs of {name} span a factor of {span:.2g} in compute, which does not show how its gain changes "
            "with scale. Run it at other budgets."
        )
        checks.append(Check("recipe span", "review", span, sentence))
    if fit.has_discrepancy and (far := np.flatnonzero(fit.far_runs.far)).size:
        sentence = f"{far.size} of {len(runs)} runs of {name} lie far off the model. Check these runs."
        checks.append(Check("recipe residuals", "review", float(far.size), sentence))
    beyond = float(runs.flops.max() / largest)
    if beyond > 1:
        sentence = f"{name} was run at {beyond:.2g} times the largest compute of {baseline}."
        checks.append(Check("matched budgets", "ok", beyond, sentence))
    return tuple(checks)
