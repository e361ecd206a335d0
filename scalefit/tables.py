"""The only place where draws become intervals and DataFrames. Intervals are equal-tailed, probability given."""

from typing import Any

import numpy as np
import pandas as pd

from scalefit._numerics import interval
from scalefit.fitted import Fit
from scalefit.frontier import Frontier
from scalefit.health import convergence
from scalefit.planning import Plan

INTERVAL = ["median", "lower", "upper"]


def fit_table(fit: Fit, prob: float = 0.9, budgets: Any = None) -> pd.DataFrame:
    """Rows: parameters and derived quantities; columns as `Fit.summary` says."""
    rows = {}
    for name, draws in {**fit.draws, **fit.derived(budgets)}.items():
        rows[name] = dict(zip(INTERVAL, interval(draws, prob, axis=(0, 1)), strict=True)) | convergence(draws)
    columns = [*INTERVAL, "ess_bulk", "ess_tail", "r_hat", "mcse_median"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("quantity")


def frontier_table(front: Frontier, prob: float = 0.9) -> pd.DataFrame:
    """Rows: flops; columns: (params, tokens, tokens_per_param, loss) x (median, lower, upper)."""
    columns = {}
    for name in ("params", "tokens", "tokens_per_param", "loss"):
        for statistic, values in zip(INTERVAL, interval(getattr(front, name), prob), strict=True):
            columns[name, statistic] = values
    return pd.DataFrame(columns, index=pd.Index(front.flops, name="flops"))


def plan_table(plan: Plan, prob: float = 0.9) -> pd.DataFrame:
    """Rows: loss (of the law, and of one run with noise), regret, wasted compute, optimum; mean and interval.

    The mean of one run's loss is left out: under Student-t noise on ln loss it has no finite expectation.
    """
    rows = {
        name: {"mean": plan.draws[name].mean(), **dict(zip(INTERVAL, interval(plan.draws[name], prob), strict=True))}
        for name in ("loss", "loss_one_run", "regret", "wasted_compute", "N_opt", "D_opt")
    }
    rows["loss_one_run"]["mean"] = np.nan
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("quantity")


def json_ready(table: pd.DataFrame) -> dict[str, Any]:
    """A table as nested dictionaries of plain numbers, outer key the row."""
    return {
        str(row): {_flat(column): float(value) for column, value in values.items()}
        for row, values in table.to_dict("index").items()
    }


def _flat(column: Any) -> str:
    return "_".join(column) if isinstance(column, tuple) else str(column)
