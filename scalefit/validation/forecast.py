"""What exactly was forecast? Predictive distributions of runs to come, kept with a digest to publish beforehand."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from jaxtyping import Float

from scalefit._quantities import posterior_name, provenance, ranged, ratio, write
from scalefit._results import PROB, Result
from scalefit._tables import Table, interval_columns
from scalefit.errors import DataError, FitError, QuestionError, ScalefitError
from scalefit.fits.fit import Fit, check_fit
from scalefit.frontier.optimum import trades
from scalefit.infer import Huber
from scalefit.infer import fit as fit_runs
from scalefit.io.read import read_inputs
from scalefit.loss_units import in_unit
from scalefit.planning import Plan, plan
from scalefit.units import format_count
from scalefit.validation.forecast_file import FORMAT, FORMAT_VERSION, digest_of, read, refuse
from scalefit.validation.forecast_file import write as write_document
from scalefit.validation.forecast_parts import about_fit, about_plan, decode_quantiles, encode_quantiles, number
from scalefit.validation.quantiles import LEVELS, Quantiles, rounded

if TYPE_CHECKING:
    import pandas as pd

REGISTERED, LAW_ONLY, POINT = "registered", "law only", "point"


@dataclass(frozen=True, eq=False, repr=False)
class Forecast(Result):
    """Predictive distributions of the losses of runs to come, with the model, engine, seed and table behind them.

    Parameters
    ----------
    inputs
        Of the law, name -> (run,).
    flops
        Training compute of each run, (run,); NaN where the law has no parameters and tokens.
    predictions
        "registered", the forecast; for comparison "law only", where that differs, and "point", Huber's estimate with
        its noise.
    about
        The further entries of the file, as its schema (`scalefit schema forecast`) describes them.
    """

    inputs: dict[str, np.ndarray]
    flops: Float[np.ndarray, " run"]
    predictions: dict[str, Quantiles]
    about: dict[str, Any]

    def __len__(self) -> int:
        return len(self.flops)

    @property
    def loss_unit(self) -> str:
        """Of every loss."""
        return self.about["loss_unit"]

    @property
    def times(self) -> Float[np.ndarray, " run"]:
        """Compute of each run in multiples of the largest run of the table; NaN where it has none."""
        ends = self.about["assumptions"]["compute_range"]
        return self.flops / (ends[1] if ends else np.nan)

    @property
    def digest(self) -> str:
        """SHA-256 of all of it, in hexadecimal: published before the runs are done, it proves what was forecast."""
        return digest_of(self._undigested())

    def headline(self, prob: float = PROB) -> str:
        """What is registered, under which digest."""
        ends = self.predictions[REGISTERED].interval(prob)
        loss = in_unit(ranged(ends[:, 0], write), self.loss_unit)
        what = f"The loss of one run of {self.label(0)} is registered as {loss}"
        if len(self) > 1:
            far = np.nanmax(self.times) if np.isfinite(self.times).any() else np.nan
            beyond = (
                "" if np.isnan(far) else f" with up to {ratio(far)} times the compute of the largest run of the fit"
            )
            what = f"The losses of {len(self)} runs{beyond} are registered"
        name = posterior_name(self.about["assumptions"]["discrepancy"])
        included = provenance(self.about["assumptions"]["discrepancy"], ends[:, 0], prob) if len(self) == 1 else name
        return f"{what} ({included}), with the digest {self.digest[:12]}."

    def label(self, run: int) -> str:
        """A run in words."""
        return ", ".join(
            f"{format_count(values[run])} {'parameters' if name == 'params' else name.replace('_', ' ')}"
            for name, values in self.inputs.items()
        )

    def summary(self, prob: float = PROB) -> "pd.DataFrame":
        """The registered losses.

        Parameters
        ----------
        prob
            Probability of every interval, equal-tailed.

        Returns
        -------
        pandas.DataFrame
            Rows: runs, from 1. Columns: the law's inputs, and the median, lower and upper end of loss (expected) and
            loss_one_run (with noise).
        """
        return self._table(prob).frame()

    def _table(self, prob: float) -> Table:
        found = self.predictions[REGISTERED]
        columns: dict[Any, Any] = dict(self.inputs)
        for name, noise in (("loss", False), ("loss_one_run", True)):
            columns |= interval_columns(name, found.interval(prob, noise))
        return Table("run", range(1, len(self) + 1), columns).loss_in(self.loss_unit)

    def document(self) -> dict[str, Any]:
        """All of it, made of what JSON has, with its digest."""
        document = self._undigested()
        return {**{name: document[name] for name in ("format", "format_version")}, "digest": self.digest, **document}

    def _undigested(self) -> dict[str, Any]:
        runs = [
            {
                "inputs": {name: float(values[run]) for name, values in self.inputs.items()},
                "flops": number(self.flops[run]),
                "times": number(rounded(self.times)[run]),
                "forecasts": {name: encode_quantiles(found, run) for name, found in self.predictions.items()},
            }
            for run in range(len(self))
        ]
        levels = [float(level) for level in LEVELS]
        return {"format": FORMAT, "format_version": FORMAT_VERSION, **self.about, "levels": levels, "runs": runs}

    def save(self, path: str | Path) -> Path:
        """Write it to one JSON file, complete or not at all.

        Parameters
        ----------
        path
            Where to; a file there is replaced.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        StorageError
            The place cannot be written.
        """
        write_document(self.document(), path := Path(path))
        return path

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of `document`, of one that follows the schema; raises `DataError` where numbers disagree."""
        runs = document["runs"]
        names, kinds = list(runs[0]["inputs"]), list(runs[0]["forecasts"])
        if any([*run["inputs"]] != names or [*run["forecasts"]] != kinds for run in runs):
            raise DataError("its runs have different inputs or forecasts")
        own = ("format", "format_version", "digest", "levels", "runs")
        found = cls(
            inputs={name: np.array([float(run["inputs"][name]) for run in runs]) for name in names},
            flops=np.array([np.nan if run["flops"] is None else float(run["flops"]) for run in runs]),
            predictions={name: decode_quantiles([run["forecasts"][name] for run in runs]) for name in kinds},
            about={name: value for name, value in document.items() if name not in own},
        )
        if json.loads(json.dumps(found.document())) != document:
            raise DataError("its intervals are not those of its quantiles")
        return found


