"""`scalefit audit`: a trained model against the compute-optimal one of its own budget."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalefit.cli._app import app
from scalefit.cli._decisions import FitOption, fit_to_ask
from scalefit.cli._input import check_picture
from scalefit.cli._options import Json, Kind, Prob
from scalefit.cli._show import console, grid, health_json, print_json, say
from scalefit.units import percent

if TYPE_CHECKING:
    from scalefit.planning import Audit


@app.command()
def audit(
    models: Annotated[
        list[str] | None, typer.Argument(help="N D, as in 70B 1.4T; or published names; or N:D; all by default.")
    ] = None,
    fit: FitOption = None,
    kind: Kind = None,
    plot: Annotated[Path | None, typer.Option(help="Also draw the models around the frontier here.")] = None,
    prob: Prob = 0.9,
    as_json: Json = False,
) -> None:
    """A trained model against the compute-optimal one of its own budget."""
    import scalefit as sf
    from scalefit import plots
    from scalefit._tables import json_ready
    from scalefit.io.published_models import read_model
    from scalefit.text.plans import assumptions_sentence, audit_sentence, caution_about

    check_picture(plot, str(fit or ""))
    asked = [read_model(each) for each in _paired(models)] if models else None
    fitted = fit_to_ask(fit, quiet=as_json)
    found = sf.audit(fitted, asked, kind=kind)
    if plot:
        plots.save(plots.audit(fitted, found, prob), plot)
    beyond, basis = (
        caution_about([(model.params, model.tokens) for model in found.models], found.assumptions),
        assumptions_sentence(found.assumptions, prob),
    )
    words = [audit_sentence(found, index, prob) for index in range(len(found.models))]
    if as_json:
        sources = {model.name: model.source for model in found.models}
        shared = {"prob": prob, "caution": beyond, "basis": basis, "words": words, "sources": sources}
        print_json(
            {**shared, "health": health_json(found.assumptions.health), "models": json_ready(found.summary(prob))}
        )
        return
    out = console()
    for paragraph in [beyond, *(words if len(words) <= 3 else [])]:
        say(out, f"{paragraph}\n")
    out.print(_audit_grid(found, prob))
    say(out, basis)


def _paired(models: list[str]) -> list[str]:
    """`70B 1.4T` is one run written as two words."""
    two_counts = len(models) == 2 and all(each[:1].isdigit() and ":" not in each for each in models)
    return [":".join(models)] if two_counts else models


def _audit_grid(found: "Audit", prob: float) -> Any:
    from scalefit._intervals import interval
    from scalefit.text.phrases import at_least_none, ratio
    from scalefit.units import format_count, format_flops

    forms: dict[str, Any] = {
        "N_opt": format_count,
        "overtraining": ratio,
        "given_up": "{:.3f}".format,
        "wasted_compute": "{:.0%}".format,
        "served": at_least_none,
    }
    ends = {name: interval(values, prob) for name, values in found.draws.items()}
    rows = [
        [
            model.name,
            *(format_count(value) for value in (model.params, model.tokens)),
            f"{model.tokens / model.params:,.{0 if model.tokens > 10 * model.params else 2}f}",
            format_flops(float(found.flops[i])),
            *(_two_lines(ends[name][:, i], form) for name, form in forms.items()),
        ]
        for i, model in enumerate(found.models)
    ]
    header = [
        "model",
        "params",
        "tokens",
        "D/N",
        "FLOP",
        "optimal N",
        "D/N over\noptimum",
        "nats\ngiven up",
        "compute\nwasted",
    ]
    return grid([*header, "inference\nimplied"], rows, title=f"median and {percent(prob)} interval")


def _two_lines(values: Any, form: Any) -> str:
    """The median over its interval; a number alone where it has none, or where all three read alike."""
    middle, low, high = (form(value) if value == value else "" for value in values)
    return middle if low == high == middle or not low else f"{middle}\n[{low}, {high}]"
