"""`scalefit lifetime`: the size that is cheapest over training and inference, at equal quality."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from scalefit.cli._app import app
from scalefit.cli._decisions import Accelerator, Mfu, Price, Served, compute_of, machines_of, show, show_json
from scalefit.cli._input import check_picture
from scalefit.cli._options import Active, Family, FitArgument, Json, Prob, Rule
from scalefit.cli._show import cell_by_row


@app.command()
def lifetime(
    fit: FitArgument,
    quality: Annotated[str, typer.Option(help="A loss (1.95), a size (7B), a run (13B:260B) or a published model.")],
    inference_tokens: Served,
    money: Annotated[bool, typer.Option("--money", help="Minimise money instead of FLOP.")] = False,
    serving_mfu: Annotated[str | None, typer.Option(help="MFU of inference, as in 15%: implies --money.")] = None,
    max_params: Annotated[str | None, typer.Option(help="A cap, for memory or latency, as in 7B.")] = None,
    params: Annotated[str | None, typer.Option(help="Exactly this size.")] = None,
    accelerator: Accelerator = None,
    mfu: Mfu = None,
    price: Price = None,
    family: Family = None,
    rule: Rule = None,
    active: Active = None,
    plot: Annotated[Path | None, typer.Option(help="Also draw training against inference cost here.")] = None,
    prob: Prob = 0.9,
    as_json: Json = False,
) -> None:
    """The size that is cheapest over training and inference, at equal quality."""
    import scalefit as sf
    from scalefit import plots
    from scalefit._tables import json_ready
    from scalefit.costs.uncertain import read_amount
    from scalefit.text.plans import bill_sentence, caution_about, lifetime_paragraph

    check_picture(plot, str(fit))
    machines, served = machines_of(accelerator, mfu, price), read_amount(inference_tokens, "--inference-tokens")
    fitted = sf.load(fit)
    compute = compute_of(fitted, family, rule, active)
    cost = sf.costs.Lifetime(served, compute=compute)
    if money or serving_mfu:
        serving = machines_of(accelerator, serving_mfu or mfu, price)
        cost = sf.costs.Lifetime.in_money(served, training=machines, serving=serving, compute=compute)
    life = sf.lifetime(fitted, quality, cost, params=params, max_params=max_params, machines=machines)
    if plot:
        plots.save(plots.pareto(life, prob), plot)
    words = [lifetime_paragraph(life, prob), bill_sentence(machines, life.flops)]
    shown = caution_about([(life.params, life.tokens)], life.assumptions), words, life.summary(prob)
    if as_json:
        document = {"params": life.params, "tokens": life.tokens, "reference": list(life.reference)}
        show_json({**document, "pareto": json_ready(life.pareto(prob))}, *shown, life.assumptions, prob)
        return
    show(*shown, f"the whole life at the quality of {quality}", life.assumptions, prob, _cell(cost.unit))


def _cell(unit: str) -> Callable[[str, str, float], str]:
    """Costs in money are written as money."""
    in_money = ("training", "serving", "total") if unit == "$" else ()

    def cell(row: str, column: str, value: float) -> str:
        return cell_by_row("wasted_money" if row in in_money else row, column, value)

    return cell
