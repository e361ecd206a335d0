"""`scalefit score`: registered forecasts against the losses of the runs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from scalefit.cli import _options as options
from scalefit.cli._app import app
from scalefit.cli._files import read, say_notes
from scalefit.cli._show import console, print_json, say
from scalefit.errors import OptionError


@app.command()
def score(
    forecast: Annotated[Path, typer.Argument(metavar="FORECAST", help="A file of `scalefit register`, or a folder.")],
    loss: Annotated[
        str | None, typer.Option(metavar="L", help="The loss, or a list 1.94,2.01 in the order of the runs.")
    ] = None,
    outcomes: Annotated[
        str | None, typer.Option(metavar="TABLE", help="Instead: a table of the runs with their inputs and losses.")
    ] = None,
    loss_unit: options.LossUnit = None,
    digest: Annotated[
        str | None, typer.Option(metavar="SHA256", help="The published digest; a file with another is an error.")
    ] = None,
    prob: options.Prob = 0.9,
    as_json: options.Json = False,
) -> None:
    """Score registered forecasts by the losses of their runs.

    Over a folder, how often intervals contained the losses.
    """
    import scalefit as sf
    from scalefit._tables import json_ready
    from scalefit.text.forecasts import score_paragraph
    from scalefit.units import parse_quantity

    if (loss is None) == (outcomes is None):
        raise OptionError("score needs the losses. Give --loss or --outcomes.")
    if loss is not None:
        if loss_unit:
            raise OptionError("--loss is in the unit of the forecast. Leave --loss-unit out.")
        asked: Any = [parse_quantity(text) for text in loss.split(",")]
    else:
        asked = read(str(outcomes), unit=loss_unit)
        say_notes(asked, as_json)
    found = sf.score(forecast, asked, digest=digest)
    words = score_paragraph(found, prob)
    if as_json:
        columns = {name: values.tolist() for name, values in found.records.items()}
        records = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        document = {"prob": prob, "words": words, "digests": found.digests, "open": found.open}
        print_json({**document, "summary": json_ready(found.summary()), "records": records})
    else:
        out = console()
        say(out, f"{words}\n")
        out.print(repr(found).split("\n\n", 1)[1])
