"""Train on some runs, predict the others, and score the predictions. Everything is in ln loss."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Shaped

from scalefit._intervals import interval
from scalefit._quantities import ratio
from scalefit._results import PROB, Result
from scalefit._tables import INTERVAL, Table, by_rows
from scalefit.counting.compute import CLUSTER_WIDTH
from scalefit.errors import FitError, ScalefitError
from scalefit.fits.fit import Fit
from scalefit.frontier.optimum import trades
from scalefit.infer import Auto, Bootstrap, Engine, Huber, LeastSquares, fit_many
from scalefit.io.read import read_runs
from scalefit.model.model import Model
from scalefit.runs import Runs
from scalefit.units import percent, positive_budgets
from scalefit.validation.extrapolation import sizes_at_minima
from scalefit.validation.holdout import Holdout, checked
from scalefit.validation.quantiles import repeated
from scalefit.validation.scores import clustered_error, crps, inside, interval_score, log_losses, pit

if TYPE_CHECKING:
    import pandas as pd

Records = dict[str, Shaped[np.ndarray, " record"]]
Minima = dict[str, Shaped[np.ndarray, " minimum"]]
PROBS = (0.5, 0.8, 0.9)


def default_engines() -> dict[str, Engine]:
    """The posterior, and the point estimates people use, each with its bootstrap."""
    return {
        "posterior": Auto(),
        "huber": Huber(),
        "huber bootstrap": Bootstrap(Huber(), resamples=1000),
        "least-squares bootstrap": Bootstrap(LeastSquares(), resamples=1000),
    }


@dataclass(frozen=True, eq=False, repr=False)
class Backtest(Result):
    """Scores of predictions of held-out runs. A fit with a discrepancy is scored with it and without.

    Parameters
    ----------
    records
        Name -> (record,), one record for every held-out run, split and method. Labels: split, method, discrepancy,
        kind, row (from 1), flops, distance (ln of compute over the most of the training runs). Scores: error (median ln
        loss minus observed), crps, log_score, interval_score (90 %), pit, and pit_without_noise (NaN for a point
        estimate, which has no interval without noise).
    sizes
        Name -> (minimum,), one record for every isoFLOP minimum of the held-out runs: split, method, discrepancy,
        flops; error (median ln N_opt minus that of the minimum), crps and pit, with the error of the minimum.
    target
        The budget of `drift`, FLOP.
    drift
        (split, method, discrepancy) -> draws of N_opt at the target.
    failures
        (split, method) -> why it has no scores.
    """

    records: Records
    sizes: Minima
    target: float
    drift: dict[tuple[str, str, bool], np.ndarray]
    failures: dict[tuple[str, str], str]

    @property
    def predictors(self) -> dict[str, tuple[str, bool]]:
        """Label -> (method, discrepancy); the label has "law only" where a method is also scored with discrepancy."""
        pairs = list(dict.fromkeys(zip(self.records["method"], self.records["discrepancy"].tolist(), strict=True)))
        return {
            f"{m}{', law only' if (m, True) in pairs and not included else ''}": (m, included) for m, included in pairs
        }

    def chosen(self, predictor: str, records: dict[str, np.ndarray] | None = None) -> Bool[np.ndarray, " chosen"]:
        """Which of the records, `sizes` for instance, are of a predictor; its own `records` by default."""
        columns, (method, discrepancy) = self.records if records is None else records, self.predictors[predictor]
        return (columns["method"] == method) & (columns["discrepancy"] == discrepancy)

    def headline(self, prob: float = PROB) -> str:
        """How often intervals contained the held-out losses, by predictor."""
        pit, furthest = self.records["pit"], ratio(np.exp(self.records["distance"].max()))
        covers = [f"{inside(pit[self.chosen(name)], prob).mean():.0%} ({name})" for name in self.predictors]
        return (
            f"Nominal {percent(prob)} intervals contained {', '.join(covers)} of the losses of the "
            f"{len(set(self.records['row']))} held-out runs, which have up to {furthest} times the compute of the "
            "training runs."
        )

    def summary(self) -> "pd.DataFrame":
        """Scores of every predictor.

        Returns
        -------
        pandas.DataFrame
            Rows: predictors. Columns: runs; bias, mae, crps, log_score, interval_score and coverage of 50, 80 and 90 %
            intervals with and without noise, each a mean with a standard error clustered by budget ("x_se"); minima,
            crps_N_opt and the coverage of N_opt where the held-out runs show isoFLOP minima.
        """
        return self._all_columns().frame()

    def by_distance(self, edges: Any = (0.0, 1.0, 2.0, 4.0)) -> "pd.DataFrame":
        """Scores by how far beyond the training runs.

        Parameters
        ----------
        edges
            Of the bands of distance, in ln compute.

        Returns
        -------
        pandas.DataFrame
            Rows: (method, distance). Columns: runs, bias, crps, cover_90, cover_without_noise_90.
        """
        import pandas as pd

        rows, names = {}, ("bias", "crps", "cover_90", "cover_without_noise_90")
        for name in self.predictors:
            records = pd.DataFrame(self.records)[self.chosen(name)]
            band = pd.cut(records["distance"], [-np.inf, *edges, np.inf]).astype(str)
            for distance, group in records.groupby(band, sort=False):
                scores = _scores({column: group[column].to_numpy() for column in group})
                rows[name, distance] = {"runs": len(group)} | {score: scores[score].mean() for score in names}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["method", "distance"])

    def drift_summary(self, prob: float = PROB) -> "pd.DataFrame":
        """N_opt at the target as the cut rises; rows (split, method), columns median, lower, upper."""
        import pandas as pd

        labels = {pair: name for name, pair in self.predictors.items()}
        ends = {(split, labels[method, d]): interval(n, prob) for (split, method, d), n in self.drift.items()}
        rows = {key: dict(zip(INTERVAL, values, strict=True)) for key, values in ends.items()}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["split", "method"])

    def _table(self, prob: float) -> Table:
        columns = ["runs"] + [
            f"{name}{end}" for name in ("bias", "crps", "cover_50", "cover_90") for end in ("", "_se")
        ]
        shares = dict.fromkeys(("cover_50", "cover_90"), "share")
        return self._all_columns().only(columns).in_units(shares)

    def _all_columns(self) -> Table:
        rows = {}
        for name in self.predictors:
            mine = self.chosen(name)
            records = {column: values[mine] for column, values in self.records.items()}
            cluster = np.round(np.log(records["flops"]) / CLUSTER_WIDTH).astype(int)
            row: dict[str, float] = {"runs": len(cluster)}
            for score, values in _scores(records).items():
                row |= {score: values.mean(), f"{score}_se": clustered_error(values, cluster)}
            rows[name] = row | self._size_scores(name)
        return by_rows("method", rows)

    def _size_scores(self, predictor: str) -> dict[str, float]:
        """How many isoFLOP minima the held-out runs show, and scores of their sizes; nothing where there are none."""
        mine = self.chosen(predictor, self.sizes)
        if not mine.any():
            return {}
        covers = {f"cover_N_opt_{100 * p:.0f}": float(inside(self.sizes["pit"][mine], p).mean()) for p in PROBS}
        return {"minima": float(mine.sum()), "crps_N_opt": float(self.sizes["crps"][mine].mean()), **covers}


def _scores(records: Records) -> Records:
    """Per run: error, its size, scores, and whether each interval contained the loss."""
    error = records["error"]
    found = {"bias": error, "mae": np.abs(error)} | {n: records[n] for n in ("crps", "log_score", "interval_score")}
    for name, label in (("pit", "cover"), ("pit_without_noise", "cover_without_noise")):
        values = records[name]
        for prob in PROBS:
            found[f"{label}_{100 * prob:.0f}"] = np.where(np.isnan(values), np.nan, inside(values, prob))
    return found


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

    Parameters
    ----------
    runs
        Anything `read_runs` takes.
    model
        `Model()` by default.
    engines
        Method -> engine; those of `default_engines` by default.
    holdout
        `above_compute(1e21)`, `rolling_origin()`, `by_group(column)` or `random_folds()`.
    target
        The budget (FLOP) at which N_opt is followed; ten times the largest run by default.
    seed
        Of all fits.
    progress
        Whether to show it; None shows it in a terminal.

    Returns
    -------
    Backtest
        An engine that refuses a split is in its `failures`.

    Raises
    ------
    DataError
        A split leaves nothing to train on or nothing to predict.
    FitError
        No method could be fitted.
    """
    table, model = read_runs(runs), model or Model()
    budget = float(positive_budgets(10 * table.flops.max() if target is None else target)[0])
    splits = checked(holdout, table)
    training = [table.subset(train) for _, train in splits]
    records, sizes, drift = [], [], {}
    failures: dict[tuple[str, str], str] = {}
    for method, engine in (engines or default_engines()).items():
        fits = fit_many(training, model, engine=engine, seed=seed, progress=progress)
        failures |= {(splits[i][0], method): why for i, why in fits.failures.items()}
        for i, fit in fits.fitted():
            split, train = splits[i]
            for discrepancy in (True, False) if fit.has_discrepancy else (False,):
                labels = {"split": split, "method": method, "discrepancy": discrepancy}
                try:
                    scores = _loss_records(fit, table, ~train, discrepancy, {**labels, "kind": fit.kind})
                    minima = _size_records(fit, table.subset(~train), discrepancy, labels)
                    drift[split, method, discrepancy] = fit.frontier(budget, discrepancy).params[:, 0]
                except ScalefitError as refusal:
                    failures[split, method] = str(refusal)
                    continue
                records.append(scores)
                sizes.append(minima)
    if not records:
        raise FitError(f"no method could be fitted: {next(iter(failures.values()))}")
    return Backtest(_joined(records), _joined(sizes), target=budget, drift=drift, failures=failures)


