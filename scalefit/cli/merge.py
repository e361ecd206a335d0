"""`scalefit merge`: one Parquet file of all that the shards of `scalefit fit-many` have computed."""

from pathlib import Path
from typing import Annotated

import typer

from scalefit import _interrupt
from scalefit.cli._app import app
from scalefit.cli._files import check_target
from scalefit.cli._options import Json
from scalefit.cli._show import console, print_json, say


@app.command()
def merge(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="A folder that `scalefit fit-many` filled.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="The Parquet file; OUT/summary.parquet by default."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write one Parquet file with a row a fit.

    A row has medians, 50 and 90 % intervals, health, Pareto k and ESS, or why there is no fit. Draws stay where they
    are. The exit status is 1 where no table has a fit.
    """
    import pandas as pd

    import scalefit as sf
    from scalefit.text.commands import failures_sentence, merged_sentence

    check_target(output)
    path = sf.merge(folder, output)
    _interrupt.written.append(path)
    rows = pd.read_parquet(path, columns=["name", "verdict", "failure"])
    failed = rows[rows["failure"].notna()]
    verdicts = {verdict: int((rows["verdict"] == verdict).sum()) for verdict in ("ok", "review", "fail")}
    failures = dict(zip(failed["name"].fillna("?"), failed["failure"], strict=True))
    if as_json:
        why = [{"name": name, "why": sentence} for name, sentence in failures.items()]
        print_json({"file": str(path), "tables": len(rows), "verdicts": verdicts, "failures": why})
    else:
        say(console(), " ".join([merged_sentence(path, len(rows), verdicts, len(failed)), failures_sentence(failures)]))
    if len(rows) and len(failed) == len(rows):
        raise typer.Exit(1)
