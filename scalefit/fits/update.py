"""New runs: the joint fit of old and new, what it moved, and how far that was expected to move."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from scalefit._intervals import interval
from scalefit._quantities import posterior_name, quantity, said, unit_in
from scalefit._results import PROB, Result
from scalefit._tables import Table, draws_table
from scalefit.costs.cost import SixND
from scalefit.errors import FitError
from scalefit.fits._answers import Answers
from scalefit.fits._moves import Move, moves_of
from scalefit.frontier.optimum import trades
from scalefit.io.read import read_runs
from scalefit.runs import Runs, refuse_other_unit

if TYPE_CHECKING:
    import pandas as pd

F = TypeVar("F", bound=Answers)


@dataclass(frozen=True, eq=False, repr=False)
class Update(Result, Generic[F]):
    """A fit before and after new runs.

    Parameters
    ----------
    before, fit
        Of the old runs, and of old and new together.
    new
        The new runs.
    moves
        Quantity -> how far it moved: parameters of law and noise, and what follows from them, by the law-only
        posterior; N_opt, D_opt, tokens_per_param and loss at each budget.
    """

    before: F
    fit: F
    new: Runs
    moves: dict[str, Move]

    def headline(self, prob: float = PROB) -> str:
        """How the optimum and its loss moved, or the law's first parameter, against what was expected."""
        known = [name for name in self.moves if name.startswith(("N_opt[", "loss["))]
        words = [self._moved(name) for name in known[-2:] or list(self.moves)[:1]]
        posterior = self.moves[known[-1]].posterior if known else posterior_name(False)
        return f"{len(self.new)} new runs moved {' and '.join(words)} ({posterior})."

    def _moved(self, name: str) -> str:
        """From where to where, and the shift over its expected size."""
        move, unit = self.moves[name], quantity(name, unit_in(self.before.loss_units, name)).unit
        before, after = (said(float(np.median(draws)), unit) for draws in (move.before, move.after))
        against = f", {abs(move.standardised):.1f} times the expected shift" if np.isfinite(move.standardised) else ""
        return f"{name} from {before} to {after}{against}"

    def summary(self, prob: float = PROB) -> "pd.DataFrame":
        """What moved, and by how much it was expected to.

        Parameters
        ----------
        prob
            Probability of every interval, equal-tailed.

        Returns
        -------
        pandas.DataFrame
            Rows: quantities. Columns: median, lower and upper after the new runs; before (the median); shift of the
            mean (of ln where positive) and its expected size, in standard deviations of the draws before: 1 means that
            the new runs were expected to settle the quantity; standardised, the one over the other, Monte Carlo error
            included;
            chance of a shift at least as large; and posterior, "law only" or "with discrepancy".
        """
        return self._table(prob).frame()

    def _table(self, prob: float) -> Table:
        table = draws_table({name: move.after for name, move in self.moves.items()}, prob)
        moves = self.moves.values()
        columns = {
            "before": [float(interval(move.before, prob)[0]) for move in moves],
            "shift": [move.shift for move in moves],
            "expected_shift": [float(move.expected.std()) for move in moves],
            "standardised": [move.standardised for move in moves],
            "chance": [move.chance for move in moves],
            "posterior": [move.posterior for move in moves],
        }
        return replace(table, columns={**table.columns, **columns}, units=self.before.loss_units)


def update(before: F, new_runs: Any, budgets: Any, discrepancy: bool | None, fixed: Mapping[str, Any]) -> Update[F]:
    """`Fit.update`."""
    if before.refit is None:
        raise FitError("this fit does not know its engine. Fit again with sf.fit(fit.runs.joined(new)).")
    new = _like(before, new_runs)
    after = before.refit(_together(before.runs, new))
    if budgets is None and trades(before.model.law):
        budgets = [max(before.compute_range[1], float(new.flops.max()))]
    included = before.resolve(discrepancy)
    moves: dict[str, Move] = {}
    for with_discrepancy in dict.fromkeys((False, included)):
        pair = [_quantities(fit, budgets, with_discrepancy, included, fixed) for fit in (before, after)]
        moves |= moves_of(before, after, new, with_discrepancy, *pair)
    return Update(before, after, new, moves)


def _like(fit: Answers, source: Any) -> Runs:
    """New runs that state what the table of a fit states: what N counts, and which runs share an error."""
    old, new = fit.runs, read_runs(source)
    refuse_other_unit(old.unit, new.unit, new.name)
    columns = dict(new.columns)
    six_nd = "flops" in columns and np.allclose(columns["flops"], SixND().flops(new.params, new.tokens), rtol=1e-9)
    if (
        six_nd and "flops" in old.columns and not isinstance(source, Runs)
    ):  # derived on reading: price them as the table
        columns["flops"] = np.asarray(fit.mean_cost.flops(new.params, new.tokens), dtype=float)
    stated = replace(new, columns=columns, convention=new.convention or old.convention)
    return replace(stated, cluster=old.cluster, weight=old.weight, sd=old.sd)


def _together(old: Runs, new: Runs) -> Runs:
    """All runs; those of one cluster stay together, whichever table they are in."""
    joined = replace(old, cluster=()).joined(replace(new, cluster=()))
    return replace(joined, cluster=old.cluster)


def _quantities(
    fit: Answers, budgets: Any, with_discrepancy: bool, included: bool, fixed: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Draws of the quantities of one posterior, each (chain, draw)."""
    found = {} if with_discrepancy else {**fit.draws, **fit.law_derived}
    if with_discrepancy == included and trades(fit.model.law):
        found |= fit.optima(budgets, with_discrepancy, **fixed)
    return found
