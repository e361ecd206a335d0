"""`scalefit target`: what a loss costs, at even odds and to be sure."""

from typing import Annotated

import typer

from scalefit.cli._app import app
from scalefit.cli._decisions import Accelerator, Mfu, Price, compute_of, machines_of, show, show_json
from scalefit.cli._options import Active, Family, FitArgument, Json, Kind, Prob, Rule


@app.command()
def target(
    fit: FitArgument,
    loss: Annotated[str, typer.Option(help="The loss to reach, nats per token.")],
    confidence: Annotated[float, typer.Option(help="Probability of reaching it with the second plan.")] = 0.9,
    max_params: Annotated[str | None, typer.Option(help="A cap, for memory or latency, as in 7B.")] = None,
    accelerator: Accelerator = None,
    mfu: Mfu = None,
    price: Price = None,
    family: Family = None,
    rule: Rule = None,
    active: Active = None,
    kind: Kind = None,
    prob: Prob = 0.9,
    as_json: Json = False,
) -> None:
    """The cheapest plans that reach a loss: at even odds, and with confidence."""
    from dataclasses import asdict

    import scalefit as sf
    from scalefit.text.plans import bill_sentence, caution_about, target_paragraph

    machines, fitted = machines_of(accelerator, mfu, price), sf.load(fit)
    wanted = {"confidence": confidence, "machines": machines, "max_params": max_params, "kind": kind}
    found = sf.target(fitted, loss, cost=compute_of(fitted, family, rule, active), **wanted)  # type: ignore[arg-type]
    flops = float(found.cost.flops(found.sure.params, found.sure.tokens))
    lead = "safer" if confidence >= 0.5 else "riskier"
    words = [target_paragraph(found, prob), f"The {lead} plan: {bill_sentence(machines, flops)}"]
    shown = caution_about([(found.sure.params, found.sure.tokens)], found.assumptions), words, found.summary(prob)
    if as_json:
        plans = {"even": asdict(found.even), "sure": asdict(found.sure), "machines": machines.describe()}
        show_json(
            {"loss": found.loss, "confidence": confidence, "reachable": found.reachable, **plans},
            *shown,
            found.assumptions,
            prob,
        )
        return
    show(*shown, f"a loss of {found.loss:g}, were the law known", found.assumptions, prob)
