"""`scalefit target`: what a loss costs, at even odds and to be sure."""

from typing import Annotated, Any

import typer

from scalefit.cli import _options as options
from scalefit.cli._app import app
from scalefit.cli._decisions import compute_of, end, further_inputs, machines_of, show, show_json
from scalefit.cli._files import open_fit


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

    One reaches it at even odds, one with the confidence asked for.
    """
    from dataclasses import asdict

    import scalefit as sf
    from scalefit.text.plans import bill_sentence, caution_about, target_paragraph

    machines, fitted = machines_of(accelerator, mfu, price), open_fit(fit, quiet=as_json)
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
