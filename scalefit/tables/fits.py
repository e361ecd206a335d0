"""Tables of what was fitted: posteriors, point estimates, and what follows from either without a budget."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scalefit._numerics import interval
from scalefit.convergence import convergence, superchains
from scalefit.tables.layout import INTERVAL, estimate_table, named, two_level

if TYPE_CHECKING:  # a fit's table does not wait for the rooms of the others
    from scalefit.approaches import Path
    from scalefit.downstream import Downstream
    from scalefit.fitted import Fit
    from scalefit.infer import Fits
    from scalefit.reconciliation import Reconciliation


def fit_table(fit: "Fit", prob: float = 0.9, budgets: Any = None) -> pd.DataFrame:
    """Rows: parameters and derived quantities; columns as `Fit.summary` says."""
    return chain_table({**fit.draws, **fit.derived(budgets)}, prob, superchains(fit.stats))


def chain_table(draws: Mapping[str, np.ndarray], prob: float = 0.9, superchains: int | None = None) -> pd.DataFrame:
    """Rows: quantities, name -> (chain, draw); columns median, lower, upper, and how well the chains mixed."""
    rows = convergence(draws, superchains)
    for name, values in draws.items():
        rows[name] |= dict(zip(INTERVAL, interval(values, prob, axis=(0, 1)), strict=True))
    columns = [*INTERVAL, "ess_bulk", "ess_tail", "r_hat", "mcse_median"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("quantity")


def fits_table(fits: "Fits", prob: float = 0.9, budgets: Any = None) -> pd.DataFrame:
    """Rows: tables by index; columns: (quantity, median/lower/upper) of parameters and derived, verdict, failure."""
    rows: dict[int, dict[tuple[str, str], Any]] = {i: {} for i in range(len(fits))}
    for i, fit in fits.fitted():
        for name, draws in {**fit.draws, **fit.derived(budgets)}.items():
            rows[i] |= named(name, interval(draws, prob, axis=(0, 1)))
        rows[i]["verdict", ""] = fit.health.verdict
    for i in rows:
        rows[i]["failure", ""] = fits.failures.get(i, "")
    return two_level(rows, "table")


def path_table(path: "Path", budgets: np.ndarray, prob: float = 0.9) -> pd.DataFrame:
    """Rows: a, b, and the optimum at each budget; columns estimate, lower, upper."""
    return estimate_table(path.quantities(budgets), prob)


def reconciliation_table(found: "Reconciliation", prob: float = 0.9) -> pd.DataFrame:
    """Rows: exponents that a small-scale study reports; columns median, lower, upper."""
    rows = {
        "a, without embeddings": found.studied["non_embedding"],
        "a, in total": found.studied["total"],
        "loss, without embeddings": found.studied["loss"],
    }
    values = [interval(draws, prob) for draws in rows.values()]
    return pd.DataFrame(values, index=pd.Index(rows, name="exponent"), columns=INTERVAL)


def accuracy_table(found: "Downstream", losses: Any, prob: float = 0.9) -> pd.DataFrame:
    """Rows: task losses; columns: (curve, one evaluation) x (median, lower, upper), shares."""
    losses = np.atleast_1d(np.asarray(losses, dtype=float))
    columns: dict[tuple[str, str], Any] = {}
    if len(losses):
        for label, kind in (("curve", "mean"), ("one evaluation", "run")):
            columns |= named(label, interval(found.accuracy(losses, kind), prob))  # type: ignore[arg-type]
    return pd.DataFrame(columns, index=pd.Index(losses, name="task loss"))
