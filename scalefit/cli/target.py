"""`scalefit target`: what a loss costs, at even odds and to be sure."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalefit.cli import _options as options
from scalefit.cli._app import app
from scalefit.cli._decisions import compute_of, end, further_inputs, machines_of, show, show_json
from scalefit.cli._files import open_fit
from scalefit.cli._show import console, health_json, print_json, say

if TYPE_CHECKING:
    from scalefit.fits.fit import Fit
    from scalefit.planning import LeastInput


@app.command()
def target(
    fit: options.FitArgument,
    loss: Annotated[str, typer.Option(metavar="L", help="The loss to reach, in the unit of the table.")],
    confidence: Annotated[float, typer.Option(help="Probability of reaching it with the second plan.")] = 0.9,
    max_params: options.MaxParams = None,
    accelerator: options.Accelerator = None,
    mfu: options.Mfu = None,
    price: options.Price = None,
    family: options.Family = None,
    flop_rule: options.FlopRule = None,
    active: options.Active = None,
    six_nd: options.SixNd = False,
    given: options.Inputs = None,
    law_only: options.LawOnly = False,
    prob: options.Prob = 0.9,
    as_json: options.Json = False,
) -> None:
    """The cheapest runs that reach a loss.

    One reaches it at even odds, one with the given confidence.
    """
    from dataclasses import asdict

    import scalefit as sf
    from scalefit.frontier.optimum import trades
    from scalefit.text.plans import bill_sentence, caution_about, target_paragraph

    machines, fitted = machines_of(accelerator, mfu, price), open_fit(fit, quiet=as_json)
    if not trades(fitted.model.law):
        least = sf.least_input(fitted, loss, confidence=confidence, **further_inputs(given, fitted.model.law))
        _of_one_input(fitted, least, prob, as_json)
        return
    wanted: dict[str, Any] = {"confidence": confidence, "machines": machines, "max_params": max_params}
    wanted |= {"discrepancy": False if law_only else None, **further_inputs(given, fitted.model.law)}
    found = sf.target(fitted, loss, cost=compute_of(fitted, family, flop_rule, active, six_nd), **wanted)
    flops = float(found.cost.flops(found.sure.params, found.sure.tokens))
    lead = "safer" if confidence >= 0.5 else "riskier"
    words = [target_paragraph(found, prob), f"The {lead} plan: {bill_sentence(machines, flops)}"]
    caution = caution_about([(found.sure.params, found.sure.tokens)], found.assumptions)
    shown = caution, words, found.summary(prob)
    if as_json:
        document: dict[str, Any] = {"loss": found.loss, "confidence": confidence, "reachable": found.reachable}
        document |= {"even": asdict(found.even), "sure": asdict(found.sure), "machines": machines.describe()}
        show_json(document, *shown, found.assumptions, prob)
    else:
        title = f"the least budget for a loss of {found.loss:g}, if the law were known"
        show(*shown, title, found.assumptions, prob, {"budget": found.cost.unit})
    end(fitted.health)


def _of_one_input(fitted: "Fit", found: "LeastInput", prob: float, as_json: bool) -> None:
    """The answer of a law without an allocation."""
    from scalefit._tables import json_ready
    from scalefit.text.predictions import included_sentence, least_input_caution, least_input_paragraph

    caution, words = least_input_caution(found), least_input_paragraph(found, prob)
    resting = included_sentence(fitted, False, prob)
    if as_json:
        document: dict[str, Any] = {name: getattr(found, name) for name in ("loss", "confidence", "reachable", "input")}
        runs = zip(("even", "sure"), (found.even, found.sure), found.one_run, strict=True)
        document |= {name: {"value": value, "chance_one_run": share} for name, value, share in runs}
        document |= {
            "prob": prob,
            "discrepancy": False,
            "loss_unit": found.loss_unit,
            "caution": caution,
            "words": words,
        }
        document |= {"health": health_json(found.health), "assumptions": resting}
        print_json({**document, "summary": json_ready(found.summary(prob))})
    else:
        out = console()
        for paragraph in filter(None, [caution, words]):
            say(out, f"{paragraph}\n")
        say(out, resting)
    end(fitted.health)
