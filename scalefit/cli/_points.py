"""Where `scalefit predict` is asked: runs by their inputs, or the optimum of a compute."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scalefit._intervals import interval
from scalefit.errors import OptionError
from scalefit.frontier.optimum import trades
from scalefit.io.read import read_inputs
from scalefit.units import parse_budgets

if TYPE_CHECKING:
    from scalefit.fits.fit import Fit
    from scalefit.laws import Law

COUNTS = {"params", "tokens", "flops"}  # two of them give the third
COUNTED = {
    "params": ("number of parameters", "a positive number, as in 70B"),
    "tokens": ("number of tokens", "a positive number, as in 1.4T"),
}


@dataclass(frozen=True)
class Prediction:
    """A run, or the optimum of a compute, and its loss.

    Parameters
    ----------
    inputs
        The inputs of the law, or the compute, by name.
    loss, one_run
        Median, lower and upper of the expected loss and of the loss of one run, (3,) each.
    optimum
        The same of the optimal params and tokens; empty for a run.
    """

    inputs: dict[str, float]
    loss: np.ndarray
    one_run: np.ndarray
    optimum: dict[str, np.ndarray] = field(default_factory=dict)


def predictions(
    fit: "Fit",
    counts: Mapping[str, str | None],
    runs: Path | None,
    further: dict[str, float],
    discrepancy: bool,
    prob: float,
) -> list[Prediction]:
    """The loss at each point asked for: of a table of runs, or of lists of counts that belong together one by one.

    Raises
    ------
    OptionError
        The counts do not determine the law's inputs, or their lists differ in length.
    """
    columns = {name: parse_budgets(text, *COUNTED.get(name, ())) for name, text in counts.items() if text}
    if runs is None and set(columns) == {"flops"} and trades(fit.model.law):
        return _at_optima(fit, columns["flops"], _with_defaults(fit, further), discrepancy, prob)
    return _at_runs(fit, inputs_of(fit, counts, runs, further), discrepancy, prob)


def inputs_of(fit: "Fit", counts: Mapping[str, str | None], runs: Path | None, further: dict[str, float]) -> Any:
    """The runs asked for, as `Fit.predict` takes them: a table, or lists of counts that belong together one by one.

    Raises
    ------
    OptionError
        The counts do not determine the law's inputs, or their lists differ in length; or there are none, or both.
    """
    columns = {name: parse_budgets(text, *COUNTED.get(name, ())) for name, text in counts.items() if text}
    if (runs is None) == (not columns):
        compute = "--flops, " if "flops" in counts else ""
        raise OptionError(
            f"there are no runs, or they are given twice. Give --params and --tokens, {compute}or --runs."
        )
    if runs is not None:
        return runs
    if "flops" in columns and len(columns) == 2:
        columns = _priced(fit, columns)
    further = _with_defaults(fit, further)
    _check_complete(fit.model.law, {*columns, *further})
    return _joined(columns, further)


def _with_defaults(fit: "Fit", further: Mapping[str, float]) -> dict[str, float]:
    """The law's further inputs, those that are left open at the law's default."""
    return {name: value for name, value in fit.model.law.defaults.items() if np.isfinite(value)} | dict(further)


def _priced(fit: "Fit", columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """N and D of a compute and one of them, as the fit's table prices runs."""
    columns, cost = _joined(dict(columns), {}), fit.mean_cost
    flops = columns["flops"]
    if "params" in columns:
        return {"params": columns["params"], "tokens": cost.tokens_for(flops, columns["params"])}
    return {"params": cost.params_for(flops, columns["tokens"]), "tokens": columns["tokens"]}


def _check_complete(law: "Law", given: set[str]) -> None:
    """Raise `OptionError` where an input of the law is missing that C = 6 N D does not give."""
    if len(given & COUNTS) > 1:
        given = given | COUNTS
    if missing := [name for name in law.inputs if name not in given]:
        remedy = " and ".join(f"--{name}" if name in COUNTS else f"--set {name}=VALUE" for name in missing)
        raise OptionError(f"the {law.name} law also takes {', '.join(missing)}. Give {remedy}.")


def _joined(columns: dict[str, np.ndarray], further: dict[str, float]) -> dict[str, np.ndarray]:
    """Lists side by side; one number goes with all of another list."""
    lengths = {len(values) for values in columns.values()} - {1}
    if len(lengths) > 1:
        raise OptionError("the lists differ in length. Give as many values to each option, or one.")
    count = max(lengths, default=1)
    listed = {name: values if len(values) == count else np.repeat(values, count) for name, values in columns.items()}
    return listed | {name: np.full(count, value) for name, value in further.items()}


def _at_runs(fit: "Fit", source: object, discrepancy: bool, prob: float) -> list[Prediction]:
    inputs = read_inputs(source, fit.model.law.inputs, fit.runs.convention, fit.mean_cost)
    expected = fit.predict(inputs, noise=False, discrepancy=discrepancy)
    loss, one_run = interval(expected, prob), interval(fit.add_noise(expected, discrepancy=discrepancy), prob)
    return [
        Prediction({name: float(values[row]) for name, values in inputs.items()}, loss[:, row], one_run[:, row])
        for row in range(expected.shape[1])
    ]


def _at_optima(
    fit: "Fit", flops: np.ndarray, further: dict[str, float], discrepancy: bool, prob: float
) -> list[Prediction]:
    front = fit.frontier(flops, discrepancy, None, **further)
    loss, one_run = interval(front.loss, prob), interval(fit.add_noise(front.loss, discrepancy=discrepancy), prob)
    params, tokens = interval(front.params, prob), interval(front.tokens, prob)
    return [
        Prediction(
            inputs={"flops": float(each), **further},
            loss=loss[:, row],
            one_run=one_run[:, row],
            optimum={"params": params[:, row], "tokens": tokens[:, row]},
        )
        for row, each in enumerate(flops)
    ]
