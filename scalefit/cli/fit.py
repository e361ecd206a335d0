"""`scalefit fit`: fit a scaling law to a table of training runs, and say what it means."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalefit.cli._app import app
from scalefit.cli._input import check_target, read
from scalefit.cli._options import Flops, Json, Loss, Outliers, Params, Prob, RunsArgument, Seed, Tokens
from scalefit.cli._show import cell_by_row, console, health_json, print_json, rich_table, say
from scalefit.units import percent

if TYPE_CHECKING:
    from scalefit.fits.fit import Fit


@app.command()
def fit(
    runs: RunsArgument,
    law: Annotated[str, typer.Option(help="See `scalefit laws`.")] = "chinchilla",
    noise: Annotated[str, typer.Option(help="student-t or normal, on ln loss.")] = "student-t",
    engine: Annotated[str, typer.Option(help="auto, ais, hmc, nuts, map, huber, vpnls, bootstrap ...")] = "auto",
    params: Params = None,
    tokens: Tokens = None,
    flops: Flops = None,
    loss: Loss = None,
    outliers: Outliers = None,
    discrepancy: Annotated[
        Path | None, typer.Option(help="Scales of the law's own error, written by `scalefit learn-prior`.")
    ] = None,
    budget: Annotated[str | None, typer.Option(help="Also say the optimum here, FLOP: 5.76e23 or a list.")] = None,
    prob: Prob = 0.9,
    seed: Seed = 0,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the fit to this netCDF file.")] = None,
    as_json: Json = False,
) -> None:
    """Fit a scaling law to a table of training runs, and say what it means."""
    from dataclasses import replace

    import numpy as np

    import scalefit as sf
    from scalefit._intervals import check_prob
    from scalefit.infer import find_engine
    from scalefit.laws import find_law
    from scalefit.model.discrepancy import read_discrepancy
    from scalefit.model.noise import find_noise
    from scalefit.units import parse_budgets

    check_prob(prob)
    asked = parse_budgets(budget) if budget else np.array([])
    check_target(output, runs)
    table = read(runs, outliers, params=params, tokens=tokens, flops=flops, loss=loss)
    model = sf.Model(find_law(law), find_noise(noise))
    if discrepancy:
        model = replace(model, discrepancy=read_discrepancy(discrepancy))
    fitted = sf.fit(table, model, engine=find_engine(engine), seed=seed, progress=False if as_json else None)
    if output:
        fitted.save(output)
    budgets = [fitted.compute_range[1], *asked]
    if as_json:
        print_json(_fit_document(fitted, prob, budgets, output))
    else:
        _print_fit(fitted, prob, budgets, output)
    if fitted.health.verdict == "fail":
        raise typer.Exit(1)


def _fit_document(fitted: "Fit", prob: float, budgets: list[float], output: Path | None) -> dict[str, Any]:
    from scalefit._tables import json_ready

    return {
        "table": fitted.runs.name,
        "runs": len(fitted.runs),
        "notes": list(fitted.runs.notes),
        "convention": fitted.runs.convention,
        "fingerprint": fitted.runs.fingerprint,
        "law": fitted.model.law.name,
        "noise": fitted.model.noise.name,
        "kind": fitted.kind,
        "engine": fitted.engine,
        "seed": fitted.seed,
        "versions": fitted.versions,
        "prob": prob,
        "summary": json_ready(fitted.summary(prob, budgets)),
        "health": health_json(fitted.health),
        "words": _words(fitted, prob, budgets),
        "output": str(output) if output else None,
    }


def _print_fit(fitted: "Fit", prob: float, budgets: list[float], output: Path | None) -> None:
    out = console()
    out.print(fitted.runs.describe(), soft_wrap=True)
    for note in fitted.runs.notes:
        out.print(f"note: {note}")
    title = f"{fitted.model.law.equation}; {fitted.model.noise.name} noise on ln loss; intervals {percent(prob)}"
    table = fitted.summary(prob, budgets).drop(columns="mcse_median")
    out.print(rich_table(table, title, cell_by_row))
    say(out, f"health: {fitted.health.verdict}" + "".join(f"\n  {words}" for words in fitted.health.cautions))
    if words := _words(fitted, prob, budgets):
        say(out, f"\n{words}")
    if output:
        out.print(f"The fit goes to {output}.")


def _words(fitted: "Fit", prob: float, budgets: list[float]) -> str:
    """The optimum at budgets inside the data and beyond them, each with the interval kind it should have.

    Empty for a law without an allocation.
    """
    import numpy as np

    from scalefit.frontier.frontier import is_extrapolation
    from scalefit.frontier.optimum import trades
    from scalefit.text.fits import fit_paragraph

    if not trades(fitted.model.law):
        return ""
    asked = np.array(budgets)
    outside = is_extrapolation(asked, fitted.compute_range)
    further = fitted.frontier(asked[outside]) if outside.any() else None
    return fit_paragraph(fitted.frontier(asked[~outside]), further, prob, fitted.model.card)
