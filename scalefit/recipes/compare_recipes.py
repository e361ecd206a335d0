"""`compare_recipes`: is recipe B better than A, by what factor of compute, and how sure is that."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from scalefit._precision import precision
from scalefit.costs.budget import read_budget
from scalefit.costs.cost import Compute
from scalefit.costs.machines import Machines
from scalefit.errors import OptionError
from scalefit.frontier.optimum import check_optimum
from scalefit.planning.assumptions import Assumptions
from scalefit.planning.least_budgets import Settle
from scalefit.recipes._gains import Gains, Side
from scalefit.recipes._settle import refuse_free_floors, settling_run
from scalefit.recipes._terms import Differences
from scalefit.recipes.comparison import RecipeComparison, RecipeGain
from scalefit.recipes.fit_recipes import RecipeFits, fit_recipes
from scalefit.units import format_flops, positive_budgets

BUDGETS = 8  # along which gains are shown, the target among them: as many as optima are sought for at a time


def compare_recipes(
    runs: Any,
    *,
    by: str = "recipe",
    baseline: str | None = None,
    at: Any = None,
    threshold: float = 1.0,
    sure: float = 0.95,
    cost: Compute | None = None,
    machines: Machines | None = None,
    discrepancy: bool | None = None,
    fixed: Mapping[str, Any] | None = None,
    budgets: Any = None,
    **options: Any,
) -> RecipeComparison:
    """Whether other recipes beat a baseline at a budget, by what factor of compute, and how sure that is.

    Parameters
    ----------
    runs
        What `fit_recipes` takes, or what it returned.
    by, baseline
        As for `fit_recipes`.
    at
        The budget, as in 1e23 or "$2M"; the largest run's compute by default.
    threshold
        The gain that makes a change of recipe worth its trouble.
    sure
        Probability with which the verdict is `promote` or `hold`.
    cost
        The compute that each recipe's table shows by default; `costs.SixND()` is 6 N D whatever that is.
    machines
        What budgets in money and machine time are read with.
    discrepancy
        As for `Fit.predict`.
    fixed
        The law's inputs beyond params and tokens, by name.
    budgets
        FLOP, along which gains are given beside that at the target; from the smallest run to the target by default.
    **options
        Further ones of `fit_recipes`: model, floor, exponents, differences, seed.

    Returns
    -------
    RecipeComparison
        For every recipe its compute-equivalent gain (the compute that the baseline takes for what the recipe reaches,
        each at its own optimum, over the budget), in draws, at the budget and along compute; the same in tokens and in
        parameters; and a verdict. `promote`: P(gain > threshold) is at least `sure`; `hold`: it is at most 1 - `sure`;
        `run more`: neither, with the cheapest further run of that recipe that is likely to settle it.

    Raises
    ------
    DataError, OptionError
        As `fit_recipes` does; or an option is out of range.
    QuestionError
        The budget is too small, a discrepancy is asked for, and there is none, or floors are free: losses on different
        data are not better or worse than each other.

    Notes
    -----
    Draws of recipes are paired: what the law and the shared discrepancy leave open cancels from a gain. The intervals
    of several recipes are shrunk towards no difference by the prior, which was learned on public sweeps, so that the
    largest of many gains needs no correction; the largest of many separate estimates does (the winner's curse).

    Examples
    --------
    >>> found = sf.compare_recipes("runs.csv", by="recipe", baseline="A", at=1e23)  # doctest: +SKIP
    >>> found["B"].verdict, found["B"].chance  # doctest: +SKIP
    """
    if not 0.5 < sure < 1 or not 0 < threshold < np.inf:
        raise OptionError(f"sure={sure} and threshold={threshold}: give a probability from 0.5 to 1 and a factor.")
    fits = runs if isinstance(runs, RecipeFits) else fit_recipes(runs, by=by, baseline=baseline, **options)
    if isinstance(runs, RecipeFits) and (options or baseline not in (None, fits.baseline)):
        raise OptionError("recipes that are fitted have their options and baseline. Leave these out, or fit again.")
    refuse_free_floors(fits.draws)
    first = fits[fits.baseline]
    flops = first.compute_range[1] if at is None else read_budget(at, machines).flops
    log_budgets, target = _budgets(fits, flops, budgets)
    asked = first.resolve(discrepancy), cost, fixed or {}
    with precision():
        side = Side.of(first, log_budgets, *asked)
        n = np.exp(side.optima.log_n[:, target])
        found = side.optima.converged[:, target]
        what = f"a budget of {format_flops(flops)} FLOP"
        lost = check_optimum(n, side.shown.tokens_for(flops, n), found, what=what, remedy="Use a larger budget")
        gains = Gains(side, log_budgets, target)
        unseen = gains.at_target(Side.of(fits.unseen, log_budgets[target : target + 1], *asked))
        recipes = {name: _compare(fits, name, gains, asked, unseen, (threshold, sure)) for name in fits.others}
    assumptions = Assumptions.of(first, side.shown, discrepancy=asked[0], unconverged=lost)
    return RecipeComparison(
        fits.baseline,
        flops,
        recipes,
        np.exp(log_budgets),
        side.optima.loss,
        {name: fit.health.verdict for name, fit in fits.items()},
        assumptions,
        fits.differences == Differences(),
    )


def _budgets(fits: RecipeFits, flops: float, along: Any) -> tuple[np.ndarray, int]:
    """ln of the budgets, from the smallest run's to the largest or the target, and which of them is the target."""
    low, high = (end(each.compute_range[i] for each in fits.values()) for i, end in ((0, min), (1, max)))
    grid = np.linspace(np.log(min(low, flops)), np.log(max(high, flops)), BUDGETS - (low < flops < high))
    grid = grid if along is None else np.log(positive_budgets(along))
    log_budgets = np.unique(np.append(grid[np.abs(grid - np.log(flops)) > 1e-6], np.log(flops)))
    return log_budgets, int(np.argmin(np.abs(log_budgets - np.log(flops))))


def _compare(
    fits: RecipeFits, name: str, gains: Gains, asked: tuple, unseen: np.ndarray, rule: tuple[float, float]
) -> RecipeGain:
    fit, other = fits[name], Side.of(fits[name], gains.log_budgets, *asked)
    along = gains.compute(other)
    tokens, params = gains.tokens_and_params(other)
    loss, target = other.optima.loss[:, gains.target], gains.target
    draws = {
        "gain": along[:, target],
        "token_gain": tokens,
        "param_gain": params,
        "difference": gains.baseline.optima.loss[:, target] - loss,
        "loss": loss,
    }
    found = RecipeGain(fit.runs.name, len(fit.runs), draws, along, other.optima.loss, unseen, *rule)
    if found.verdict != "run more":
        return found
    settle = Settle.of(name, fits.baseline, along[:, target], *rule)
    return replace(found, settled_by=settling_run(fit, other, gains.log_budgets, settle, asked[0]))
