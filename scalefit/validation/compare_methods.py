"""Every way to the same answer, side by side on one table."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scalefit._intervals import interval
from scalefit._quantities import ranged
from scalefit._results import PROB, Result
from scalefit._tables import Table, by_rows, interval_columns
from scalefit.errors import FitError, ScalefitError
from scalefit.fits.fit import Fit
from scalefit.frontier.approaches import PowerLawFrontier, envelope, isoflop
from scalefit.frontier.optimum import trades
from scalefit.infer import MAP, VPNLS, Auto, Bootstrap, Engine, Huber, LeastSquares, fit
from scalefit.io.read import read_runs
from scalefit.model.model import Model
from scalefit.runs import Runs
from scalefit.units import format_count, format_flops, percent, positive_budgets

if TYPE_CHECKING:
    import pandas as pd


Method = Engine | Callable[[Runs], PowerLawFrontier]
QUANTITIES = ("E", "A", "B", "alpha", "beta", "a", "b", "N_opt", "D_opt", "tokens_per_param", "loss")
SHOWN = ("E", "alpha", "beta", "a", "N_opt", "tokens_per_param", "loss")


def default_methods() -> dict[str, Method]:
    """The posterior, point estimates with their bootstraps, and the two approaches without a law."""
    return {
        "posterior": Auto(),
        "MAP": MAP(),
        "Huber, bootstrap": Bootstrap(Huber()),
        "least squares, bootstrap": Bootstrap(LeastSquares()),
        "VPNLS, bootstrap": Bootstrap(VPNLS()),
        "approach 1, envelope": envelope,
        "approach 2, isoFLOP": isoflop,
    }


@dataclass(frozen=True)
class Entry:
    """The answer of one method.

    Parameters
    ----------
    draws
        Quantity -> (draw,): parameters of the law, and the optimum at the budget.
    kind
        Of the draws: "posterior", "bootstrap" or "point"; "none" where the method failed.
    seconds
        Wall time, compilation included.
    failure
        Why there is no answer, or empty.
    """

    draws: dict[str, np.ndarray]
    kind: str
    seconds: float
    failure: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Result):
    """Methods side by side at one budget.

    Parameters
    ----------
    budget
        FLOP.
    entries
        Method -> its answer.
    """

    budget: float
    entries: dict[str, Entry]

    def headline(self, prob: float = PROB) -> str:
        """The first answer of N_opt with its interval, and the range of all answers."""
        answers = {name: entry.draws["N_opt"] for name, entry in self.entries.items() if "N_opt" in entry.draws}
        failed = sum(bool(entry.failure) for entry in self.entries.values())
        count = f"{len(self.entries)} methods" + (f", of which {failed} failed," if failed else "")
        at = f"at {format_flops(self.budget)} FLOP"
        if not answers:
            return f"A comparison of {count} has no optimum {at}."
        medians = [float(np.median(draws)) for draws in answers.values()]
        name, first = next(iter(answers)), interval(next(iter(answers.values())), prob)
        how = "a point estimate" if np.isnan(first[1]) else f"{percent(prob)} interval"
        return (
            f"Of {count} the medians of N_opt {at} are {format_count(min(medians))} to {format_count(max(medians))} "
            f"parameters, and {name} gives {ranged(first, format_count)} ({how})."
        )

    def summary(self, prob: float = PROB) -> "pd.DataFrame":
        """The answers of every method.

        Parameters
        ----------
        prob
            Probability of every interval, equal-tailed.

        Returns
        -------
        pandas.DataFrame
            Rows: methods. Columns: E, A, B, alpha, beta, a, b and N_opt, D_opt, tokens_per_param, loss at the budget,
            each with median, lower and upper, NaN where a method has no such answer; kind, seconds, failure.
        """
        return self._all_columns(prob).frame()

    def _table(self, prob: float) -> Table:
        return self._all_columns(prob).only((*SHOWN, "kind", "seconds"))

    def _all_columns(self, prob: float) -> Table:
        rows = {}
        for method, entry in self.entries.items():
            row: dict[tuple[str, str], Any] = {}
            for name in QUANTITIES:
                found = interval(entry.draws[name], prob) if name in entry.draws else np.full(3, np.nan)
                row |= interval_columns(name, found)
            others = {"kind": entry.kind, "seconds": entry.seconds, "failure": entry.failure}
            rows[method] = row | {(name, ""): value for name, value in others.items()}
        return by_rows("method", rows)


def compare_methods(
    runs: Any,
    model: Model | None = None,
    *,
    budget: Any = None,
    methods: Mapping[str, Method] | None = None,
    discrepancy: bool | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> Comparison:
    """Fit every method to one table, and take from each the law and the optimum at a budget.

    Parameters
    ----------
    runs
        Anything `read_runs` takes.
    model
        `Model()` by default.
    budget
        FLOP; the largest run's by default.
    methods
        Name -> engine, or a function from `Runs` to `PowerLawFrontier`; those of `default_methods` by default.
    discrepancy
        Of the optimum, as for `Fit.predict`; methods without one give the law alone whatever this is.
    seed
        Of every engine.
    progress
        Whether to show it; None shows it in a terminal.

    Returns
    -------
    Comparison
        A method that refuses the table is an entry with its failure.

    Raises
    ------
    DataError
        The table cannot be used.
    FitError
        No method could be fitted.
    """
    table, model = read_runs(runs), model or Model()
    flops = float(positive_budgets(table.flops.max() if budget is None else budget)[0])
    entries = {}
    for name, method in (methods or default_methods()).items():
        start = time.perf_counter()
        try:
            if isinstance(method, Engine):
                fitted = fit(table, model, engine=method, seed=seed, progress=progress)
                draws, kind = _answer(fitted, flops, discrepancy), str(fitted.kind)
            else:
                path = method(table)
                draws, kind = {"a": path.a, "b": path.b, **path.optimum(flops)}, "bootstrap"
            entries[name] = Entry(draws, kind, time.perf_counter() - start)
        except ScalefitError as refusal:
            entries[name] = Entry({}, "none", time.perf_counter() - start, str(refusal))
    if all(entry.failure for entry in entries.values()):
        raise FitError(f"no method could be fitted: {next(iter(entries.values())).failure}")
    return Comparison(flops, entries)


def _answer(fitted: Fit, flops: float, discrepancy: bool | None) -> dict[str, np.ndarray]:
    """Parameters of the law, what follows from them, and the optimum, name -> (draw,)."""
    found = {name: values.reshape(-1) for name, values in {**fitted.draws, **fitted.law_derived}.items()}
    if not trades(fitted.model.law):
        return found
    front = fitted.frontier(flops, discrepancy if fitted.has_discrepancy else False)
    return found | front.optimum(0)
