"""`scalefit schema`: the JSON schema of what a command prints with --json."""

from importlib.resources import files
from typing import Annotated

import typer

from scalefit.cli._app import app

FOLDER = files("scalefit.cli") / "schemas"


def names() -> list[str]:
    """The commands that have a schema, words joined by hyphens: "plan", "compare-runs"."""
    return sorted(file.name.removesuffix(".json") for file in FOLDER.iterdir() if file.name.endswith(".json"))


def _completions(incomplete: str) -> list[str]:
    return [name for name in names() if name.startswith(incomplete)]


@app.command()
def schema(
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME", help="As in plan, or compare runs; all are listed by default.", autocompletion=_completions
        ),
    ] = None,
) -> None:
    """The JSON schema of a command's --json document."""
    from scalefit._registry import lookup

    if not command:
        print("\n".join(names()))
        return
    known = {name: FOLDER / f"{name}.json" for name in names()}
    print(lookup("-".join(command), known, "schema", loose=True).read_text(encoding="utf-8"), end="")
