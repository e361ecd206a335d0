"""Was the forecast right? Registered forecasts against the losses of the runs, once they are done."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int, Shaped

from scalefit._intervals import check_prob
from scalefit._quantities import ranged, write
from scalefit._results import PROB, Result
from scalefit._tables import Table, by_rows
from scalefit.counting.compute import CLUSTER_WIDTH
from scalefit.loss_units import in_unit
from scalefit.units import percent
from scalefit.validation.forecast import LAW_ONLY, POINT, REGISTERED, Forecast
from scalefit.validation.forecast_folder import open_forecasts
from scalefit.validation.outcomes import Outcome, match
from scalefit.validation.quantiles import LEVELS
from scalefit.validation.scores import clustered_error, inside

if TYPE_CHECKING:
    import pandas as pd

SCORES = ("bias", "mae", "crps", "log_score", "interval_score", "cover_50", "cover_90")
SHOWN = ("runs", "bias", "crps", "log_score", "cover_50", "cover_90")


@dataclass(frozen=True, eq=False, repr=False)
class ForecastScore(Result):
    """Scores of registered forecasts; all in ln loss and smaller is better, as those of a backtest.

    Parameters
    ----------
    records
        Name -> (record,), one record for every outcome and predictor. Labels: forecast, run (from 1), data (the digest
        of the table), predictor ("registered", "law only" or "point"), loss_unit, flops and times (compute, FLOP and in
        multiples of the largest run of the table). Numbers: loss (observed), median, lower_50, upper_50, lower_90 and
        upper_90 (of the loss of one run), pit, inside_50, inside_90, crps, log_score, interval_score (90 %) and error
        (ln of the predicted loss less that of the observed).
    registered
        Forecast -> how many runs it has.
    digests
        Forecast -> its digest.
    """

    records: dict[str, Shaped[np.ndarray, " record"]]
    registered: dict[str, int]
    digests: dict[str, str]

    @property
    def predictors(self) -> list[str]:
        """Those that are scored, the registered forecast first."""
        return [name for name in (REGISTERED, LAW_ONLY, POINT) if (self.records["predictor"] == name).any()]

    @property
    def open(self) -> int:
        """How many registered runs have no outcome yet."""
        mine = self.records["predictor"] == REGISTERED
        done = set(zip(self.records["forecast"][mine], self.records["run"][mine], strict=True))
        return sum(self.registered.values()) - len(done)

    def headline(self, prob: float = PROB) -> str:
        """Inside or outside the interval, or how many were inside; and the score of each predictor."""
        mine = np.flatnonzero(self.records["predictor"] == REGISTERED)
        crps = ", ".join(f"{self._mean(name, 'crps'):.3g} ({name})" for name in self.predictors)
        if len(mine) == 1:
            return f"{self._placed(int(mine[0]))}, and the CRPS of ln loss is {crps}."
        held = inside(self.records["pit"][mine], check_prob(prob))
        error = clustered_error(held.astype(float), self._clusters(mine))
        about = "" if np.isnan(error) else f" ± {100 * error:.0f}%"
        return (
            f"Nominal {percent(prob)} intervals of the registered forecasts contained {held.sum()} of {len(mine)} "
            f"losses ({held.mean():.0%}{about}), and the mean CRPS of ln loss is {crps}."
        )

    def _placed(self, record: int) -> str:
        """Where the one loss lies."""
        at = {name: values[record] for name, values in self.records.items()}
        ends = np.array([at["median"], at["lower_90"], at["upper_90"]])
        where = "outside the 90% interval" if not at["inside_90"] else "inside the 90% and outside the 50% interval"
        where = "inside the 50% interval" if at["inside_50"] else where
        pit = f"below {LEVELS[0]}" if at["pit"] < LEVELS[0] else f"{min(at['pit'], LEVELS[-1]):.3g}"
        pit = f"above {LEVELS[-1]}" if at["pit"] > LEVELS[-1] else pit
        return (
            f"The loss {write(at['loss'])} lies {where} of the registered forecast "
            f"{in_unit(ranged(ends, write), at['loss_unit'])} at PIT {pit}"
        )

    @property
    def far(self) -> int:
        """How many losses lie beyond all registered quantiles."""
        pit = self.records["pit"][self.records["predictor"] == REGISTERED]
        return int(((pit < LEVELS[0]) | (pit > LEVELS[-1])).sum())

    def summary(self) -> "pd.DataFrame":
        """Scores of every predictor.

        Returns
        -------
        pandas.DataFrame
            Rows: predictors. Columns: runs; bias, mae, crps, log_score, interval_score, cover_50 and cover_90, each a
            mean with its standard error ("x_se"). Runs forecast from one table err together, so errors are clustered by
            table; of a single table, by budget. NaN for a single cluster.
        """
        return self._all_columns().frame()

    def frame(self) -> "pd.DataFrame":
        """The records as a data frame, a row a run and predictor."""
        import pandas as pd

        return pd.DataFrame(self.records)

    def _table(self, prob: float) -> Table:
        columns = [f"{name}{end}" for name in SHOWN for end in ("", "_se")]
        return self._all_columns().only(columns).in_units(dict.fromkeys(("cover_50", "cover_90"), "share"))

    def _all_columns(self) -> Table:
        rows = {}
        for name in self.predictors:
            mine = np.flatnonzero(self.records["predictor"] == name)
            rows[name] = {"runs": float(len(mine))}
            for score in SCORES:
                values = self._values(score)[mine]
                rows[name] |= {score: values.mean(), f"{score}_se": clustered_error(values, self._clusters(mine))}
        return by_rows("forecast", rows)

    def _values(self, score: str) -> np.ndarray:
        source = {"bias": "error", "mae": "error", "cover_50": "inside_50", "cover_90": "inside_90"}.get(score, score)
        values = self.records[source].astype(float)
        return np.abs(values) if score == "mae" else values

    def _mean(self, predictor: str, score: str) -> float:
        return float(self._values(score)[self.records["predictor"] == predictor].mean())

    def _clusters(self, mine: Int[np.ndarray, " some"]) -> Int[np.ndarray, " some"]:
        """What errs together: forecasts from one table; where all are, runs of one budget."""
        tables = np.unique(self.records["data"][mine], return_inverse=True)[1]
        if tables.max() > 0:
            return tables
        flops = self.records["flops"][mine]
        known = np.where(np.isfinite(flops), flops, 1.0)
        return np.round(np.log(known) / CLUSTER_WIDTH).astype(int)


def score(forecast: Any, outcomes: Any, *, digest: str | None = None) -> ForecastScore:
    """Score registered forecasts by the losses of their runs.

    Parameters
    ----------
    forecast
        A `Forecast`, its file, a folder of such files, or a list of these.
    outcomes
        Of one forecast a loss, or a list of losses in the order of its runs. Of any number, a table with the losses and
        the inputs: a row belongs to the registered run whose inputs are within 2 % of its own, in every forecast that
        has it, and rows of other runs are not scored. Or a dict, name of the file without its ending -> losses.
    digest
        The digest that was published, or at least twelve letters of it: another forecast raises an error.

    Returns
    -------
    ForecastScore
        Of the registered forecast, and, for comparison, of the law alone and of a point estimate with its noise.

    Raises
    ------
    StorageError
        A file is absent, was altered, or has another digest than the published one.
    DataError
        Losses and registered runs do not belong together, or are in different units.
    OptionError
        The digest is too short, or given for several forecasts.

    References
    ----------
    Gneiting and Raftery 2007 (J. Am. Stat. Assoc. 102, 359): CRPS, log and interval score.
    """
    found = open_forecasts(forecast, digest)
    named = list(found.items())
    records = [record for outcome in match(found, outcomes) for record in _records(*named[outcome.forecast], outcome)]
    columns = {name: np.array([record[name] for record in records]) for name in records[0]}
    sizes = {name: len(each) for name, each in named}
    return ForecastScore(columns, sizes, {name: each.digest for name, each in named})


def _records(name: str, forecast: Forecast, outcome: Outcome) -> list[dict[str, Any]]:
    """One record for every predictor."""
    run = outcome.run
    shared = {
        "forecast": name,
        "run": run + 1,
        "data": forecast.about["data"]["sha256"],
        "loss_unit": forecast.loss_unit,
        "flops": forecast.flops[run],
        "times": forecast.times[run],
        "loss": outcome.loss,
    }
    found = []
    for predictor, quantiles in forecast.predictions.items():
        half, most = quantiles.interval(0.5)[:, run], quantiles.interval(0.9)[:, run]
        ends = {"median": half[0], "lower_50": half[1], "upper_50": half[2], "lower_90": most[1], "upper_90": most[2]}
        found.append({**shared, "predictor": predictor, **ends, **quantiles.scores(run, outcome.loss)})
    return found
