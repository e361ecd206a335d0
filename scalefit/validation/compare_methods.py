"""Every way to the same answer, side by side on one table."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scalefit._intervals import interval
from scalefit._tables import interval_columns, two_level
from scalefit.errors import ScalefitError
from scalefit.fits.fit import Fit
from scalefit.frontier.approaches import PowerLawFrontier, envelope, isoflop
from scalefit.frontier.optimum import trades
from scalefit.infer import MAP, VPNLS, Auto, Bootstrap, Engine, Huber, LeastSquares, fit
from scalefit.io.read import read_runs
from scalefit.model.model import Model
from scalefit.runs import Runs
from scalefit.units import positive_budgets

if TYPE_CHECKING:
    import pandas as pd


Method = Engine | Callable[[Runs], PowerLawFrontier]
QUANTITIES = ("E", "A", "B", "alpha", "beta", "a", "b", "N_opt", "D_opt", "tokens_per_param", "loss")


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
    """What one method said: quantity -> draws, the kind of its interval, wall seconds with compilation, failure."""

    draws: dict[str, np.ndarray]
    kind: str
    seconds: float
    failure: str = ""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Methods side by side at one budget (FLOP): name -> `Entry`."""

    budget: float
    entries: dict[str, Entry]

    def summary(self, prob: float = 0.9) -> "pd.DataFrame":
        """Rows: methods. Columns: (quantity, median/lower/upper), kind, seconds, failure."""
        return comparison_table(self, prob)


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
    """Fit every method to one table and ask each for the law and the optimum at `budget`, the largest run's by default.

    A method that refuses the table is an entry with its sentence. Raises `DataError` where the table itself is bad.
    """
    table, model = read_runs(runs), model or Model()
    flops = positive_budgets(table.flops.max() if budget is None else budget)[:1]
    entries = {}
    for name, method in (methods or default_methods()).items():
        start = time.perf_counter()
        try:
            draws, kind = _ask(method, table, model, flops, discrepancy, seed, progress)
            entries[name] = Entry(draws, kind, time.perf_counter() - start)
        except ScalefitError as refusal:
            entries[name] = Entry({}, "none", time.perf_counter() - start, str(refusal))
    return Comparison(float(flops[0]), entries)


def _ask(
    method: Method, table: Runs, model: Model, flops: np.ndarray, discrepancy: bool | None, seed: int, progress: bool | None
) -> tuple[dict[str, np.ndarray], str]:
    if isinstance(method, Engine):
        fitted = fit(table, model, engine=method, seed=seed, progress=progress)
        return _of_fit(fitted, flops, discrepancy), fitted.kind
    return {name.split("[")[0]: values for name, values in method(table).quantities(flops).items()}, "bootstrap"


def _of_fit(fitted: Fit, flops: np.ndarray, discrepancy: bool | None) -> dict[str, np.ndarray]:
    found = {**fitted.draws, **fitted.law_derived}
    if trades(fitted.model.law):
        found |= fitted.optima(flops, discrepancy if fitted.has_discrepancy else False)
    return {name.split("[")[0]: values.reshape(-1) for name, values in found.items()}


def comparison_table(comparison: Comparison, prob: float = 0.9) -> "pd.DataFrame":
    """Rows: methods; columns: (quantity, median/lower/upper), then kind, seconds and failure."""
    rows = {}
    for method, entry in comparison.entries.items():
        row: dict[tuple[str, str], Any] = {}
        for name in QUANTITIES:
            found = interval(entry.draws[name], prob) if name in entry.draws else np.full(3, np.nan)
            row |= interval_columns(name, found)
        rows[method] = row | {("kind", ""): entry.kind, ("seconds", ""): entry.seconds, ("failure", ""): entry.failure}
    return two_level(rows, "method")