def read_forecast(path: str | Path) -> Forecast:
    """A forecast that was saved.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    Forecast
        With the digest that the file has.

    Raises
    ------
    StorageError
        The file is absent, no forecast, damaged, or was altered.
    """
    document = read(Path(path))
    try:
        return Forecast.of_document(document)
    except DataError as problem:
        refuse(path, problem)


def register(
    fit: Fit,
    runs_to_come: Any,
    *,
    discrepancy: bool | None = None,
    seed: int | None = None,
    note: str = "",
    **fixed: Any,
) -> Forecast:
    """Forecast the losses of runs to come, in a form that can be published now and scored later.

    Parameters
    ----------
    fit
        Any fit.
    runs_to_come
        A `Plan`, or anything `Fit.predict` takes.
    discrepancy
        As for `Fit.predict`.
    seed
        Of the noise; the fit's own by default. The same fit, runs and seed give the same digest.
    note
        A text of your own to be kept in the file, such as who registers it and when.
    **fixed
        The law's inputs beyond params and tokens, each a number, where the runs do not have them.

    Returns
    -------
    Forecast
        Save it with `save`, publish its `digest`, and give it to `score` when the runs are done.

    Raises
    ------
    DataError
        An input is missing, or N is counted by another convention than the fit's.
    QuestionError
        A discrepancy is asked for, and there is none; or a predicted loss is not a number.
    """
    check_fit(fit)
    discrepancy, seed = fit.resolve(discrepancy), fit.seed if seed is None else seed
    inputs = _inputs(fit, runs_to_come, fixed)
    flops = np.full(len(next(iter(inputs.values()))), np.nan)
    if {"params", "tokens"} <= set(inputs):
        flops = rounded(np.asarray(fit.mean_cost.flops(inputs["params"], inputs["tokens"]), dtype=float))
    predictions, notes = _predictions(fit, inputs, discrepancy, seed)
    for name, found in predictions.items():
        if bad := [run + 1 for run, row in enumerate(found.log_density) if not np.isfinite(row).all()]:
            raise QuestionError(f"the {name} loss of run {bad[0]} is not a number. Correct the inputs of the run.")
    planned = runs_to_come if isinstance(runs_to_come, Plan) else _plan(fit, flops, discrepancy, inputs)
    about = {"note": note, "notes": notes, "loss_unit": fit.runs.unit, "plan": planned and about_plan(planned)}
    return Forecast(inputs, flops, predictions, {**about, **about_fit(fit, discrepancy, seed)})


def _inputs(fit: Fit, source: Any, fixed: Mapping[str, Any]) -> dict[str, Float[np.ndarray, " run"]]:
    """The law's inputs of the runs to come."""
    table = {"params": [source.params], "tokens": [source.tokens]} if isinstance(source, Plan) else source
    names = fit.model.law.inputs
    if unknown := [name for name in fixed if name not in names]:
        raise DataError(f"the {fit.model.law.name} law takes no {unknown[0]}. Leave it out.")
    asked = tuple(name for name in names if name not in fixed)
    found = read_inputs(table, asked, fit.runs.convention, fit.mean_cost)
    found |= {name: np.full(len(next(iter(found.values()))), float(value)) for name, value in fixed.items()}
    if bad := [name for name, values in found.items() if not np.isfinite(values).all()]:
        raise DataError(f"{bad[0]} of a run to come is not a finite number. Give a number.")
    return {name: rounded(found[name]) for name in names}


def _predictions(
    fit: Fit, inputs: Mapping[str, np.ndarray], discrepancy: bool, seed: int
) -> tuple[dict[str, Quantiles], list[str]]:
    """The forecast, those it is compared with, and why one of these is absent."""
    found, notes = {REGISTERED: Quantiles.of(fit, inputs, discrepancy, seed)}, []
    if discrepancy:
        found[LAW_ONLY] = Quantiles.of(fit, inputs, False, seed)
    if fit.kind != "point":
        try:
            point = fit_runs(fit.runs, fit.model, engine=Huber(), seed=fit.seed, progress=False)
            found[POINT] = Quantiles.of(point, inputs, False, seed)
        except ScalefitError as problem:
            notes.append(f"There is no point forecast: {problem}")
    return found, notes


def _plan(fit: Fit, flops: np.ndarray, discrepancy: bool, inputs: Mapping[str, np.ndarray]) -> Plan | None:
    """The plan of the budget that the largest run takes; None where the fit has none."""
    if not trades(fit.model.law):
        return None
    largest = int(np.nanargmax(flops))
    further: dict[str, Any] = {
        name: float(values[largest]) for name, values in inputs.items() if name not in ("params", "tokens")
    }
    try:
        return plan(fit, float(flops[largest]), discrepancy=discrepancy, **further)
    except (QuestionError, FitError):
        return None
