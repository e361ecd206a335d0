"""Tables of how methods, laws and intervals did: means over runs, and what was held."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from scalefit._numerics import interval
from scalefit.check import Backtest, Calibration, Comparison, LawComparison, Learned
from scalefit.check.backtest import PROBS
from scalefit.check.methods import QUANTITIES
from scalefit.check.scores import clustered_error, inside
from scalefit.tables.layout import INTERVAL, named, two_level

CLUSTER = 0.3  # held-out runs within this in ln compute err together


def comparison_table(comparison: Comparison, prob: float = 0.9) -> pd.DataFrame:
    """Rows: methods; columns: (quantity, median/lower/upper), then kind, seconds and failure."""
    rows = {}
    for method, entry in comparison.entries.items():
        row: dict[tuple[str, str], Any] = {}
        for name in QUANTITIES:
            found = interval(entry.draws[name], prob) if name in entry.draws else np.full(3, np.nan)
            row |= named(name, found)
        rows[method] = row | {("kind", ""): entry.kind, ("seconds", ""): entry.seconds, ("failure", ""): entry.failure}
    return two_level(rows, "method")


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
