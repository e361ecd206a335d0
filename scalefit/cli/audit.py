"""`scalefit audit`: trained models against the compute-optimal ones of their own budgets."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalefit.cli import _options as options
from scalefit.cli._app import app
from scalefit.cli._decisions import compute_of, end, further_inputs, shared_json
from scalefit.cli._files import check_picture, open_fit, save_picture
from scalefit.cli._show import console, interval_cell, print_grid, print_json, say

if TYPE_CHECKING:
    from rich.console import Console

    from scalefit.planning import Audit

IN_WORDS = 3  # so many models have a paragraph each; more are read in the table


@app.command()
def audit(
    models: Annotated[
        list[str] | None, typer.Argument(help="N D, as in 70B 1.4T; or N:D, or published names; all by default.")
    ] = None,
    fit: options.FitOption = None,
    given: options.Inputs = None,
    six_nd: options.SixNd = False,
    law_only: options.LawOnly = False,
    plot: options.Plot = None,
    prob: options.Prob = 0.9,
    as_json: options.Json = False,
) -> None:
    """Trained models against the optimum of their budgets."""
    import scalefit as sf
    from scalefit import plots
    from scalefit._tables import json_ready
    from scalefit.io.published_models import read_model
    from scalefit.text.plans import assumptions_sentence, audit_sentence, caution_about

    check_picture(plot, fit or "")
    asked = [read_model(each) for each in _paired(models)] if models else None
    fitted = open_fit(fit, quiet=as_json)
    inputs = further_inputs(given, fitted.model.law)
    priced = compute_of(fitted, None, None, None, six_nd)
    found = sf.audit(fitted, asked, cost=priced, discrepancy=False if law_only else None, **inputs)
    if plot:
        save_picture(plots.audit(fitted, found, prob), plot)
    caution = caution_about([(model.params, model.tokens) for model in found.models], found.assumptions)
    words = [audit_sentence(found, index, prob) for index in range(len(found.models))]
    if as_json:
        document = {"sources": {model.name: model.source for model in found.models}}
        document |= shared_json(caution, words, found.assumptions, prob)
        print_json({**document, "models": json_ready(found.summary(prob))})
    else:
        out = console()
        for paragraph in filter(None, [caution, *(words if len(words) <= IN_WORDS else [])]):
            say(out, f"{paragraph}\n")
        _print(out, found, prob)
        say(out, assumptions_sentence(found.assumptions, prob))
    end(fitted.health)


def _paired(models: list[str]) -> list[str]:
    """`70B 1.4T` is one run written as two words."""
    two_counts = len(models) == 2 and all(each[:1].isdigit() and ":" not in each for each in models)
    return [":".join(models)] if two_counts else models


def _print(out: "Console", found: "Audit", prob: float) -> None:
    from scalefit._intervals import interval
    from scalefit._quantities import ratio
    from scalefit.fits.fit import posterior_name
    from scalefit.loss_units import short
    from scalefit.text.phrases import at_least_none
    from scalefit.units import format_count, format_flops, percent

    forms: dict[str, Any] = {
        "N_opt": format_count,
        "overtraining": ratio,
        "given_up": "{:.3g}".format,
        "wasted_compute": "{:.0%}".format,
        "served": at_least_none,
    }
    ends = {name: interval(values, prob) for name, values in found.draws.items()}
    rows = []
    for i, model in enumerate(found.models):
        per = model.tokens / model.params
        row = [model.name, format_count(model.params), format_count(model.tokens)]
        row += [f"{per:,.{0 if per > 10 else 2}f}", format_flops(float(found.flops[i]))]
        rows.append([*row, *(interval_cell(ends[name][:, i], form) for name, form in forms.items())])
    unit = short(found.assumptions.loss_unit)
    header = ["model", "params", "tokens", "D/N", "FLOP", "optimal N", "D/N over\noptimum", f"{unit}\ngiven up"]
    header += ["compute\nwasted", "inference\nimplied"]
    included = posterior_name(found.assumptions.discrepancy)
    print_grid(out, header, rows, f"medians over intervals {percent(prob)}, {included}")
