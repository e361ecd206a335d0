"""`scalefit report`: one HTML file with the answer, its figures and a live planner."""

from pathlib import Path
from typing import Annotated

import typer

from scalefit.cli._app import app
from scalefit.cli._decisions import end
from scalefit.cli._files import check_target, open_fit


@app.command()
def report(
    fits: Annotated[
        list[str],
        typer.Argument(metavar="FIT|RUNS...", help="Files of `scalefit fit RUNS -o FIT`, or tables to fit first."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where to write.")] = Path(
        "report.html"
    ),
    draws: Annotated[int, typer.Option(help="The most draws that the page computes on.")] = 1000,
    title: Annotated[str | None, typer.Option(help="Of the page.")] = None,
    redact: Annotated[bool, typer.Option("--redact", help="Leave out the runs and their names.")] = False,
    plotly: Annotated[
        str, typer.Option(metavar="inline|PATH", help="Where plotly.js is: in the file, or at an address.")
    ] = "inline",
) -> None:
    """One HTML file with the answer and a live planner.

    It opens offline, and computes on the posterior's draws. Several fits are compared, and the planner is the first's.
    """
    import scalefit as sf
    from scalefit import _interrupt
    from scalefit.text.commands import report_sentence

    for fit in fits:
        check_target(output, fit)
    opened = [open_fit(fit, quiet=False) for fit in fits]
    path = sf.report(opened, output, draws=draws, title=title, redact=redact, plotly=plotly)
    _interrupt.written.append(path)
    print(report_sentence(path, path.stat().st_size, opened[0].health))
    end(opened[0].health)
