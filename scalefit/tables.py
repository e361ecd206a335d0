"""The only place where draws become intervals and DataFrames. Intervals are equal-tailed, probability given."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from scalefit._numerics import interval
from scalefit.approaches import Path
from scalefit.check import Backtest, Calibration, Comparison, LawComparison, Learned
from scalefit.check.backtest import PROBS
from scalefit.check.methods import QUANTITIES
from scalefit.check.scores import clustered_error, inside
from scalefit.convergence import convergence, superchains
from scalefit.downstream import Downstream
from scalefit.fitted import Fit
from scalefit.frontier import Frontier
from scalefit.infer import Fits
from scalefit.planning import Audit, Life, Plan, Rules
from scalefit.reconciliation import Reconciliation

INTERVAL = ["median", "lower", "upper"]
CLUSTER = 0.3  # held-out runs within this in ln compute err together


def fit_table(fit: Fit, prob: float = 0.9, budgets: Any = None) -> pd.DataFrame:
    """Rows: parameters and derived quantities; columns as `Fit.summary` says."""
    return chain_table({**fit.draws, **fit.derived(budgets)}, prob, superchains(fit.stats))


def chain_table(draws: Mapping[str, np.ndarray], prob: float = 0.9, superchains: int | None = None) -> pd.DataFrame:
    """Rows: quantities, name -> (chain, draw); columns median, lower, upper, and how well the chains mixed."""
    rows = convergence(draws, superchains)
    for name, values in draws.items():
        rows[name] |= dict(zip(INTERVAL, interval(values, prob, axis=(0, 1)), strict=True))
    columns = [*INTERVAL, "ess_bulk", "ess_tail", "r_hat", "mcse_median"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("quantity")


def accuracy_table(found: Downstream, losses: Any, prob: float = 0.9) -> pd.DataFrame:
    """Rows: task losses; columns: (curve, one evaluation) x (median, lower, upper), shares."""
    losses = np.atleast_1d(np.asarray(losses, dtype=float))
    columns: dict[tuple[str, str], Any] = {}
    if len(losses):
        for label, kind in (("curve", "mean"), ("one evaluation", "run")):
            columns |= _named(label, interval(found.accuracy(losses, kind), prob))  # type: ignore[arg-type]
    return pd.DataFrame(columns, index=pd.Index(losses, name="task loss"))


def reconciliation_table(found: Reconciliation, prob: float = 0.9) -> pd.DataFrame:
    """Rows: exponents that a small-scale study reports; columns median, lower, upper."""
    rows = {
        "a, without embeddings": found.studied["non_embedding"],
        "a, in total": found.studied["total"],
        "loss, without embeddings": found.studied["loss"],
    }
    values = [interval(draws, prob) for draws in rows.values()]
    return pd.DataFrame(values, index=pd.Index(rows, name="exponent"), columns=INTERVAL)


def fits_table(fits: Fits, prob: float = 0.9, budgets: Any = None) -> pd.DataFrame:
    """Rows: tables by index; columns: (quantity, median/lower/upper) of parameters and derived, verdict, failure."""
    rows: dict[int, dict[tuple[str, str], Any]] = {i: {} for i in range(len(fits))}
    for i, fit in fits.fitted():
        for name, draws in {**fit.draws, **fit.derived(budgets)}.items():
            rows[i] |= _named(name, interval(draws, prob, axis=(0, 1)))
        rows[i]["verdict", ""] = fit.health.verdict
    for i in rows:
        rows[i]["failure", ""] = fits.failures.get(i, "")
    return _two_level(rows, "table")


def _named(name: str, found: np.ndarray) -> dict[tuple[str, str], Any]:
    """Median, lower and upper under the name of their quantity."""
    return {(name, statistic): value for statistic, value in zip(INTERVAL, found, strict=True)}


def _two_level(rows: dict[Any, dict[tuple[str, str], Any]], index: str) -> pd.DataFrame:
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis(index)
    return table.set_axis(pd.MultiIndex.from_tuples(table.columns), axis=1)


def frontier_table(front: Frontier, prob: float = 0.9) -> pd.DataFrame:
    """Rows: flops; columns: (params, tokens, tokens_per_param, loss) x (median, lower, upper)."""
    columns = {}
    for name in ("params", "tokens", "tokens_per_param", "loss"):
        for statistic, values in zip(INTERVAL, interval(getattr(front, name), prob), strict=True):
            columns[name, statistic] = values
    return pd.DataFrame(columns, index=pd.Index(front.flops, name="flops"))


def plan_table(plan: Plan, prob: float = 0.9) -> pd.DataFrame:
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


def rules_table(rules: Rules, prob: float = 0.9) -> pd.DataFrame:
    """Rows: rules of thumb. Columns: params, tokens; regret, wasted compute and money, each mean, lower, upper."""
    worth, rows = float(rules.machines.money(rules.budget)), {}
    for rule, draws in rules.draws.items():
        waste = draws["wasted_compute"]
        row: dict[tuple[str, str], Any] = {("params", ""): rules.params[rule], ("tokens", ""): rules.tokens(rule)}
        for name, values in (("regret", draws["regret"]), ("wasted_compute", waste), ("wasted_money", worth * waste)):
            _, low, high = interval(values, prob)
            row |= {(name, "mean"): values.mean(), (name, "lower"): low, (name, "upper"): high}
        rows[rule] = row
    return _two_level(rows, "rule")


def audit_table(audit: Audit, prob: float = 0.9) -> pd.DataFrame:
    """Rows: models. Columns: params, tokens, tokens_per_param, flops; each quantity of the audit's draws, interval."""
    columns: dict[tuple[str, str], Any] = {
        ("params", ""): [model.params for model in audit.models],
        ("tokens", ""): [model.tokens for model in audit.models],
        ("tokens_per_param", ""): [model.tokens / model.params for model in audit.models],
        ("flops", ""): audit.flops,
    }
    for name, values in audit.draws.items():
        columns |= _named(name, interval(values, prob))
    return pd.DataFrame(columns, index=pd.Index([model.name for model in audit.models], name="model"))


