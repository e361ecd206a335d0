"""`scalefit register`: the forecast of runs to come, in a file with a digest to publish."""

from pathlib import Path
from typing import Annotated, Any

import typer

from scalefit.cli import _options as options
from scalefit.cli._app import app
from scalefit.cli._decisions import end, further_inputs
from scalefit.cli._files import check_target, open_fit
from scalefit.cli._show import console, print_json, rows_json, say
from scalefit.errors import OptionError


@app.command()
def register(
    fit: options.FitArgument,
    params: Annotated[str | None, typer.Option(metavar="N", help="Parameters, as in 70B, or a list 7B,70B.")] = None,
    tokens: Annotated[str | None, typer.Option(metavar="D", help="Training tokens, as in 1.4T, or a list.")] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="C", help="Instead: the run that `scalefit plan` recommends for it.")
    ] = None,
    runs: Annotated[
        Path | None, typer.Option(metavar="TABLE", help="Instead: a table of runs to come, a column for each input.")
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where to write.")] = Path(
        "forecast.json"
    ),
    note: Annotated[str, typer.Option(metavar="TEXT", help="Kept in the file: who registers it, and when.")] = "",
    given: options.Inputs = None,
    law_only: options.LawOnly = False,
    prob: options.Prob = 0.9,
    as_json: options.Json = False,
) -> None:
    """The forecast of runs to come, with a digest to publish.

    `scalefit score` compares it with the losses once the runs are done.
    """
    import scalefit as sf
    from scalefit import _interrupt
    from scalefit.cli._points import inputs_of
    from scalefit.text.forecasts import digest_sentence, registered_paragraph
    from scalefit.text.predictions import prediction_caution

    check_target(output, fit)
    fitted = open_fit(fit, quiet=as_json)
    further: dict[str, Any] = dict(further_inputs(given, fitted.model.law))
    discrepancy = False if law_only else None
    if budget is not None:
        if params or tokens or runs:
            raise OptionError("--budget registers the run of a plan. Leave --params, --tokens and --runs out.")
        asked: Any = sf.plan(fitted, budget, discrepancy=discrepancy, **further)
    else:
        asked, further = inputs_of(fitted, {"params": params, "tokens": tokens}, runs, further), {}
    forecast = sf.register(fitted, asked, discrepancy=discrepancy, note=note, **further)
    forecast.save(output)
    _interrupt.written.append(output)
    points = [{name: float(values[run]) for name, values in forecast.inputs.items()} for run in range(len(forecast))]
    caution = prediction_caution(fitted, points, fitted.resolve(discrepancy))
    words = registered_paragraph(forecast, prob)
    if as_json:
        document = {"file": str(output), "digest": forecast.digest, "prob": prob, "loss_unit": forecast.loss_unit}
        rest = {"caution": caution, "words": words, "plan": forecast.about["plan"]}
        print_json({**document, **rest, "runs": rows_json(forecast.summary(prob), "run")})
    else:
        out = console()
        for paragraph in filter(None, [caution, words]):
            say(out, f"{paragraph}\n")
        if len(forecast) > 1:
            out.print(repr(forecast).split("\n\n", 1)[1] + "\n")
        say(out, digest_sentence(forecast, output))
    end(fitted.health)
