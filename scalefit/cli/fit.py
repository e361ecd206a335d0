"""`scalefit fit`: fit a scaling law to a table of training runs, and say what it means."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalefit.cli import _choices
from scalefit.cli import _options as options
from scalefit.cli._app import app
from scalefit.cli._decisions import end, further_inputs
from scalefit.cli._files import check_target, read, save_fit
from scalefit.cli._show import console, health_json, print_grid, print_json, print_quantities, say

if TYPE_CHECKING:
    from rich.console import Console

    from scalefit.fits.fit import Fit

SHOWN = 5  # runs furthest off, whether the noise explains them or not


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
    cluster: options.Cluster = None,
    weight: options.Weight = None,
    sd: options.Sd = None,
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
    prior: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=PRIOR", help="As in E=1.69±0.03 (or +-), or alpha=Uniform(0.2,0.5); repeat."),
    ] = None,
    pin: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Fix a parameter, as in E=1.6, or tie it, as in alpha=beta; repeat."),
    ] = None,
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
    from scalefit._quantities import posterior_name
    from scalefit.cli._priors import priors_of
    from scalefit.diagnostics.convergence import chain_table
    from scalefit.frontier.optimum import check_trades, trades
    from scalefit.laws import find_law
    from scalefit.model.discrepancy import read_discrepancy
    from scalefit.model.noise import find_noise
    from scalefit.text.fits import fit_paragraph
    from scalefit.units import parse_budgets

    check_prob(prob)
    asked = parse_budgets(budgets) if budgets else np.array([])
    check_target(output, runs)
    own_law, own_noise = find_law(law), find_noise(noise.value)
    model = sf.Model(own_law, own_noise, priors_of(own_law, own_noise, prior, pin))
    inputs = further_inputs(given, model.law)
    if asked.size:
        check_trades(model.law, inputs)
    if discrepancy:
        model = replace(model, discrepancy=read_discrepancy(discrepancy))
    columns: dict[str, Any] = {"params": params, "tokens": tokens, "flops": flops, "loss": loss, "unit": loss_unit}
    columns |= {"bytes_per_token": bytes_per_token, "keep_unfinished": keep_unfinished}
    columns |= {"cluster": cluster, "weight": weight, "sd": sd}
    show = outliers == _choices.Outliers.SHOW
    table = read(runs, None if show else outliers, format=format, history=history, **columns)
    fitted = sf.fit(table, model, engine=engine.value, seed=seed, progress=False if as_json else None)
    save_fit(fitted, output)
    question: dict[str, Any] = {"discrepancy": False if law_only else None, **inputs}
    if trades(model.law):
        question["budgets"] = [fitted.compute_range[1], *asked]
    refusal = None
    try:
        summary = fitted.summary(prob, **question)
        words = fit_paragraph(fitted.frontier(**question), prob, model.evidence) if "budgets" in question else ""
    except sf.QuestionError as problem:  # the law is there to be shown, whatever cannot be answered
        summary = chain_table({**fitted.draws, **fitted.law_derived}, prob, fitted.stats)
        summary, words, refusal = summary.assign(posterior=posterior_name(False)), "", problem
    if as_json:
        print_json(_document(fitted, prob, summary, words, output, show))
    else:
        _print(fitted, prob, summary, words, output, show)
    if refusal:
        raise refusal
    end(fitted.health)


def _document(
    fitted: "Fit", prob: float, summary: Any, words: str, output: Path | None, outliers: bool
) -> dict[str, Any]:
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
        "cluster": list(fitted.runs.cluster),
        "weight": fitted.runs.weight,
        "sd": fitted.runs.sd,
        "priors": {name: str(own) for name, own in fitted.model.priors},
        "kind": fitted.kind,
        "engine": fitted.engine,
        "seed": fitted.seed,
        "versions": fitted.versions,
        "prob": prob,
        "summary": json_ready(summary),
        "health": health_json(fitted.health),
        "words": words,
        "outliers": _outliers_json(fitted) if outliers else None,
        "output": str(output) if output else None,
    }


def _outliers_json(fitted: "Fit") -> list[dict[str, Any]]:
    from scalefit._tables import json_ready

    table = _worst(fitted)
    rows = zip(table.index, json_ready(table).values(), table["far"], strict=True)
    return [{"row": int(row), **values, "far": bool(far)} for row, values, far in rows]


def _worst(fitted: "Fit") -> Any:
    """The runs that the noise does not explain, and at least a few, worst first."""
    found = fitted.far_runs
    return fitted.residuals().iloc[found.worst[: max(SHOWN, int(found.far.sum()))]]


def _print_outliers(out: "Console", fitted: "Fit") -> None:
    from scalefit.units import format_count

    table = _worst(fitted)
    forms: dict[str, Any] = {"params": format_count, "tokens": format_count, "residual": "{:+.2%}".format}
    forms |= {"standardised": "{:+.1f}".format, "far": lambda far: "yes" if far else ""}
    write = lambda name, value: forms.get(name, lambda v: v if isinstance(v, str) else f"{v:.4g}")(value)
    rows = [[str(row), *(write(k, v) for k, v in zip(table, values, strict=True))]
            for row, values in zip(table.index, table.itertuples(index=False), strict=True)]  # fmt: skip
    title = "runs furthest off the model; residuals as shares of expected, and in units of the noise's scale"
    print_grid(out, ["row", *map(str, table.columns)], rows, title)


def _print(fitted: "Fit", prob: float, summary: Any, words: str, output: Path | None, outliers: bool) -> None:
    from scalefit.text.commands import saved_sentence
    from scalefit.units import percent

    out, law = console(), fitted.model.law
    out.print(fitted.runs.describe(), soft_wrap=True)
    for note in fitted.runs.notes:
        out.print(f"note: {note}")
    for name, own in fitted.model.priors:
        out.print(f"{name} is {own}" if not own.free else f"prior of {name}: {own}")
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
    if outliers:
        _print_outliers(out, fitted)
    if words:
        say(out, f"\n{words}")
    if output:
        say(out, saved_sentence(output))
