"""`scalefit backtest`: train on the smaller runs, predict the larger ones, and score the predictions."""

from typing import Annotated, Any

import typer

from scalefit.cli import _options as options
from scalefit.cli._app import app
from scalefit.cli._files import check_picture, read, save_picture, say_notes
from scalefit.cli._show import console, number, print_grid, print_json, say


@app.command()
def backtest(
    runs: options.RunsArgument,
    above: Annotated[
        str, typer.Option(metavar="C", help="Train up to this compute, FLOP, and predict the larger runs; or a list.")
    ],
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
    seed: options.Seed = 0,
    plot: options.Plot = None,
    as_json: options.Json = False,
) -> None:
    """Predict larger runs from smaller ones, and score it.

    Shows how often nominal intervals contained them, for the posterior and for point estimates.
    """
    import scalefit as sf
    from scalefit import plots
    from scalefit._tables import json_ready
    from scalefit.text.validation import coverage_sentence
    from scalefit.units import parse_budgets

    check_picture(plot, runs)
    columns: dict[str, Any] = {"params": params, "tokens": tokens, "flops": flops, "loss": loss, "unit": loss_unit}
    columns |= {"bytes_per_token": bytes_per_token, "cluster": cluster}
    table = read(runs, outliers, format=format, history=history, keep_unfinished=keep_unfinished, **columns)
    say_notes(table, as_json)
    cuts = sf.above_compute(parse_budgets(above))
    found = sf.backtest(table, holdout=cuts, seed=seed, progress=False if as_json else None)
    if plot:
        save_picture(plots.coverage(found), plot)
    if as_json:
        tables = {"summary": found.summary(), "by_distance": found.by_distance(), "drift": found.drift_summary()}
        failures = [{"split": split, "method": name, "why": why} for (split, name), why in found.failures.items()]
        documents = {name: json_ready(value) for name, value in tables.items()}
        print_json({"words": coverage_sentence(found), **documents, "target": found.target, "failures": failures})
    else:
        _print(found)


def _print(found: Any) -> None:
    from scalefit.text.validation import coverage_sentence
    from scalefit.units import format_count, format_flops

    out, table = console(), found.summary()
    say(out, f"{coverage_sentence(found)}\n")
    names = ["bias", "mae", "crps", "log_score", "cover_50", "cover_90", "cover_without_noise_90"]
    rows = [
        [method, f"{row['runs']:.0f}"]
        + [number(row[name], f"{{:.2g}} ± {row[f'{name}_se']:.1g}".format) for name in names]
        for method, row in table.iterrows()
    ]
    header = ["method", "runs", *(name.replace("_", " ") for name in names)]
    print_grid(out, header, rows, "ln loss of held-out runs; mean ± standard error by budget")
    drift = found.drift_summary()
    rows = [
        [*map(str, key), *(number(value, format_count) for value in row)]
        for key, row in zip(drift.index, drift.to_numpy(), strict=True)
    ]
    title = f"N_opt at {format_flops(found.target)} FLOP as the cut rises"
    print_grid(out, ["split", "method", "median", "lower", "upper"], rows, title, left=2)
    for (split, method), why in found.failures.items():
        say(out, f"{split}, {method}: {why}")
