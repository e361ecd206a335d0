"""Train on some runs, predict the others, and score what was promised. Everything is in ln loss."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scalefit._intervals import interval
from scalefit._tables import INTERVAL
from scalefit.errors import FitError, ScalefitError
from scalefit.fits.fit import Fit
from scalefit.frontier.optimum import trades
from scalefit.infer import Auto, Bootstrap, Engine, Huber, LeastSquares, fit_many
from scalefit.io.read import read_runs
from scalefit.model.model import Model
from scalefit.runs import Runs
from scalefit.units import positive_budgets
from scalefit.validation.extrapolation import sizes_at_minima
from scalefit.validation.holdout import Holdout, checked
from scalefit.validation.scores import CLUSTER, clustered_error, crps, inside, interval_score, log_losses, pit

if TYPE_CHECKING:
    import pandas as pd


PROBS = (0.5, 0.8, 0.9)
LEAST_DRAWS = 1000  # a point estimate predicts with its noise alone, from this many draws


def default_engines() -> dict[str, Engine]:
    """The posterior and the point estimates people use, each with its bootstrap."""
    return {
        "posterior": Auto(),
        "huber": Huber(),
        "huber bootstrap": Bootstrap(Huber(), resamples=1000),
        "least-squares bootstrap": Bootstrap(LeastSquares(), resamples=1000),
    }


@dataclass(frozen=True, eq=False)
class Backtest:
    """One record a held-out run, split and method.

    records : name -> (record,): split, method, kind, row (from 1), flops; distance, ln(C / C_max of the training
        runs); error, median ln loss minus observed; crps, log_score, interval_score (90 %); pit and pit_without_noise
        (NaN for a point estimate, which has no interval without noise).
    sizes : name -> (minimum,): split, method, flops; error, median ln N_opt minus that at an isoFLOP minimum of the
        held-out runs; crps and pit of it, the minimum's own error included. Empty where no minimum shows.
    target : the budget of `drift`; drift : (split, method) -> draws of N_opt there.
    failures : (split, method) -> why.
    """

    records: dict[str, np.ndarray]
    sizes: dict[str, np.ndarray]
    target: float
    drift: dict[tuple[str, str], np.ndarray]
    failures: dict[tuple[str, str], str]

    def summary(self) -> "pd.DataFrame":
        """Rows: methods. Bias, MAE, CRPS, scores and coverage, each mean with a standard error clustered by budget."""
        return backtest_table(self)

    def by_distance(self, edges: Any = (0.0, 1.0, 2.0, 4.0)) -> "pd.DataFrame":
        """Coverage and CRPS by how far beyond the training runs, in ln compute; rows (method, distance)."""
        return distance_table(self, edges)

    def drift_summary(self, prob: float = 0.9) -> "pd.DataFrame":
        """N_opt at the target as the cut rises; rows (split, method), columns median, lower, upper."""
        return drift_table(self, prob)


def backtest(
    runs: Any,
    model: Model | None = None,
    engines: Mapping[str, Engine] | None = None,
    *,
    holdout: Holdout,
    target: Any = None,
    seed: int = 0,
    progress: bool | None = None,
) -> Backtest:
    """Fit every engine to the training runs of all splits together, and score its predictions of the others.

    holdout : `above_compute(1e21)`, `rolling_origin()`, `by_group(column)` or `random_folds()`. target : the budget
    (FLOP) at which N_opt is followed, ten times the largest run by default. An engine that refuses a split is recorded
    in `failures`, not raised. Raises `DataError` where a split is empty.
    """
    table, model = read_runs(runs), model or Model()
    budget = float(positive_budgets(10 * table.flops.max() if target is None else target)[0])
    splits = checked(holdout, table)
    training = [table.subset(train) for _, train in splits]
    parts: list[dict[str, np.ndarray]] = []
    sizes: list[dict[str, np.ndarray]] = []
    drift: dict[tuple[str, str], np.ndarray] = {}
    failures: dict[tuple[str, str], str] = {}
    for method, engine in (engines or default_engines()).items():
        fits = fit_many(training, model, engine=engine, seed=seed, progress=progress)
        failures |= {(splits[i][0], method): why for i, why in fits.failures.items()}
        for i, fitted in fits.fitted():
            split, train = splits[i]
            for name, discrepancy in _methods(fitted, method).items():
                try:
                    score = _score(fitted, table, ~train, discrepancy) | _labels(split, name, fitted.kind, (~train).sum())
                    optimum = fitted.frontier(budget, discrepancy).params[:, 0]
                except ScalefitError as refusal:
                    failures[split, name] = str(refusal)
                    continue
                parts.append(score)
                sizes.append(_size_score(_replicated(fitted), table.subset(~train), discrepancy, split, name))
                drift[split, name] = optimum
    if not parts:
        raise FitError(f"no method could be fitted: {next(iter(failures.values()))}")
    return Backtest(_joined(parts), _joined(sizes), budget, drift, failures)


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _methods(fitted: Fit, method: str) -> dict[str, bool]:
    """What is scored of a fit: name -> whether the discrepancy is included. One that has it is scored both ways."""
    return {method: True, f"{method}, law only": False} if fitted.has_discrepancy else {method: False}


def _size_score(fitted: Fit, held: Runs, discrepancy: bool, split: str, method: str) -> dict[str, np.ndarray]:
    """Records of one fit at the isoFLOP minima of the held-out runs, each (minimum,); none for a law without any."""
    if not trades(fitted.model.law):
        flops, draws, best = np.empty(0), np.empty((1, 0)), np.empty(0)
    else:
        flops, draws, best = sizes_at_minima(fitted, held, discrepancy)
    labels = {n: np.full(len(best), v, dtype=object) for n, v in (("split", split), ("method", method))}
    scores = {"error": np.median(draws, axis=0) - best, "crps": crps(draws, best), "pit": pit(draws, best)}
    return labels | {"flops": flops} | scores


def _labels(split: str, method: str, kind: str, count: int) -> dict[str, np.ndarray]:
    return {n: np.full(count, v, dtype=object) for n, v in (("split", split), ("method", method), ("kind", kind))}


def _score(fitted: Fit, table: Runs, held: np.ndarray, discrepancy: bool) -> dict[str, np.ndarray]:
    """Records of one fit on the held-out runs, each (run,)."""
    test = table.subset(held)
    full = _replicated(fitted)
    observed = np.log(test.loss)
    run = log_losses(full.predict(test, discrepancy=discrepancy))
    expected = log_losses(full.predict(test, noise=False, discrepancy=discrepancy))
    lower, upper = np.quantile(run, [0.05, 0.95], axis=0)
    return {
        "row": np.flatnonzero(held) + 1.0,
        "flops": test.flops,
        "distance": np.log(test.flops / fitted.compute_range[1]),
        "error": np.median(expected, axis=0) - observed,
        "crps": crps(run, observed),
        "log_score": -full.log_density(test, discrepancy),
        "interval_score": interval_score(lower, upper, observed, 0.9),
        "pit": pit(run, observed),
        "pit_without_noise": np.full(len(test), np.nan) if fitted.kind == "point" else pit(expected, observed),
    }


def _replicated(fitted: Fit) -> Fit:
    """A point estimate repeated, so that its noise is drawn often enough; other fits as they are."""
    count = len(next(iter(fitted.theta.values())))
    if count >= LEAST_DRAWS:
        return fitted
    copies = -(-LEAST_DRAWS // count)
    return replace(fitted, draws={name: np.tile(values, copies) for name, values in fitted.draws.items()})


def backtest_table(result: Backtest) -> "pd.DataFrame":
    """Rows: methods; means over held-out runs, and the standard error of each clustered by budget."""
    import pandas as pd

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


def _scored(group: "pd.DataFrame") -> dict[str, np.ndarray]:
    """Per run: error, its size, scores, and whether each interval held."""
    columns = {name: group[name].to_numpy() for name in ("error", "crps", "log_score", "interval_score")}
    found = {"bias": columns.pop("error"), "mae": group["error"].abs().to_numpy(), **columns}
    for name, label in (("pit", "cover"), ("pit_without_noise", "cover_without_noise")):
        values = group[name].to_numpy()
        for prob in PROBS:
            held = np.where(np.isnan(values), np.nan, inside(values, prob))
            found[f"{label}_{100 * prob:.0f}"] = held
    return found


def distance_table(result: Backtest, edges: Any) -> "pd.DataFrame":
    """Rows: (method, distance band in ln compute); runs, CRPS, bias, and coverage of the 90 % intervals."""
    import pandas as pd

    records = pd.DataFrame(result.records)
    band = pd.cut(records["distance"], [-np.inf, *edges, np.inf]).astype(str)
    rows = {}
    for key, group in records.groupby(["method", band], sort=False):
        scored = _scored(group)
        names = ("bias", "crps", "cover_90", "cover_without_noise_90")
        rows[key] = {"runs": len(group)} | {name: scored[name].mean() for name in names}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["method", "distance"])


def drift_table(result: Backtest, prob: float = 0.9) -> "pd.DataFrame":
    """Rows: (split, method); N_opt at the target: median, lower, upper."""
    import pandas as pd

    rows = {key: dict(zip(INTERVAL, interval(draws, prob), strict=True)) for key, draws in result.drift.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["split", "method"])
