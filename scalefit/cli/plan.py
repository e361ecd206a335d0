"""`scalefit plan`: the allocation of a budget that minimises expected loss, and the price of being wrong."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalefit.cli._app import app
from scalefit.cli._decisions import Accelerator, Mfu, Price, compute_of, machines_of, show, show_json
from scalefit.cli._options import Active, Family, FitArgument, Json, Kind, Prob, Rule
from scalefit.cli._show import console, grid, say
from scalefit.units import percent

if TYPE_CHECKING:
    from scalefit.planning import Plan


@app.command()
def plan(
    fit: FitArgument,
    budget: Annotated[str, typer.Option(help="5.76e23 FLOP, '512 H100 x 30 days @ 40%', or '$2M'.")],
    accelerator: Accelerator = None,
    mfu: Mfu = None,
    price: Price = None,
    inference_tokens: Annotated[str | None, typer.Option(help="The budget pays for these too: 2T or 1T..10T.")] = None,
    unique_tokens: Annotated[str | None, typer.Option(help="What data there is: 1T, or 1T..3T (90%).")] = None,
    max_params: Annotated[str | None, typer.Option(help="A cap, for memory or latency, as in 7B.")] = None,
    params: Annotated[str | None, typer.Option(help="Exactly this size.")] = None,
    tokens: Annotated[str | None, typer.Option(help="Exactly so many tokens.")] = None,
    overtrain: Annotated[str | None, typer.Option(help="So many times the tokens per parameter.")] = None,
    risk: Annotated[
        float | None, typer.Option(help="Minimise the mean regret beyond this quantile, as in 0.95.")
    ] = None,
    family: Family = None,
    rule: Rule = None,
    active: Active = None,
    kind: Kind = None,
    rules: Annotated[bool, typer.Option("--rules", help="Also price rules of thumb.")] = False,
    prob: Prob = 0.9,
    as_json: Json = False,
) -> None:
    """The allocation of a budget that minimises expected loss, and the price of being wrong."""
    import scalefit as sf
    from scalefit.costs.uncertain import read_amount
    from scalefit.text.plans import (
        bill_sentence,
        caution_about,
        data_wall_sentence,
        deployment_sentence,
        plan_paragraph,
    )

    machines, fitted = machines_of(accelerator, mfu, price), sf.load(fit)
    cost: sf.costs.Cost = (compute := compute_of(fitted, family, rule, active))
    if inference_tokens:
        cost = sf.costs.Lifetime(read_amount(inference_tokens, "--inference-tokens"), compute=compute)
    limits: dict[str, Any] = {"params": params, "tokens": tokens, "max_params": max_params, "overtrain": overtrain}
    wanted: dict[str, Any] = {"unique_tokens": unique_tokens, "risk": risk, "kind": kind, "family": family, **limits}
    answer = sf.plan(fitted, budget, cost=cost, machines=machines, **wanted)
    thumb = sf.rules_of_thumb(fitted, answer.flops, machines=answer.machines, kind=kind) if rules else None
    words = [plan_paragraph(answer, prob), deployment_sentence(answer), data_wall_sentence(answer)]
    words.append(bill_sentence(answer.machines, answer.flops))
    shown = caution_about([(answer.params, answer.tokens)], answer.assumptions), words, answer.summary(prob)
    if as_json:
        show_json(_document(answer, thumb, prob), *shown, answer.assumptions, prob)
        return
    show(
        *shown,
        f"plan for {budget if inference_tokens is None else f'{budget}, inference included'}",
        answer.assumptions,
        prob,
    )
    if thumb:
        _print_rules(thumb, prob)


def _document(answer: "Plan", thumb: Any, prob: float) -> dict[str, Any]:
    from dataclasses import asdict

    from scalefit._tables import json_ready

    single = {name: getattr(answer, name) for name in ("budget", "params", "tokens", "tokens_per_param", "loss")}
    single |= {
        name: getattr(answer, name)
        for name in ("regret", "wasted_compute", "cost_of_constraints", "extrapolation_factor")
    }
    near = dict(zip(("lower", "upper"), answer.near_optimal, strict=True))
    machines = {"assumed": answer.machines.describe(), **answer.bill}
    rules = {"rules": json_ready(thumb.summary(prob))} if thumb else {}
    built = {"deployment": asdict(answer.deployment)} if answer.deployment else {}
    return {**single, **built, "near_optimal_params": near, "cvar_95": answer.cvar(), "training": machines, **rules}


def _print_rules(thumb: Any, prob: float) -> None:
    from scalefit.text.phrases import money
    from scalefit.units import format_count

    rows = []
    for rule, row in thumb.summary(prob).iterrows():
        size, waste = (format_count(row[name, ""]) for name in ("params", "tokens")), row["wasted_compute"]
        cells = (
            f"{row['regret', 'mean']:.4f}",
            "{:.2%} [{:.2%}, {:.2%}]".format(*waste),
            money(row["wasted_money", "mean"]),
        )
        rows.append([str(rule), *size, *cells])
    out = console()
    header = ["rule of thumb", "params", "tokens", "regret, nats", "compute wasted", "money wasted"]
    out.print(
        grid(header, rows, title=f"\nthe same training compute by rules of thumb; means, {percent(prob)} interval")
    )
    say(out, "Kaplan 2020 counts N without embeddings.")
