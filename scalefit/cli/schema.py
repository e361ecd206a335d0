"""`scalefit schema`: the JSON schema of what a command prints with --json, and of the file of a forecast."""

from importlib.resources import files
from typing import Annotated

import typer

from scalefit.cli._app import app

FOLDER = files("scalefit.cli") / "schemas"
OF_FILES = {"forecast": files("scalefit") / "validation" / "forecast.schema.json"}


def names() -> list[str]:
    """The commands and files that have a schema, words joined by hyphens: "plan", "compare-runs", "forecast"."""
    commands = [file.name.removesuffix(".json") for file in FOLDER.iterdir() if file.name.endswith(".json")]
    return sorted([*commands, *OF_FILES])


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
    """JSON schema of a command's document or a forecast."""
    from scalefit._registry import lookup

    if not command:
        print("\n".join(names()))
        return
    known = {name: OF_FILES.get(name, FOLDER / f"{name}.json") for name in names()}
    print(lookup("-".join(command), known, "schema", loose=True).read_text(encoding="utf-8"), end="")
