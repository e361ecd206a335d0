"""`scalefit data`: the tables that come with scalefit, and where their figures are from."""

from typing import Annotated

import typer

from scalefit.cli._app import app
from scalefit.cli._options import Json
from scalefit.cli._show import console, print_json


@app.command()
def data(
    name: Annotated[str | None, typer.Argument(help="A shipped table; all of them by default.")] = None,
    as_json: Json = False,
) -> None:
    """The shipped tables and their sources."""
    from scalefit.io import datasets

    wanted = [entry for entry in datasets.CATALOGUE if name in (None, entry.name)]
    if not wanted:
        datasets.path(name or "")  # raises the sentence that lists the names
    if as_json:
        print_json([{**vars(entry), "path": str(datasets.path(entry.name))} for entry in wanted])
        return
    out = console()
    for entry in wanted:
        out.print(f"{entry.name}: {entry.about}\n  source   {entry.source}\n  licence  {entry.licence}")
        out.print(f"  file     {datasets.path(entry.name)}\n", soft_wrap=True)
