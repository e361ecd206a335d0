"""`scalefit compare laws`: which law predicts larger runs, and the weight that each has earned."""

from typing import Annotated, Any

import typer

from scalefit.cli import _options as options
from scalefit.cli._app import compare
from scalefit.cli._files import read, say_notes
from scalefit.cli._show import NONE, console, print_grid, print_json, say


@compare.command("laws")
def compare_laws(
    runs: options.RunsArgument,
    laws: Annotated[
        str | None, typer.Option(metavar="LAWS", help="As in chinchilla,kaplan; every law of N and D by default.")
    ] = None,
    above: Annotated[
        str | None,
        typer.Option(
            metavar="C", help="Train up to this compute, FLOP, or a list; 1/3, 1/10, 1/30 of the largest by default."
        ),
    ] = None,
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
    law_only: options.LawOnly = False,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Which law predicts larger runs from smaller ones.

    The weight of a law follows from its predictions of the larger runs. A weight by leave-one-out is shown beside it.
    """
    import scalefit as sf
    from scalefit._tables import json_ready
    from scalefit.text.validation import laws_paragraph
    from scalefit.units import parse_budgets

    columns: dict[str, Any] = {"params": params, "tokens": tokens, "flops": flops, "loss": loss, "unit": loss_unit}
    columns |= {"bytes_per_token": bytes_per_token, "cluster": cluster}
    table = read(runs, outliers, format=format, history=history, keep_unfinished=keep_unfinished, **columns)
    say_notes(table, as_json)
    names = None if laws is None else [name.strip() for name in laws.split(",") if name.strip()]
    cuts = None if above is None else sf.above_compute(parse_budgets(above))
    wanted: dict[str, Any] = {"holdout": cuts, "discrepancy": False if law_only else None, "seed": seed}
    found = sf.compare_laws(table, names, progress=False if as_json else None, **wanted)
    words = laws_paragraph(found)
    if as_json:
        splits = list(dict.fromkeys(found.records["split"]))
        print_json({"words": words, "laws": json_ready(found.summary()), "splits": splits, "failures": found.failures})
    else:
        _print(found, words)


def _print(found: Any, words: str) -> None:
    out, table = console(), found.summary()
    say(out, f"{words}\n")
    splits = ", ".join(dict.fromkeys(found.records["split"]))
    title = f"ln loss of runs {splits} FLOP: mean ± standard error by budget; LOO: sum over the whole table"
    header = [
        "law",
        "weight",
        "ln density",
        "behind best",
        "CRPS",
        "LOO\nweight",
        "LOO ln\ndensity",
        "Pareto\nk",
        "health",
    ]
    print_grid(out, header, [_cells(law, row, law == table.index[0]) for law, row in table.iterrows()], title)
    for law, why in found.failures.items():
        say(out, f"{law}: {why}")


def _cells(law: Any, row: Any, best: bool) -> list[str]:
    both = lambda name, form: f"{row[name]:{form}} ± {row[f'{name}_se']:{form}}"
    behind = NONE if best else f"{-row['lpd_diff']:.2f} ± {row['lpd_diff_se']:.2f}"
    held = [f"{row['weight']:.2f}", both("lpd", ".2f"), behind, both("crps", ".4f")]
    return [law, *held, f"{row['loo_weight']:.2f}", both("elpd_loo", ".1f"), f"{row['pareto_k']:.2f}", row["health"]]
