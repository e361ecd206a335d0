"""Outcomes of registered runs: which loss belongs to which forecast."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from scalefit.errors import DataError, quoted
from scalefit.io.read import read_runs
from scalefit.loss_units import largest_plausible
from scalefit.runs import Runs, refuse_other_unit
from scalefit.validation.forecast import Forecast

NEAR = np.log(1.02)  # in ln of an input: a run within 2 % of the registered one is that run
NUMBERS = (int, float, np.number)


class Outcome(NamedTuple):
    """A loss, and which run of which forecast it is of, both from 0."""

    forecast: int
    run: int
    loss: float


def match(forecasts: Mapping[str, Forecast], outcomes: Any) -> list[Outcome]:
    """The outcomes of registered runs.

    Parameters
    ----------
    forecasts
        By name.
    outcomes
        A loss or a list of losses, in the order of the runs of the one forecast; a dict, name of a forecast -> such; or
        a table with a loss and the inputs, of which rows that are no registered run are passed over.

    Raises
    ------
    DataError
        Losses and runs differ in number, a loss is none or in another unit, or no row is a registered run.
    """
    if isinstance(outcomes, NUMBERS) or (isinstance(outcomes, Sequence) and not isinstance(outcomes, str)):
        if len(forecasts) > 1:
            raise DataError("losses alone belong to one forecast. Give a table, or a dict from forecasts to losses.")
        outcomes = {next(iter(forecasts)): outcomes}
    if isinstance(outcomes, Mapping) and set(outcomes) <= set(forecasts):
        names = list(forecasts)
        found = [_in_order(names.index(name), name, forecasts[name], losses) for name, losses in outcomes.items()]
        return [each for some in found for each in some]
    return _by_inputs(forecasts, read_runs(outcomes))


def _in_order(index: int, name: str, forecast: Forecast, losses: Any) -> list[Outcome]:
    values = list(losses) if isinstance(losses, Sequence | np.ndarray) else [losses]
    if len(values) != len(forecast):
        raise DataError(
            f"the number of losses ({len(values)}) is not that of the registered runs of {name} ({len(forecast)}). "
            "Give one loss for each run, in their order, or a table with their inputs."
        )
    most = largest_plausible(forecast.loss_unit)
    for value in values:
        if not (isinstance(value, NUMBERS) and not isinstance(value, bool) and 0 < float(value) <= most):
            raise DataError(f"{quoted(value)} is not a loss in {forecast.loss_unit}. Give a positive number.")
    return [Outcome(index, run, float(value)) for run, value in enumerate(values)]


def _by_inputs(forecasts: Mapping[str, Forecast], runs: Runs) -> list[Outcome]:
    """The outcomes of a table: each row belongs to the registered run of the same inputs, in every forecast of it."""
    found = []
    for index, forecast in enumerate(forecasts.values()):
        if not set(forecast.inputs) <= set(runs.columns):
            continue
        distance = np.max([np.abs(np.log(runs[n])[:, None] - np.log(v)) for n, v in forecast.inputs.items()], axis=0)
        nearest = distance.argmin(axis=1)
        rows = np.flatnonzero(distance.min(axis=1) <= NEAR)
        if len(rows):
            refuse_other_unit(forecast.loss_unit, runs.unit, runs.name)
        found += [Outcome(index, int(nearest[row]), float(runs.loss[row])) for row in rows]
    if not found:
        first = next(iter(forecasts.values()))
        raise DataError(
            f"{runs.name} has no run within 2% of a registered one, such as {first.label(0)}. "
            "Give a table with the inputs and the losses of these runs."
        )
    return found