def _joined(parts: list[dict[str, np.ndarray]]) -> Records:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _loss_records(fit: Fit, table: Runs, held: Bool[np.ndarray, " run"], discrepancy: bool, labels: dict) -> Records:
    """Records of one fit on the held-out runs."""
    test, many = table.subset(held), repeated(fit)
    observed = np.log(test.loss)
    one_run = log_losses(many.predict(test, discrepancy=discrepancy), test.unit)
    expected = log_losses(many.predict(test, noise=False, discrepancy=discrepancy), test.unit)
    lower, upper = np.quantile(one_run, [0.05, 0.95], axis=0)
    return _labelled(labels, len(test)) | {
        "row": np.flatnonzero(held) + 1.0,
        "flops": test.flops,
        "distance": np.log(test.flops / fit.compute_range[1]),
        "error": np.median(expected, axis=0) - observed,
        "crps": crps(one_run, observed),
        "log_score": -many.log_density(test, discrepancy),
        "interval_score": interval_score(lower, upper, observed, 0.9),
        "pit": pit(one_run, observed),
        "pit_without_noise": np.full(len(test), np.nan) if fit.kind == "point" else pit(expected, observed),
    }


def _size_records(fit: Fit, held: Runs, discrepancy: bool, labels: dict[str, Any]) -> Minima:
    """Records of one fit at the isoFLOP minima of the held-out runs; none for a law without an allocation."""
    flops, draws, best = np.empty(0), np.empty((1, 0)), np.empty(0)
    if trades(fit.model.law):
        flops, draws, best = sizes_at_minima(repeated(fit), held, discrepancy)
    scores = {"error": np.median(draws, axis=0) - best, "crps": crps(draws, best), "pit": pit(draws, best)}
    return _labelled(labels, len(best)) | {"flops": flops} | scores


def _labelled(labels: dict[str, Any], count: int) -> Records:
    return {n: np.full(count, value, dtype=bool if value in (True, False) else object) for n, value in labels.items()}
