"""`scalefit compare`: the posterior beside every point-estimate fit, at one budget."""

import math
from typing import Annotated, Any

import typer

from scalefit.cli._app import app
from scalefit.cli._input import read
from scalefit.cli._options import Flops, Json, Loss, Outliers, Params, Prob, RunsArgument, Seed, Tokens
from scalefit.cli._show import console, grid, print_json
from scalefit.units import percent


@app.command()
def compare(
    runs: RunsArgument,
    params: Params = None,
    tokens: Tokens = None,
    flops: Flops = None,
    loss: Loss = None,
    outliers: Outliers = None,
    budget: Annotated[str | None, typer.Option(help="FLOP; the largest run's by default.")] = None,
    prob: Prob = 0.9,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """The posterior beside every point-estimate fit, at one budget."""
    import scalefit as sf
    from scalefit._intervals import check_prob
    from scalefit._tables import json_ready
    from scalefit.text.fits import caution
    from scalefit.units import format_flops

    check_prob(prob)
    table = read(runs, outliers, params=params, tokens=tokens, flops=flops, loss=loss)
    found = sf.compare_methods(table, budget=budget, seed=seed, progress=False if as_json else None)
    words = caution(found.budget, (table.flops.min(), table.flops.max()))
    if as_json:
        rows = json_ready(found.summary(prob))
        print_json({"budget": found.budget, "prob": prob, "caution": words, "methods": rows})
        return
    out = console()
    if words:
        out.print(f"{words}\n")
    out.print(
        _comparison_grid(found, prob, f"at {format_flops(found.budget)} FLOP; median and {percent(prob)} interval")
    )
    for name, entry in found.entries.items():
        if entry.failure:
            out.print(f"{name}: {entry.failure}")


def _comparison_grid(found: Any, prob: float, title: str) -> Any:
    """One row a method: the quantities a planner compares, each with its interval."""
    from scalefit._intervals import interval
    from scalefit.units import format_count

    forms = {
        "E": "{:.3f}",
        "alpha": "{:.3f}",
        "beta": "{:.3f}",
        "a": "{:.3f}",
        "tokens_per_param": "{:.1f}",
        "loss": "{:.3f}",
    }

    def cell(entry: Any, name: str) -> str:
        if name not in entry.draws:
            return "–"
        form = format_count if name == "N_opt" else forms[name].format
        middle, low, high = interval(entry.draws[name], prob)
        return form(middle) if math.isnan(low) else f"{form(middle)}\n[{form(low)}, {form(high)}]"

    columns = ["E", "alpha", "beta", "a", "N_opt", "tokens_per_param", "loss"]
    rows = [
        [name, *(cell(entry, column) for column in columns), entry.kind, f"{entry.seconds:.1f}"]
        for name, entry in found.entries.items()
    ]
    return grid(["method", *columns, "kind", "seconds"], rows, title=title)
