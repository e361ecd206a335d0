"""`scalefit lifetime`: the size that is cheapest over training and inference, at equal quality."""

from typing import Annotated, Any

import typer

from scalefit.cli import _options as options
from scalefit.cli._app import app
from scalefit.cli._decisions import compute_of, end, further_inputs, machines_of, show, show_json
from scalefit.cli._files import check_picture, open_fit, save_picture
from scalefit.cli._show import rows_json


@app.command()
def lifetime(
    fit: options.FitArgument,
    quality: Annotated[
        str, typer.Option(metavar="Q", help="A loss (1.95), a size (7B), a run (13B:260B) or a published model.")
    ],
    inference_tokens: options.Served,
    money: Annotated[bool, typer.Option("--money", help="Minimise money instead of FLOP.")] = False,
    serving_mfu: Annotated[
        str | None, typer.Option(metavar="SHARE", help="MFU of inference, as in 15%: implies --money.")
    ] = None,
    max_params: options.MaxParams = None,
    params: Annotated[str | None, typer.Option(metavar="N", help="Exactly this size.")] = None,
    accelerator: options.Accelerator = None,
    mfu: options.Mfu = None,
    price: options.Price = None,
    family: options.Family = None,
    flop_rule: options.FlopRule = None,
    active: options.Active = None,
    six_nd: options.SixNd = False,
    given: options.Inputs = None,
    law_only: options.LawOnly = False,
    plot: options.Plot = None,
    prob: options.Prob = 0.9,
    as_json: options.Json = False,
) -> None:
    """The cheapest size over training and inference.

    All sizes are trained until they reach the same quality.
    """
    import scalefit as sf
    from scalefit import plots
    from scalefit.costs.uncertain import read_amount
    from scalefit.text.plans import bill_sentence, caution_about, lifetime_paragraph

    check_picture(plot, fit)
    machines, served = machines_of(accelerator, mfu, price), read_amount(inference_tokens, "--inference-tokens")
    fitted = open_fit(fit, quiet=as_json)
    compute = compute_of(fitted, family, flop_rule, active, six_nd)
    cost = sf.costs.Lifetime(served, compute=compute)
    if money or serving_mfu:
        serving = machines_of(accelerator, serving_mfu or mfu, price)
        cost = sf.costs.Lifetime.in_money(served, training=machines, serving=serving, compute=compute)
    wanted: dict[str, Any] = {"params": params, "max_params": max_params, "machines": machines}
    wanted |= {"discrepancy": False if law_only else None, **further_inputs(given, fitted.model.law)}
    life = sf.lifetime(fitted, quality, cost, **wanted)
    if plot:
        save_picture(plots.pareto(life, prob), plot)
    words = [lifetime_paragraph(life, prob), bill_sentence(machines, life.flops)]
    shown = caution_about([(life.params, life.tokens)], life.assumptions), words, life.summary(prob)
    if as_json:
        document: dict[str, Any] = {"params": life.params, "tokens": life.tokens, "reachable": life.reachable}
        document["unit"] = cost.unit
        document["reference"] = dict(zip(("params", "tokens"), life.reference, strict=True))
        document["pareto"] = rows_json(life.pareto(prob), "params")
        show_json(document, *shown, life.assumptions, prob)
    else:
        units = dict.fromkeys(("training", "serving", "total"), cost.unit)
        show(*shown, f"training and inference at the quality of {quality}", life.assumptions, prob, units)
    end(fitted.health)
