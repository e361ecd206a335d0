"""Tables to decide by: frontiers, plans, rules of thumb, audits, the cost of a model's life."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scalefit._numerics import interval
from scalefit.tables.layout import INTERVAL, draws_table, named, two_level

if TYPE_CHECKING:  # a fit's frontier does not wait for planning
    from scalefit.frontier import Frontier
    from scalefit.planning import Audit, Life, Plan, Rules


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
