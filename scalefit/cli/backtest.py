"""`scalefit backtest`: train on the smaller runs, predict the larger ones, and say what the intervals were worth."""

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from scalefit.cli._app import app
from scalefit.cli._input import check_picture, read
from scalefit.cli._options import Flops, Json, Loss, Outliers, Params, RunsArgument, Seed, Tokens
from scalefit.cli._show import cell_by_row, console, grid, print_json, say


@app.command()
def backtest(
    runs: RunsArgument,
    above: Annotated[str, typer.Option(help="Train up to this compute, FLOP, predict the larger runs; or a list.")],
    params: Params = None,
    tokens: Tokens = None,
    flops: Flops = None,
    loss: Loss = None,
    outliers: Outliers = None,
    seed: Seed = 0,
    plot: Annotated[Path | None, typer.Option(help="Also draw promised against found coverage here.")] = None,
    as_json: Json = False,
) -> None:
    """Train on the smaller runs, predict the larger ones, and say what the intervals were worth."""
    import scalefit as sf
    from scalefit import plots
    from scalefit._tables import json_ready
    from scalefit.text.validation import coverage_sentence
    from scalefit.units import parse_budgets

    check_picture(plot, runs)
    table = read(runs, outliers, params=params, tokens=tokens, flops=flops, loss=loss)
    cuts = sf.above_compute(parse_budgets(above))
    found = sf.backtest(table, holdout=cuts, seed=seed, progress=False if as_json else None)
    if plot:
        plots.save(plots.calibration(found), plot)
    if as_json:
        tables = {"summary": found.summary(), "by_distance": found.by_distance(), "drift": found.drift_summary()}
        failures = [{"split": split, "method": name, "why": why} for (split, name), why in found.failures.items()]
        documents = {name: json_ready(value) for name, value in tables.items()}
        print_json({"words": coverage_sentence(found), **documents, "target": found.target, "failures": failures})
        return
    _print_backtest(found)


def _print_backtest(found: Any) -> None:
    from scalefit.text.validation import coverage_sentence
    from scalefit.units import format_flops

    out = console()
    say(out, f"{coverage_sentence(found)}\n")
    table = found.summary()
    names = ["bias", "mae", "crps", "log_score", "cover_mean_90", "cover_run_50", "cover_run_90"]
    rows = [
        [method, f"{row['runs']:.0f}"]
        + ["–" if math.isnan(row[n]) else f"{row[n]:.2g} ± {row[f'{n}_se']:.1g}" for n in names]
        for method, row in table.iterrows()
    ]
    out.print(grid(["method", "runs", *names], rows, title="ln loss of held-out runs; mean ± standard error by budget"))
    drift = found.drift_summary().map(lambda value: cell_by_row("N_opt", "", value))
    rows = [[*map(str, key), *row] for key, row in zip(drift.index, drift.to_numpy().tolist(), strict=True)]
    title = f"N_opt at {format_flops(found.target)} FLOP as the cut rises"
    out.print(grid(["split", "method", "median", "lower", "upper"], rows, title=title, left=2))
    for (split, method), why in found.failures.items():
        out.print(f"{split}, {method}: {why}")
