"""`scalefit predict`: the loss of runs to come, or of the optimum of a compute, with intervals."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalefit.cli import _options as options
from scalefit.cli._app import app
from scalefit.cli._decisions import end, further_inputs
from scalefit.cli._files import check_picture, open_fit, save_picture
from scalefit.cli._show import console, health_json, interval_cell, interval_json, print_grid, print_json, say

if TYPE_CHECKING:
    from rich.console import Console

    from scalefit.cli._points import Prediction


@app.command()
def predict(
    fit: options.FitArgument,
    params: Annotated[str | None, typer.Option(metavar="N", help="Parameters, as in 70B, or a list 7B,70B.")] = None,
    tokens: Annotated[str | None, typer.Option(metavar="D", help="Training tokens, as in 1.4T, or a list.")] = None,
    flops: Annotated[
        str | None, typer.Option(metavar="C", help="Compute: its optimum, or with N or D a run's; a list, or a grid.")
    ] = None,
    runs: Annotated[
        Path | None, typer.Option(metavar="TABLE", help="A table of runs to come, with a column for each input.")
    ] = None,
    given: options.Inputs = None,
    law_only: options.LawOnly = False,
    plot: options.Plot = None,
    prob: options.Prob = 0.9,
    as_json: options.Json = False,
) -> None:
    """The loss of runs to come, with intervals.

    Give N and D, a compute for its optimum, the one input of a law such as kaplan-n, or a table. The expected loss is
    without noise, the loss of one run with it.
    """
    from scalefit.cli._points import predictions
    from scalefit.errors import OptionError
    from scalefit.frontier.optimum import trades
    from scalefit.planning.least_input import open_input
    from scalefit.text.predictions import included_sentence, prediction_caution, prediction_sentence

    check_picture(plot, fit)
    fitted = open_fit(fit, quiet=as_json)
    if plot and trades(fitted.model.law):
        raise OptionError("--plot draws laws of one input. Draw this one with `scalefit frontier --plot`.")
    further = further_inputs(given, fitted.model.law)
    counts = {"params": params, "tokens": tokens, "flops": flops}
    discrepancy = fitted.resolve(False if law_only else None)
    found = predictions(fitted, counts, runs, further, discrepancy, prob)
    if plot:
        from scalefit import plots

        asked = [each.inputs[open_input(fitted.model.law, further)] for each in found]
        save_picture(plots.curve(fitted, asked, prob, None, **further), plot)
    caution = prediction_caution(fitted, [each.inputs for each in found], discrepancy)
    resting = included_sentence(fitted, discrepancy, prob)
    if as_json:
        document: dict[str, Any] = {"prob": prob, "discrepancy": discrepancy, "caution": caution}
        document["loss_unit"] = fitted.runs.unit
        document |= {"health": health_json(fitted.health), "assumptions": resting}
        print_json({**document, "predictions": [_document(each) for each in found]})
    else:
        out = console()
        words = [
            prediction_sentence(each.inputs, each.loss, each.one_run, prob, fitted.runs.unit)
            for each in found[:1]
            if len(found) == 1
        ]
        for paragraph in filter(None, [caution, *words]):
            say(out, f"{paragraph}\n")
        _print(out, found, prob, discrepancy, fitted.runs.unit)
        say(out, resting)
    end(fitted.health)


def _document(found: "Prediction") -> dict[str, Any]:
    optimum = {name: interval_json(ends) for name, ends in found.optimum.items()}
    losses = {"loss": interval_json(found.loss), "loss_one_run": interval_json(found.one_run)}
    return {"inputs": found.inputs, "optimum": optimum or None, **losses}


def _print(out: "Console", found: list["Prediction"], prob: float, discrepancy: bool, unit: str) -> None:
    """One row a prediction: its inputs, the optimum where there is one, and both losses."""
    from scalefit._quantities import quantity, write
    from scalefit.fits.fit import posterior_name
    from scalefit.units import percent

    def form(name: str) -> Any:
        return lambda value: write(value, quantity(name).unit)

    loss = "{:.4g}".format
    first = found[0]
    rows = [
        [write(value, quantity(name).unit) for name, value in each.inputs.items()]
        + [interval_cell(ends, form(name)) for name, ends in each.optimum.items()]
        + [interval_cell(each.loss, loss), interval_cell(each.one_run, loss)]
        for each in found
    ]
    header = [*first.inputs, *(f"optimal {name}" for name in first.optimum), "expected loss", "loss of one run"]
    title = f"loss in {unit}; medians over intervals {percent(prob)}, {posterior_name(discrepancy)}"
    print_grid(out, header, rows, title, left=0)