def pareto_table(life: Life, prob: float = 0.9) -> pd.DataFrame:
    """Rows: sizes. Columns: serving cost (of the expected inference); tokens and training cost, each an interval."""
    tokens, cost = interval(life.size_tokens, prob), life.cost.averaged()
    columns: dict[tuple[str, str], Any] = {("serving", ""): cost.serving(life.sizes)}
    columns |= _named("tokens", tokens) | _named("training", cost.training(life.sizes, tokens))
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


def path_table(path: Path, budgets: np.ndarray, prob: float = 0.9) -> pd.DataFrame:
    """Rows: a, b, and the optimum at each budget; columns estimate, lower, upper."""
    return estimate_table(path.quantities(budgets), prob)


def comparison_table(comparison: Comparison, prob: float = 0.9) -> pd.DataFrame:
    """Rows: methods; columns: (quantity, median/lower/upper), then kind, seconds and failure."""
    rows = {}
    for method, entry in comparison.entries.items():
        row: dict[tuple[str, str], Any] = {}
        for name in QUANTITIES:
            found = interval(entry.draws[name], prob) if name in entry.draws else np.full(3, np.nan)
            row |= _named(name, found)
        rows[method] = row | {("kind", ""): entry.kind, ("seconds", ""): entry.seconds, ("failure", ""): entry.failure}
    return _two_level(rows, "method")


def backtest_table(result: Backtest) -> pd.DataFrame:
    """Rows: methods; means over held-out runs, and the standard error of each clustered by budget."""
    records, rows = pd.DataFrame(result.records), {}
    for method, group in records.groupby("method", sort=False):
        cluster = np.round(np.log(group["flops"].to_numpy()) / CLUSTER).astype(int)
        row: dict[str, float] = {"runs": len(group)}
        for name, values in _scored(group).items():
            row |= {name: values.mean(), f"{name}_se": clustered_error(values, cluster)}
        rows[method] = row | _size_scores(result, method)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")


def _size_scores(result: Backtest, method: Any) -> dict[str, float]:
    """How many isoFLOP minima the held-out runs show, and what was predicted of them; nothing where there are none."""
    mine = result.sizes["method"] == method
    if not len(mine):
        return {}
    place, crps = (result.sizes[name][mine] for name in ("pit", "crps"))
    covers = {f"cover_N_opt_{100 * prob:.0f}": float(inside(place, prob).mean()) for prob in PROBS}
    return {"minima": float(mine.sum()), "crps_N_opt": float(crps.mean()), **covers}


