"""Frontiers without a law: Approach 1 and 2 of Hoffmann et al. 2022 (arXiv 2203.15556, section 3).

Intervals are those of a bootstrap of runs.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from scalefit._quantities import at_budget, ranged, write
from scalefit._results import PROB, Result
from scalefit._tables import Table, estimate, estimate_table
from scalefit.costs.cost import SIX_ND, Compute
from scalefit.costs.measured import cost_of_runs
from scalefit.counting.compute import ISOFLOP_WIDTH
from scalefit.errors import DataError, TooFewRunsError
from scalefit.frontier.isoflops import crowded_budgets, vertex
from scalefit.frontier.single_variable import SingleVariableFit, power_law
from scalefit.runs import Runs
from scalefit.units import distinct_labels, format_flops, percent, positive_budgets

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["PowerLawFrontier", "SingleVariableFit", "envelope", "isoflop", "power_law"]


@dataclass(frozen=True, eq=False, repr=False)
class PowerLawFrontier(Result):
    """A frontier without a law: ln N_opt = level + a (ln C - centre).

    Parameters
    ----------
    method
        "isoflop" or "envelope".
    a, level
        (1 + resample,), the estimate and then its bootstrap resamples.
    centre
        ln C.
    flops, params
        (point,), the optima that the line goes through.
    notes
        What was left out, a sentence each.
    cost
        How the table prices N and D.
    """

    method: str
    a: np.ndarray
    level: np.ndarray
    centre: float
    flops: np.ndarray
    params: np.ndarray
    notes: tuple[str, ...] = ()
    cost: Compute = SIX_ND

    @property
    def b(self) -> np.ndarray:
        """The exponent of tokens, 1 - a."""
        return 1 - self.a

    def optimal_params(self, budgets: Any) -> np.ndarray:
        """N_opt at each budget (FLOP), (1 + resample, budget); D_opt is what the budget leaves."""
        log_c = np.log(positive_budgets(budgets)) - self.centre
        return np.exp(self.level[:, None] + self.a[:, None] * log_c)

    def optimum(self, budget: Any) -> dict[str, np.ndarray]:
        """N_opt, D_opt and tokens_per_param at one budget (FLOP), name -> (1 + resample,)."""
        params = self.optimal_params(budget)[:, 0]
        tokens = self.cost.tokens_for(positive_budgets(budget)[0], params)
        return {"N_opt": params, "D_opt": tokens, "tokens_per_param": tokens / params}

    def headline(self, prob: float = PROB) -> str:
        """The exponent of N_opt, and how many budgets it comes from."""
        return (
            f"The {self.method} approach gives N_opt ~ C^a with a = {ranged(estimate(self.a, prob), write)} from "
            f"{len(self.flops)} optima up to {format_flops(self.flops.max())} FLOP ({percent(prob)} bootstrap)."
        )

    def summary(self, prob: float = PROB, budgets: Any = None) -> "pd.DataFrame":
        """The exponents, and the optimum at each budget.

        Parameters
        ----------
        prob
            Probability of every interval, equal-tailed.
        budgets
            FLOP; that of the last optimum by default.

        Returns
        -------
        pandas.DataFrame
            Rows: a, b, and N_opt, D_opt and tokens_per_param at each budget. Columns: estimate, lower, upper.
        """
        return self._table(prob, budgets).frame()

    def _table(self, prob: float, budgets: Any = None) -> Table:
        flops = self.flops[-1:] if budgets is None else positive_budgets(budgets)
        quantities = {"a": self.a, "b": self.b}
        for budget, label in zip(flops, distinct_labels(flops), strict=True):
            quantities |= {at_budget(name, label): values for name, values in self.optimum(budget).items()}
        return estimate_table(quantities, prob)


def isoflop(runs: Runs, budgets: Any = None, resamples: int = 1000, seed: int = 0) -> PowerLawFrontier:
    """Approach 2: a parabola of loss in ln N at each budget, then a line through the minima in ln C.

    Biased where alpha and beta differ and the sizes are off centre (Czech 2026, arXiv 2603.22339).

    Parameters
    ----------
    runs
        The table.
    budgets
        FLOP; by default those that the runs crowd around.
    resamples
        Number of bootstrap resamples of the runs of each budget.
    seed
        The same seed, the same resamples.

    Returns
    -------
    PowerLawFrontier
        A budget without three model sizes or without an interior minimum is left out with a note.

    Raises
    ------
    TooFewRunsError, NoMinimumError
        Fewer than two budgets are left, for the reason of the first that is not.
    """
    wanted = crowded_budgets(runs.flops, most=99) if budgets is None else positive_budgets(budgets)
    usable, refusals = [], []
    for budget in np.sort(wanted):
        members = np.flatnonzero(np.abs(np.log(runs.flops / budget)) < ISOFLOP_WIDTH)
        try:
            minimum = vertex(np.log(runs.params[members]), runs.loss[members], budget)
            usable.append((budget, members, minimum))
        except DataError as refusal:
            refusals.append(refusal)
    if len(usable) < 2:
        raise refusals[0] if refusals else TooFewRunsError("the runs crowd around fewer than two budgets. Add another.")
    log_c = np.log([budget for budget, *_ in usable])
    rng = np.random.default_rng(seed)
    again = [_resampled_vertices(runs, members, resamples, rng) for _, members, _ in usable]
    log_n = np.column_stack([np.r_[minimum, other] for (*_, minimum), other in zip(usable, again, strict=True)])
    return replace(_path("isoflop", log_c, log_n, tuple(map(str, refusals))), cost=cost_of_runs(runs).averaged())


def _resampled_vertices(
    runs: Runs, members: Int[np.ndarray, " member"], resamples: int, rng: np.random.Generator
) -> Float[np.ndarray, " resample"]:
    """Vertices of resampled runs of one budget, NaN where a resample has none."""
    log_n, loss = np.log(runs.params[members]), runs.loss[members]
    found = np.full(resamples, np.nan)
    for index in range(resamples):
        drawn = rng.integers(0, len(members), len(members))
        try:
            found[index] = vertex(log_n[drawn], loss[drawn], 1.0)
        except DataError:
            continue
    return found


def _path(
    method: str,
    log_c: Float[np.ndarray, " budget"],
    log_n: Float[np.ndarray, "line budget"],
    notes: tuple[str, ...],
) -> PowerLawFrontier:
    """Lines through (ln C, ln N), missing points left out, and lines with fewer than two points."""
    centre = float(log_c.mean())
    lines = [_line(log_c - centre, row) for row in log_n]
    level, a = np.array([line for line in lines if line is not None]).T
    lost = sum(line is None for line in lines)
    more = (f"{lost} of {len(lines) - 1} resamples had fewer than two budgets with a minimum and are left out",)
    return PowerLawFrontier(method, a, level, centre, np.exp(log_c), np.exp(log_n[0]), notes + (more if lost else ()))


def _line(x: Float[np.ndarray, " point"], y: Float[np.ndarray, " point"]) -> tuple[float, float] | None:
    """Intercept and slope of least squares where y is known; None from fewer than two points."""
    known = np.isfinite(y)
    if len(np.unique(x[known])) < 2:
        return None
    slope, intercept = np.polyfit(x[known], y[known], 1)
    return float(intercept), float(slope)


def envelope(runs: Runs, resamples: int = 1000, seed: int = 0) -> PowerLawFrontier:
    """Approach 1: a line through the runs that no cheaper run beats.

    From final losses instead of whole training curves. The luckiest run wins each budget, which biases it (a winner's
    curse).

    Parameters
    ----------
    runs
        The table.
    resamples
        Number of bootstrap resamples of the runs.
    seed
        The same seed, the same resamples.

    Returns
    -------
    PowerLawFrontier
        Its optima are the runs on the envelope.

    Raises
    ------
    TooFewRunsError
        Fewer than three runs are on the envelope.
    """
    rng = np.random.default_rng(seed)
    first = _undominated(runs.flops, runs.loss)
    if len(first) < 3:
        raise TooFewRunsError("fewer than three runs are the best for their compute. Add runs at other budgets.")
    centre = float(np.log(runs.flops[first]).mean())
    lines = []
    for index in range(resamples + 1):
        drawn = np.arange(len(runs)) if index == 0 else rng.integers(0, len(runs), len(runs))
        best = drawn[_undominated(runs.flops[drawn], runs.loss[drawn])]
        lines.append(_line(np.log(runs.flops[best]) - centre, np.log(runs.params[best])))
    level, a = np.array([line for line in lines if line is not None]).T
    cost = cost_of_runs(runs).averaged()
    return PowerLawFrontier("envelope", a, level, centre, runs.flops[first], runs.params[first], cost=cost)


def _undominated(flops: Float[np.ndarray, " run"], loss: Float[np.ndarray, " run"]) -> Int[np.ndarray, " best"]:
    """Indices of the runs with a lower loss than every cheaper one, by compute."""
    order = np.lexsort((loss, flops))
    before = np.minimum.accumulate(np.r_[np.inf, loss[order][:-1]])
    return order[loss[order] < before]
