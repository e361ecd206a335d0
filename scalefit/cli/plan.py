"""`scalefit plan`: the allocation of a budget that minimises expected loss, and its regret."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalefit.cli import _options as options
from scalefit.cli._app import app
from scalefit.cli._decisions import compute_of, end, further_inputs, machines_of, show, show_json
from scalefit.cli._files import open_fit
from scalefit.cli._show import console, interval_cell, print_grid, say

if TYPE_CHECKING:
    from scalefit.planning import Plan, RulesOfThumb


@app.command()
def plan(
    fit: options.FitArgument,
    budget: Annotated[str, typer.Option(metavar="C", help="5.76e23 FLOP, '512 H100 x 30 days @ 40%', or '$2M'.")],
    accelerator: options.Accelerator = None,
    mfu: options.Mfu = None,
    price: options.Price = None,
    inference_tokens: Annotated[
        str | None, typer.Option(metavar="T", help="The budget pays for these too: 2T or 1T..10T.")
    ] = None,
    unique_tokens: Annotated[
        str | None, typer.Option(metavar="U", help="Unique tokens that exist: 1T, or 1T..3T (90%).")
    ] = None,
    max_params: options.MaxParams = None,
    params: Annotated[str | None, typer.Option(metavar="N", help="Exactly this size.")] = None,
    tokens: Annotated[str | None, typer.Option(metavar="D", help="Exactly so many tokens.")] = None,
    overtrain: Annotated[
        str | None, typer.Option(metavar="TIMES", help="So many times the tokens per parameter.")
    ] = None,
    risk: Annotated[
        float | None, typer.Option(help="Minimise the mean regret beyond this quantile, as in 0.95.")
    ] = None,
    family: options.Family = None,
    flop_rule: options.FlopRule = None,
    active: options.Active = None,
    six_nd: options.SixNd = False,
    given: options.Inputs = None,
    law_only: options.LawOnly = False,
    rules_of_thumb: Annotated[
        bool, typer.Option("--rules-of-thumb", help="Also give the regret of rules of thumb.")
    ] = False,
    prob: options.Prob = 0.9,
    as_json: options.Json = False,
) -> None:
    """The allocation of least expected loss for a budget.

    Its regret is what uncertainty about the optimum costs, in loss, compute and money.
    """
    import scalefit as sf
    from scalefit.costs.uncertain import read_amount
    from scalefit.text import plans as text

    machines, fitted = machines_of(accelerator, mfu, price), open_fit(fit, quiet=as_json)
    inputs = further_inputs(given, fitted.model.law)
    unique = unique_tokens or inputs.pop("unique_tokens", None)
    cost: sf.costs.Cost | None = (compute := compute_of(fitted, family, flop_rule, active, six_nd))
    if inference_tokens:
        cost = sf.costs.Lifetime(read_amount(inference_tokens, "--inference-tokens"), compute=compute)
    limits: dict[str, Any] = {"params": params, "tokens": tokens, "max_params": max_params, "overtrain": overtrain}
    limits |= {"unique_tokens": unique, "risk": risk, "family": family}
    shared: dict[str, Any] = {"discrepancy": False if law_only else None, **inputs}
    answer = sf.plan(fitted, budget, cost=cost, machines=machines, **limits, **shared)
    same: dict[str, Any] = {"machines": answer.machines, "cost": compute, **shared}
    thumb = sf.rules_of_thumb(fitted, answer.flops, **same) if rules_of_thumb else None
    words = [text.plan_paragraph(answer, prob), text.deployment_sentence(answer), text.data_wall_sentence(answer)]
    words.append(text.bill_sentence(answer.machines, answer.flops))
    caution = text.caution_about([(answer.params, answer.tokens)], answer.assumptions)
    shown = caution, words, answer.summary(prob)
    if as_json:
        show_json(_document(answer, thumb, prob), *shown, answer.assumptions, prob)
    else:
        title = f"plan for {budget}{', inference included' if inference_tokens else ''}"
        show(*shown, title, answer.assumptions, prob)
        if thumb:
            _print_rules(thumb, prob)
    end(fitted.health)


def _document(answer: "Plan", thumb: "RulesOfThumb | None", prob: float) -> dict[str, Any]:
    from dataclasses import asdict

    from scalefit._tables import json_ready

    names = ("budget", "params", "tokens", "tokens_per_param", "loss", "regret", "wasted_compute")
    document: dict[str, Any] = {name: getattr(answer, name) for name in names}
    document["cost_of_constraints"] = answer.cost_of_constraints
    document["extrapolation_factor"] = answer.extrapolation_factor
    document["near_optimal_params"] = dict(zip(("lower", "upper"), answer.near_optimal, strict=True))
    document["cvar_95"] = answer.cvar()
    document["training"] = {"assumed": answer.machines.describe(), **answer.bill}
    document["deployment"] = asdict(answer.deployment) if answer.deployment else None
    document["rules_of_thumb"] = json_ready(thumb.summary(prob)) if thumb else None
    return document


def _print_rules(thumb: "RulesOfThumb", prob: float) -> None:
    from scalefit._quantities import write
    from scalefit.loss_units import short
    from scalefit.text.commands import KAPLAN_COUNTS
    from scalefit.units import percent

    rows = []
    for rule, row in thumb.summary(prob).iterrows():
        cells = [write(row["params", ""], "parameters"), write(row["tokens", ""], "tokens")]
        cells += [f"{row['regret', 'mean']:.4f}", interval_cell(row["wasted_compute"], "{:.1%}".format)]
        rows.append([str(rule), *cells, write(row["wasted_money", "mean"], "$")])
    header = [
        "rule of thumb",
        "params",
        "tokens",
        f"regret,\n{short(thumb.assumptions.loss_unit)}",
        "compute\nwasted",
        "money\nwasted",
    ]
    out, title = console(), f"\nthe same training compute by rules of thumb; means, intervals {percent(prob)}"
    print_grid(out, header, rows, title)
    say(out, KAPLAN_COUNTS)
