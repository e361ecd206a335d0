"""`scalefit fit-many`: fit a law to each of many tables, or to one shard of them, into a folder that shards share."""

from pathlib import Path
from typing import Annotated, Any

import typer

from scalefit.cli import _choices
from scalefit.cli import _options as options
from scalefit.cli._app import app
from scalefit.cli._show import console, print_json, say


@app.command("fit-many")
def fit_many(
    tables: Annotated[
        str,
        typer.Argument(
            metavar="TABLES", help="A folder of tables, a pattern in quotes, or one table that --by splits."
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT", help="Folder of the results, shared by all shards.")
    ] = Path("fits"),
    shard: Annotated[
        str | None, typer.Option(metavar="K/N", help="Compute the K-th of N shards, K from 1 to N.")
    ] = None,
    by: Annotated[str | None, typer.Option(metavar="COL", help="Split one table by the values of this column.")] = None,
    draws: Annotated[
        bool, typer.Option("--draws", help="Keep the draws too; `scalefit.load(OUT)` opens them.")
    ] = False,
    no_health: Annotated[
        bool, typer.Option("--no-health", help="Leave health out, which takes 30 CPU-ms a fit.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="About 500 effective draws a fit, in a tenth of the time.")
    ] = False,
    law: options.LawName = "chinchilla",
    noise: Annotated[_choices.Noise, typer.Option(help="Noise on ln loss.")] = _choices.Noise.STUDENT_T,
    engine: Annotated[_choices.Engine, typer.Option(help="How to fit.")] = _choices.Engine.AUTO,
    budgets: Annotated[
        str | None, typer.Option(metavar="C", help="Also give the optimum here, FLOP: 5.76e23, or a list.")
    ] = None,
    law_only: options.LawOnly = False,
    params: options.Params = None,
    tokens: options.Tokens = None,
    flops: options.Flops = None,
    loss: options.Loss = None,
    loss_unit: options.LossUnit = None,
    bytes_per_token: options.BytesPerToken = None,
    cluster: options.Cluster = None,
    weight: options.Weight = None,
    sd: options.Sd = None,
    format: options.Format = None,
    history: options.History = None,
    keep_unfinished: options.KeepUnfinished = False,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Fit a law to each of many tables.

    With --shard K/N, fit the K-th of N parts, so that many processes fill one folder. The results do not depend on
    the number of shards. A call that was interrupted goes on where it stopped. A table that cannot be fitted is
    recorded with the reason. `scalefit merge OUT` then makes one file of all. The exit status is 1 where no table
    has a fit.
    """
    import warnings

    import scalefit as sf
    from scalefit.laws import find_law
    from scalefit.text.commands import failures_sentence, rows_sentence
    from scalefit.units import parse_budgets

    if quick and engine is not _choices.Engine.AUTO:
        raise sf.OptionError(f"--quick is of the engine auto, not of {engine.value}. Leave one of them out.")
    columns: dict[str, Any] = {"params": params, "tokens": tokens, "flops": flops, "loss": loss, "unit": loss_unit}
    columns |= {"bytes_per_token": bytes_per_token, "format": format, "history": history}
    columns |= {"cluster": cluster, "weight": weight, "sd": sd}
    given = {name: value for name, value in columns.items() if value}
    source = sf.tables_in(tables, by=by, keep_unfinished=keep_unfinished, **given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sf.DataWarning)  # each table's is among its health checks
        found = sf.fit_many(
            source,
            sf.Model(find_law(law), noise.value),
            engine=sf.Auto(first=sf.AIS(draws=125, block=400, rounds=3)) if quick else engine.value,
            seed=seed,
            folder=output,
            shard=shard,
            keep_draws=draws,
            budgets=parse_budgets(budgets) if budgets else None,
            discrepancy=False if law_only else None,
            health=not no_health,
            progress=False if as_json else None,
        )
    names, count = list(source), len(found.indices)
    failures = {names[index]: why for index, why in found.failures.items()}
    if as_json:
        failed = [{"name": name, "why": why} for name, why in failures.items()]
        print_json({"folder": str(output), "shard": shard, "tables": count, "failures": failed})
    else:
        say(console(), " ".join(filter(None, [found.headline(), failures_sentence(failures), rows_sentence(output)])))
    if count and len(failures) == count:
        raise typer.Exit(1)
