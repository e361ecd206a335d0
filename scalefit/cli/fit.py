"""`scalefit fit`: fit a scaling law to a table of training runs, and say what it means."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalefit.cli import _choices
from scalefit.cli import _options as options
from scalefit.cli._app import app
from scalefit.cli._decisions import end, further_inputs
from scalefit.cli._files import check_target, read, save_fit
from scalefit.cli._show import console, health_json, print_json, print_quantities, say

if TYPE_CHECKING:
    from scalefit.fits.fit import Fit


@app.command()
def fit(
    runs: options.RunsArgument,
    law: options.LawName = "chinchilla",
    noise: Annotated[_choices.Noise, typer.Option(help="Noise on ln loss.")] = _choices.Noise.STUDENT_T,
    engine: Annotated[_choices.Engine, typer.Option(help="How to fit.")] = _choices.Engine.AUTO,
    params: options.Params = None,
    tokens: options.Tokens = None,
    flops: options.Flops = None,
    loss: options.Loss = None,
    loss_unit: options.LossUnit = None,
    bytes_per_token: options.BytesPerToken = None,
    format: options.Format = None,
    history: options.History = None,
    keep_unfinished: options.KeepUnfinished = False,
    outliers: options.Outliers = None,
    discrepancy: Annotated[
        Path | None,
        typer.Option(metavar="SCALES", help="Scales of the discrepancy, from `scalefit learn-discrepancy`."),
    ] = None,
    budgets: Annotated[
        str | None, typer.Option(metavar="C", help="Also give the optimum here, FLOP: 5.76e23, or a list.")
    ] = None,
    given: options.Inputs = None,
    law_only: options.LawOnly = False,
    prob: options.Prob = 0.9,
    seed: options.Seed = 0,
    output: options.Output = None,
    as_json: options.Json = False,
) -> None:
    """Fit a scaling law to a table of training runs."""
    from dataclasses import replace

    import numpy as np

    import scalefit as sf
    from scalefit._intervals import check_prob
    from scalefit.frontier.optimum import trades
    from scalefit.laws import find_law
    from scalefit.model.discrepancy import read_discrepancy
    from scalefit.text.fits import fit_paragraph
    from scalefit.units import parse_budgets

    check_prob(prob)
    asked = parse_budgets(budgets) if budgets else np.array([])
    check_target(output, runs)
    model = sf.Model(find_law(law), noise.value)
    inputs = further_inputs(given, model.law)
    if discrepancy:
        model = replace(model, discrepancy=read_discrepancy(discrepancy))
    columns: dict[str, Any] = {"params": params, "tokens": tokens, "flops": flops, "loss": loss, "unit": loss_unit}
    columns |= {"bytes_per_token": bytes_per_token, "keep_unfinished": keep_unfinished}
    table = read(runs, outliers, format=format, history=history, **columns)
    fitted = sf.fit(table, model, engine=engine.value, seed=seed, progress=False if as_json else None)
    save_fit(fitted, output)
    question: dict[str, Any] = {"discrepancy": False if law_only else None, **inputs}
    if trades(model.law):
        question["budgets"] = [fitted.compute_range[1], *asked]
    summary = fitted.summary(prob, **question)
    words = fit_paragraph(fitted.frontier(**question), prob, model.evidence) if "budgets" in question else ""
    if as_json:
        print_json(_document(fitted, prob, summary, words, output))
    else:
        _print(fitted, prob, summary, words, output)
    end(fitted.health)


def _document(fitted: "Fit", prob: float, summary: Any, words: str, output: Path | None) -> dict[str, Any]:
    from scalefit._tables import json_ready

    return {
        "table": fitted.runs.name,
        "runs": len(fitted.runs),
        "notes": list(fitted.runs.notes),
        "convention": fitted.runs.convention,
        "loss_unit": fitted.runs.unit,
        "fingerprint": fitted.runs.fingerprint,
        "law": fitted.model.law.name,
        "noise": fitted.model.noise.name,
        "kind": fitted.kind,
        "engine": fitted.engine,
        "seed": fitted.seed,
        "versions": fitted.versions,
        "prob": prob,
        "summary": json_ready(summary),
        "health": health_json(fitted.health),
        "words": words,
        "output": str(output) if output else None,
    }


def _print(fitted: "Fit", prob: float, summary: Any, words: str, output: Path | None) -> None:
    from scalefit.text.commands import saved_sentence
    from scalefit.units import percent

    out, law = console(), fitted.model.law
    out.print(fitted.runs.describe(), soft_wrap=True)
    for note in fitted.runs.notes:
        out.print(f"note: {note}")
    count = len(fitted.draws) + len(fitted.law_derived)
    parts = {
        f"{law.equation}; {fitted.model.noise.name} noise on ln loss": summary.iloc[:count],
        "answers at budgets, FLOP": summary.iloc[count:],
    }
    for title, part in parts.items():
        if len(part):
            shown = part.drop(columns=["mcse_median", "posterior"])
            print_quantities(
                out, shown, f"{title}; intervals {percent(prob)}, {part['posterior'].iloc[0]}", fitted.loss_units
            )
    say(out, f"health: {fitted.health.verdict}" + "".join(f"\n  {words}" for words in fitted.health.cautions))
    if words:
        say(out, f"\n{words}")
    if output:
        say(out, saved_sentence(output))
