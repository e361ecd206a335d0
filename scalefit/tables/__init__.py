"""The only place where draws become intervals and DataFrames. Intervals are equal-tailed, probability given."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scalefit._numerics import interval
from scalefit.convergence import convergence, superchains

if TYPE_CHECKING:  # a fit's table does not wait for the rooms of the others
    from scalefit.approaches import Path
    from scalefit.downstream import Downstream
    from scalefit.fitted import Fit
    from scalefit.frontier import Frontier
    from scalefit.infer import Fits
    from scalefit.planning import Audit, Life, Plan, Rules
    from scalefit.reconciliation import Reconciliation

INTERVAL = ["median", "lower", "upper"]


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


def accuracy_table(found: "Downstream", losses: Any, prob: float = 0.9) -> pd.DataFrame:
    """Rows: task losses; columns: (curve, one evaluation) x (median, lower, upper), shares."""
    losses = np.atleast_1d(np.asarray(losses, dtype=float))
    columns: dict[tuple[str, str], Any] = {}
    if len(losses):
        for label, kind in (("curve", "mean"), ("one evaluation", "run")):
            columns |= named(label, interval(found.accuracy(losses, kind), prob))  # type: ignore[arg-type]
    return pd.DataFrame(columns, index=pd.Index(losses, name="task loss"))


def reconciliation_table(found: "Reconciliation", prob: float = 0.9) -> pd.DataFrame:
    """Rows: exponents that a small-scale study reports; columns median, lower, upper."""
    rows = {
        "a, without embeddings": found.studied["non_embedding"],
        "a, in total": found.studied["total"],
        "loss, without embeddings": found.studied["loss"],
    }
    values = [interval(draws, prob) for draws in rows.values()]
    return pd.DataFrame(values, index=pd.Index(rows, name="exponent"), columns=INTERVAL)


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


def named(name: str, found: np.ndarray) -> dict[tuple[str, str], Any]:
    """Median, lower and upper under the name of their quantity."""
    return {(name, statistic): value for statistic, value in zip(INTERVAL, found, strict=True)}


def two_level(rows: dict[Any, dict[tuple[str, str], Any]], index: str) -> pd.DataFrame:
    """Rows by key, columns (name, part) -> value, under an index of that name."""
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis(index)
    return table.set_axis(pd.MultiIndex.from_tuples(table.columns), axis=1)


def frontier_table(front: "Frontier", prob: float = 0.9) -> pd.DataFrame:
    """Rows: flops; columns: (params, tokens, tokens_per_param, loss) x (median, lower, upper)."""
    columns = {}
    for name in ("params", "tokens", "tokens_per_param", "loss"):
        for statistic, values in zip(INTERVAL, interval(getattr(front, name), prob), strict=True):
            columns[name, statistic] = values
    return pd.DataFrame(columns, index=pd.Index(front.flops, name="flops"))


def plan_table(plan: "Plan", prob: float = 0.9) -> pd.DataFrame:
    """Rows: loss (of the law, and of one run with noise), regret, waste in compute and money, optimum; mean, interval.

    The mean of one run's loss is left out: under Student-t noise on ln loss it has no finite expectation.
    """
    draws = {name: plan.draws[name] for name in ("loss", "loss_one_run", "regret", "wasted_compute")}
    if plan.cost.unit == "FLOP":
        draws["wasted_flops"] = plan.budget * plan.draws["wasted_compute"]
    draws |= {"wasted_money": plan.wasted_money, "N_opt": plan.draws["N_opt"], "D_opt": plan.draws["D_opt"]}
    if plan.wall:
        draws["wall_penalty"] = plan.wall.penalty
    table = draws_table(draws, prob, mean=True)
    table.loc["loss_one_run", "mean"] = np.nan
    return table


def rules_table(rules: "Rules", prob: float = 0.9) -> pd.DataFrame:
    """Rows: rules of thumb. Columns: params, tokens; regret, wasted compute and money, each mean, lower, upper."""
    worth, rows = float(rules.machines.money(rules.budget)), {}
    for rule, draws in rules.draws.items():
        waste = draws["wasted_compute"]
        row: dict[tuple[str, str], Any] = {("params", ""): rules.params[rule], ("tokens", ""): rules.tokens(rule)}
        for name, values in (("regret", draws["regret"]), ("wasted_compute", waste), ("wasted_money", worth * waste)):
            _, low, high = interval(values, prob)
            row |= {(name, "mean"): values.mean(), (name, "lower"): low, (name, "upper"): high}
        rows[rule] = row
    return two_level(rows, "rule")


def audit_table(audit: "Audit", prob: float = 0.9) -> pd.DataFrame:
    """Rows: models. Columns: params, tokens, tokens_per_param, flops; each quantity of the audit's draws, interval."""
    columns: dict[tuple[str, str], Any] = {
        ("params", ""): [model.params for model in audit.models],
        ("tokens", ""): [model.tokens for model in audit.models],
        ("tokens_per_param", ""): [model.tokens / model.params for model in audit.models],
        ("flops", ""): audit.flops,
    }
    for name, values in audit.draws.items():
        columns |= named(name, interval(values, prob))
    return pd.DataFrame(columns, index=pd.Index([model.name for model in audit.models], name="model"))


def pareto_table(life: "Life", prob: float = 0.9) -> pd.DataFrame:
    """Rows: sizes. Columns: serving cost (of the expected inference); tokens and training cost, each an interval."""
    tokens, cost = interval(life.size_tokens, prob), life.cost.averaged()
    columns: dict[tuple[str, str], Any] = {("serving", ""): cost.serving(life.sizes)}
    columns |= named("tokens", tokens) | named("training", cost.training(life.sizes, tokens))
    return pd.DataFrame(columns, index=pd.Index(life.sizes, name="params"))


def json_ready(table: pd.DataFrame) -> dict[str, Any]:
    """A table as nested dictionaries of plain numbers, outer key the row."""
    return {
        _flat(row): {_flat(column): _plain(value) for column, value in values.items()}
        for row, values in table.to_dict("index").items()
    }


def _flat(column: Any) -> str:
    return "_".join(filter(None, column)) if isinstance(column, tuple) else str(column)


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else float(value)


def estimate_table(quantities: dict[str, np.ndarray], prob: float = 0.9) -> pd.DataFrame:
    """Rows: quantities, first entry the estimate, the others its resamples; columns estimate, lower, upper."""
    rows = {
        name: {"estimate": values[0], "lower": interval(values, prob)[1], "upper": interval(values, prob)[2]}
        for name, values in quantities.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("quantity")


def path_table(path: "Path", budgets: np.ndarray, prob: float = 0.9) -> pd.DataFrame:
    """Rows: a, b, and the optimum at each budget; columns estimate, lower, upper."""
    return estimate_table(path.quantities(budgets), prob)


def draws_table(draws: dict[str, np.ndarray], prob: float = 0.9, mean: bool = False) -> pd.DataFrame:
    """Rows: quantities given as draws (draw,). Columns: median, lower, upper; the mean first where asked for."""
    rows = {name: dict(zip(INTERVAL, interval(values, prob), strict=True)) for name, values in draws.items()}
    if mean:
        rows = {name: {"mean": draws[name].mean(), **row} for name, row in rows.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("quantity")