def laws_table(found: LawComparison) -> pd.DataFrame:
    """Rows: laws, the best on held-out runs first; columns as `LawComparison.summary` says."""
    share = found.records["share"]
    means = {law: float(share @ score.lpd) for law, score in found.scores.items()}
    order, rows = sorted(means, key=lambda law: -means[law]), {}
    for law in order:
        score = found.scores[law]
        held = {"lpd": score.lpd, "lpd_diff": score.lpd - found.scores[order[0]].lpd, "crps": score.crps}
        row: dict[str, Any] = {"weight": found.weights[law]}
        for name, values in held.items():
            row |= {name: share @ values, f"{name}_se": _shared_error(values, found.records)}
        row |= {"elpd_loo": score.loo.sum(), "elpd_loo_se": np.sqrt(len(score.loo)) * score.loo.std(ddof=1)}
        row |= {"loo_weight": found.loo_weights[law], "pareto_k": score.pareto_k.max()}
        rows[law] = row | {"health": found.fits[law].health.verdict}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("law")


def _shared_error(values: np.ndarray, records: Mapping[str, np.ndarray]) -> float:
    """Standard error of a mean weighted by share, clustered by budget: a run in several splits errs with itself."""
    share, cluster = records["share"], np.round(np.log(records["flops"]) / CLUSTER).astype(int)
    return clustered_error(len(share) * share * (values - share @ values), cluster)


def _scored(group: pd.DataFrame) -> dict[str, np.ndarray]:
    """Per run: error, its size, scores, and whether each interval held."""
    columns = {name: group[name].to_numpy() for name in ("error", "crps", "log_score", "interval_score")}
    found = {"bias": columns.pop("error"), "mae": group["error"].abs().to_numpy(), **columns}
    for kind in ("mean", "run"):
        values = group[f"pit_{kind}"].to_numpy()
        for prob in PROBS:
            held = np.where(np.isnan(values), np.nan, inside(values, prob))
            found[f"cover_{kind}_{100 * prob:.0f}"] = held
    return found


def distance_table(result: Backtest, edges: Any) -> pd.DataFrame:
    """Rows: (method, distance band in ln compute); runs, CRPS, bias, and coverage of the 90 % intervals."""
    records = pd.DataFrame(result.records)
    band = pd.cut(records["distance"], [-np.inf, *edges, np.inf]).astype(str)
    rows = {}
    for key, group in records.groupby(["method", band], sort=False):
        scored = _scored(group)
        names = ("bias", "crps", "cover_mean_90", "cover_run_90")
        rows[key] = {"runs": len(group)} | {name: scored[name].mean() for name in names}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["method", "distance"])


def learned_table(learned: Learned) -> pd.DataFrame:
    """Rows: methods; means over cases of what `worth` scores, and CRPS as a ratio to the law alone's."""
    means = {name: {n: np.nanmean(v) for n, v in scores.items()} for name, scores in learned.scores.items()}
    table = pd.DataFrame.from_dict(means, orient="index").rename_axis("method")
    for what in ("loss", "size"):
        table[f"{what} ratio"] = table[f"{what} crps"] / table[f"{what} crps"].iloc[0]
    return table


def studies_table(learned: Learned) -> pd.DataFrame:
    """Rows: studies, worst coverage of losses first; cuts, and means of the scores with the study's family left out."""
    table = pd.DataFrame(learned.scores["left out"]).assign(study=[case.study for case in learned.cases])
    grouped = table.groupby("study")
    return grouped.mean().assign(cuts=grouped.size()).sort_values("loss 90")


def drift_table(result: Backtest, prob: float = 0.9) -> pd.DataFrame:
    """Rows: (split, method); N_opt at the target: median, lower, upper."""
    rows = {key: dict(zip(INTERVAL, interval(draws, prob), strict=True)) for key, draws in result.drift.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["split", "method"])


def calibration_table(found: Calibration, false_alarm: float = 0.05) -> pd.DataFrame:
    """Rows: quantities, the one furthest from uniform ranks first; columns as `Calibration.summary` says."""
    columns = {
        "difference": found.difference(false_alarm),
        "p_value": found.p_values(),
        "inside": found.inside(false_alarm),
        "cover_50": found.coverage(0.5),
        "cover_90": found.coverage(0.9),
    }
    return pd.DataFrame(columns).rename_axis("quantity").sort_values("difference", ascending=False)


def draws_table(draws: dict[str, np.ndarray], prob: float = 0.9, mean: bool = False) -> pd.DataFrame:
    """Rows: quantities given as draws (draw,). Columns: median, lower, upper; the mean first where asked for."""
    rows = {name: dict(zip(INTERVAL, interval(values, prob), strict=True)) for name, values in draws.items()}
    if mean:
        rows = {name: {"mean": draws[name].mean(), **row} for name, row in rows.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("quantity")
