"""Which runs next? What candidate runs are expected to save a plan, what they cost, and when to stop."""

from typing import Any

import numpy as np
from jaxtyping import Float

from scalefit._precision import precision
from scalefit._registry import lookup
from scalefit.costs.budget import read_budget
from scalefit.costs.cost import Cost
from scalefit.costs.machines import Machines
from scalefit.errors import OptionError, QuestionError
from scalefit.fits.fit import Fit, check_fit
from scalefit.numerics.batches import Purse
from scalefit.numerics.sample_information import Decision
from scalefit.planning._allocation import AllocationProblem
from scalefit.planning._candidates import default_candidates, read_candidates
from scalefit.planning._loss_posterior import costs_of, loss_posterior
from scalefit.planning._next_runs import BOTH, LOSS, PLAN, NextRuns
from scalefit.planning._reweighing import Reweighing
from scalefit.planning._run_values import (
    Batch,
    RunValues,
    log_losses,
    loss_per_budget,
    normal_variance,
    sizes_to_decide,
)
from scalefit.planning._settle import SeveralFits, without_far
from scalefit.planning._value_check import Check, check
from scalefit.planning.assumptions import Assumptions
from scalefit.planning.constraints import Constraints

__all__ = ["NextRuns", "next_runs"]

RUNS = 5


