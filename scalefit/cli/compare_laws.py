"""`scalefit compare-laws`: which law predicts larger runs, and the weight that each has earned."""

from typing import Annotated, Any

import typer

from scalefit.cli._app import app
from scalefit.cli._input import read
from scalefit.cli._options import Flops, Json, Loss, Outliers, Params, RunsArgument, Seed, Tokens
from scalefit.cli._show import console, grid, print_json, say


@app.command("compare-laws")
def compare_laws(
    runs: RunsArgument,
    laws: Annotated[str | None, typer.Option(help="As in chinchilla,kaplan; every law of N and D by default.")] = None,
    above: Annotated[
        str | None,
        typer.Option(help="Train up to this compute, FLOP, or a list; by default 1/3, 1/10, 1/30 of the largest."),
    ] = None,
    params: Params = None,
    tokens: Tokens = None,
    flops: Flops = None,
    loss: Loss = None,
    outliers: Outliers = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Which law predicts the larger runs from the smaller ones, and the weight that each has earned."""
    import scalefit as sf
    from scalefit._tables import json_ready
    from scalefit.text.validation import laws_paragraph
    from scalefit.units import parse_budgets

    table = read(runs, outliers, params=params, tokens=tokens, flops=flops, loss=loss)
    names = None if laws is None else [name.strip() for name in laws.split(",") if name.strip()]
    cuts = None if above is None else sf.above_compute(parse_budgets(above))
    found = sf.compare_laws(table, names, holdout=cuts, seed=seed, progress=False if as_json else None)
    words = laws_paragraph(found)
    if as_json:
        splits = list(dict.fromkeys(found.records["split"]))
        print_json({"words": words, "laws": json_ready(found.summary()), "splits": splits, "failures": found.failures})
        return
    _print_laws(found, words)


def _print_laws(found: Any, words: str) -> None:
    out = console()
    say(out, f"{words}\n")
    table = found.summary()
    splits = ", ".join(dict.fromkeys(found.records["split"]))
    title = f"ln loss of runs {splits} FLOP: mean ± standard error by budget; LOO: sum over the whole table"
    header = [
        "law",
        "weight",
        "ln density",
        "behind best",
        "CRPS",
        "LOO weight",
        "LOO ln density",
        "Pareto k",
        "health",
    ]
    out.print(grid(header, [_cells(law, row, law == table.index[0]) for law, row in table.iterrows()], title=title))
    for law, why in found.failures.items():
        out.print(f"{law}: {why}")


def _cells(law: Any, row: Any, best: bool) -> list[str]:
    both = lambda name, form: f"{row[name]:{form}} ± {row[f'{name}_se']:{form}}"
    behind = "–" if best else f"{-row['lpd_diff']:.2f} ± {row['lpd_diff_se']:.2f}"
    held = [f"{row['weight']:.2f}", both("lpd", ".2f"), behind, both("crps", ".4f")]
    return [law, *held, f"{row['loo_weight']:.2f}", both("elpd_loo", ".1f"), f"{row['pareto_k']:.2f}", row["health"]]
