"""`scalefit compare methods`: the posterior beside point estimates, at one budget."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalefit.cli import _options as options
from scalefit.cli._app import compare
from scalefit.cli._files import read, say_notes
from scalefit.cli._show import NONE, console, interval_cell, print_grid, print_json, say

if TYPE_CHECKING:
    from rich.console import Console

    from scalefit.validation.compare_methods import Comparison, Entry


@compare.command("methods")
def compare_methods(
    runs: options.RunsArgument,
    params: options.Params = None,
    tokens: options.Tokens = None,
    flops: options.Flops = None,
    loss: options.Loss = None,
    loss_unit: options.LossUnit = None,
    bytes_per_token: options.BytesPerToken = None,
    cluster: options.Cluster = None,
    format: options.Format = None,
    history: options.History = None,
    keep_unfinished: options.KeepUnfinished = False,
    outliers: options.Outliers = None,
    budget: Annotated[str | None, typer.Option(metavar="C", help="FLOP; the largest run's by default.")] = None,
    law_only: options.LawOnly = False,
    prob: options.Prob = 0.9,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """The posterior beside every point estimate.

    Each method gives its law, and the optimum at one budget.
    """
    import scalefit as sf
    from scalefit._intervals import check_prob
    from scalefit._tables import json_ready
    from scalefit.text.fits import caution
    from scalefit.units import format_flops, percent

    check_prob(prob)
    columns: dict[str, Any] = {"params": params, "tokens": tokens, "flops": flops, "loss": loss, "unit": loss_unit}
    columns |= {"bytes_per_token": bytes_per_token, "cluster": cluster}
    table = read(runs, outliers, format=format, history=history, keep_unfinished=keep_unfinished, **columns)
    say_notes(table, as_json)
    wanted: dict[str, Any] = {"budget": budget, "discrepancy": False if law_only else None, "seed": seed}
    found = sf.compare_methods(table, progress=False if as_json else None, **wanted)
    words = caution(found.budget, (table.flops.min(), table.flops.max()), not law_only, sf.Model().evidence)
    if as_json:
        rows = json_ready(found.summary(prob))
        print_json({"budget": found.budget, "prob": prob, "caution": words, "methods": rows})
        return
    out = console()
    if words:
        say(out, f"{words}\n")
    _print(out, found, prob, f"at {format_flops(found.budget)} FLOP; medians over intervals {percent(prob)}")
    for name, entry in found.entries.items():
        if entry.failure:
            say(out, f"{name}: {entry.failure}")


def _print(out: "Console", found: "Comparison", prob: float, title: str) -> None:
    """One row a method: the quantities a planner compares, each over its interval."""
    from scalefit._intervals import interval
    from scalefit.units import format_count

    forms: dict[str, Any] = dict.fromkeys(("E", "alpha", "beta", "a"), "{:.4g}".format)
    forms |= {"N_opt": format_count, "tokens_per_param": "{:.3g}".format, "loss": "{:.4g}".format}

    def cell(entry: "Entry", name: str) -> str:
        return interval_cell(interval(entry.draws[name], prob), forms[name]) if name in entry.draws else NONE

    rows = [
        [name, *(cell(entry, column) for column in forms), entry.kind, f"{entry.seconds:.1f}"]
        for name, entry in found.entries.items()
    ]
    header = ["method", *("tokens/\nparam" if name == "tokens_per_param" else name for name in forms)]
    print_grid(out, [*header, "kind", "seconds"], rows, title)