def next_runs(
    fit: Fit | SeveralFits,
    budget: Any,
    *,
    spend: Any,
    candidates: Any = None,
    count: int | None = None,
    aim: str = PLAN,
    threshold: float = 1.0,
    sure: float = 0.95,
    max_params: Any = None,
    max_tokens: Any = None,
    ratios: tuple[Any, Any] | None = None,
    repeats: bool = True,
    cost: Cost | None = None,
    machines: Machines | None = None,
    discrepancy: bool | None = None,
    seed: int | None = None,
    **fixed: Any,
) -> NextRuns:
    """Which runs to make before a large one: what each is expected to save its plan, what it costs, and when to stop.

    Parameters
    ----------
    fit
        A posterior whose law takes params and tokens; or what `fit_recipes` returns, to settle the gain of a recipe.
    budget
        Of the big run, as for `plan`.
    spend
        The most that all new runs may cost, as `budget`.
    candidates
        Runs that could be made: anything `read_runs` takes, without a loss. A column "diverges" is the probability
        that a run fails and teaches nothing. By default a grid of compute and tokens per parameter around the runs
        made, within twenty times the middle ratio of these or as far as they reach, and replicates.
    count
        How many runs a batch has at most; five by default.
    aim
        "plan" for the regret of the plan; "loss" for the forecast of its loss; "plan and loss" for one run for the
        forecast and the others for the plan; or a parameter of the law or a quantity that it derives, such as "E". Of
        recipes: the one whose gain over the baseline at the budget is to be settled, by runs of it; the only one beside
        the baseline by default.
    threshold, sure
        Of recipes: the gain to exceed, and the probability with which it is settled, as for `compare_recipes`.
    max_params, max_tokens
        The largest that a run can have.
    ratios
        Fewest and most tokens per parameter of a run.
    repeats
        Whether a batch may have a run twice.
    cost, machines
        As for `plan`.
    discrepancy
        As for `Fit.predict`.
    seed
        Of the simulated outcomes; the fit's own by default.
    **fixed
        The law's inputs beyond params and tokens.

    Raises
    ------
    QuestionError
        The fit is no posterior, its noise has no scale, or no candidate is within the spend and the limits.
    OptionError
        The aim or the recipe is unknown, or a limit or an option is out of range.
    DataError
        The table of candidates cannot be used.
    """
    settle = None
    if isinstance(fit, SeveralFits):
        recipe, flops = None if aim == PLAN else aim, read_budget(budget, machines).flops
        fit, settle = fit.to_settle(recipe, flops, (threshold, sure), cost, discrepancy, fixed)
        aim = f"the gain of {settle.recipe} over {settle.baseline}"
    elif (threshold, sure) != (1.0, 0.95):
        raise OptionError(
            "threshold and sure are for the gain of a recipe. Leave them out, or give sf.fit_recipes(...)."
        )
    check_fit(fit)
    if fit.kind != "posterior":
        raise QuestionError("the value of a run is that of a posterior. Fit with an engine such as sf.AIS().")
    if "sigma" not in fit.draws:
        raise QuestionError("the value of a run needs noise with a scale. Use noise with a parameter sigma.")
    most = RUNS if count is None else int(count)
    if most < 1:
        raise OptionError(f"a batch has at least one run; got count={count}.")
    read, discrepancy = read_budget(budget, machines), fit.resolve(discrepancy)
    theta, _ = fit.joint_draws(discrepancy)
    with precision():
        posterior = loss_posterior(fit, fixed=fixed, discrepancy=discrepancy)
        shown, priced = costs_of(fit, posterior, cost)
        mean_cost, amount = priced.averaged(), read.amount(shown)
        purse = Purse(read_budget(spend, read.machines).amount(shown), most, repeats)
        if candidates is None:
            runs = default_candidates(fit, mean_cost, purse.spend, amount, max_params)
        else:
            runs = read_candidates(candidates, fit)
        runs = runs.within(mean_cost, purse.spend, max_params, max_tokens, ratios)
        problem = AllocationProblem(posterior, priced, amount, Constraints())
        best, _ = problem.decide(None)
        sizes, losses = sizes_to_decide(problem.regret, best)
        seen = log_losses(posterior, runs)
        if settle is not None:
            seen = without_far(seen)
        prices = np.asarray(mean_cost.training(runs.params, runs.tokens), dtype=float)
        values = RunValues(
            decision=Decision(losses),
            quantity=_quantity(aim, fit, theta, losses) if settle is None else settle.scores,
            decides=aim in (PLAN, BOTH),
            seen=seen,
            noise=normal_variance(theta),
            cost=prices,
            keep=1 - runs.diverges,
        )
        per_cost = max(loss_per_budget(problem.regret, best), np.finfo(float).tiny)
        alone, saved = values.values()
        batch = values.batch(purse)
        own = {name: theta[name] for name in (p.name for p in fit.model.noise.params())}
        reweighing = Reweighing(values.decision, seen, fit.model.noise, own, fit.seed if seed is None else seed)
        checked = check(reweighing, alone, values.keep, values.least, batch.runs) if values.decides else Check.none()
        _, later = values.decision.after(values.given(batch))
    return NextRuns(
        budget=amount,
        spend=purse.spend,
        aim=aim,
        candidates=runs,
        prices=prices,
        values=alone,
        saved=saved,
        batch=batch,
        worthwhile=values.worth_their_price(purse, per_cost) if values.decides else Batch(),
        params=float(np.exp(sizes[values.decision.best])),
        regret=values.decision.regret,
        params_after=np.exp(sizes[later]),
        per_cost=per_cost,
        resolution=values.least,
        check=checked,
        cost=shown,
        machines=read.machines,
        settle=settle,
        assumptions=Assumptions.of(fit, shown, discrepancy=discrepancy),
    )


def _quantity(
    aim: str, fit: Fit, theta: dict[str, np.ndarray], losses: Float[np.ndarray, "draw size"]
) -> Float[np.ndarray, " draw"] | None:
    """Draws of what is to be forecast; None where the plan is all."""
    law = fit.model.law
    known = {name: values for name, values in {**theta, **law.derived(theta)}.items() if np.ptp(values) > 0}
    of_plan = np.log(losses[:, losses.mean(axis=0).argmin()])
    every = {PLAN: None, BOTH: of_plan, LOSS: of_plan, **known}
    return lookup(aim, {name: (values,) for name, values in every.items()}, "aim")[0]
