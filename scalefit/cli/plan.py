"""`scalefit plan`: the allocation of a budget that minimises expected loss, and the price of being wrong."""

from typing import Annotated

import typer

from scalefit.cli._app import app
from scalefit.cli._options import FitArgument, Json, Prob
from scalefit.cli._show import cell_by_row, console, print_json, rich_table, say
from scalefit.units import percent


@app.command()
def plan(
    fit: FitArgument,
    budget: Annotated[str, typer.Option(help="Training compute, FLOP, as in 5.76e23.")],
    prob: Prob = 0.9,
    as_json: Json = False,
) -> None:
    """The allocation of a budget that minimises expected loss, and the price of being wrong."""
    import scalefit as sf
    from scalefit.tables import json_ready
    from scalefit.wording import caution, plan_paragraph

    answer = sf.plan(sf.load(fit), budget)
    table = answer.summary(prob)
    if as_json:
        single = {name: getattr(answer, name) for name in ("budget", "params", "tokens", "tokens_per_param", "loss")}
        single |= {name: getattr(answer, name) for name in ("regret", "wasted_compute", "times_beyond")}
        near = dict(zip(("lower", "upper"), answer.near_optimal, strict=True))
        words = caution(answer.budget, answer.compute_range)
        print_json(
            {**single, "near_optimal_params": near, "prob": prob, "caution": words, "summary": json_ready(table)}
        )
        return
    out = console()
    if words := caution(answer.budget, answer.compute_range):
        say(out, f"{words}\n")
    say(out, f"{plan_paragraph(answer, prob)}\n")
    out.print(rich_table(table, f"plan at {budget} FLOP; intervals {percent(prob)}", cell_by_row))
