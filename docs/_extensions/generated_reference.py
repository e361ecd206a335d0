"""Reference pages that are written from the package itself: commands, JSON schemas, laws, tables."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from sphinx.application import Sphinx
from sphinx.config import Config

from scalefit.cli import schema
from scalefit.cli._app import ORDER, app
from scalefit.io.datasets import CATALOGUE
from scalefit.laws import Law, find_law


def _cell(text: Any) -> str:
    """Text that a table's cell can take."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "\\<").replace("$", "\\$").replace("*", "\\*")


def _code(text: Any) -> str:
    return f"`{str(text).replace('|', chr(92) + '|')}`"


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    marks = ["---"] * len(header)
    return [f"| {' | '.join(row)} |" for row in [header, marks, *rows]]


def _commands() -> Iterator[tuple[str, Any]]:
    """Name and command, groups dissolved, in the order of the help."""
    listed: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name in sorted(listed, key=ORDER.index):
        inner = getattr(listed[name], "commands", None)
        yield from ((f"{name} {each}", inner[each]) for each in inner) if inner else [(name, listed[name])]


def _rows(command: Any, context: Any) -> list[list[str]]:
    """Name and meaning of every argument and option, as the help has them."""
    records = [param.get_help_record(context) for param in command.params]
    return [[_code(names), _cell(meaning)] for names, meaning in filter(None, records)]


def commands_page() -> list[str]:
    """Every command with its usage, arguments and options."""
    lines = []
    for name, command in _commands():
        context = command.make_context(f"scalefit {name}", [], resilient_parsing=True)
        usage = " ".join([f"scalefit {name}", *command.collect_usage_pieces(context)])
        lines += [f"## scalefit {name}", "", command.help or "", "", "```text", usage, "```", ""]
        anchor = "-".join(name.split())
        if anchor in schema.names():
            lines += [f"JSON: [schema](schemas.md#scalefit-{anchor}).", ""]
        lines += [*_table(["argument or option", "meaning"], _rows(command, context)), ""]
    return lines


def _json_type(part: dict[str, Any]) -> str:
    if "$ref" in part:
        return part["$ref"].rsplit("/", 1)[-1]
    if "anyOf" in part:
        return " or ".join(_json_type(each) for each in part["anyOf"])
    if "enum" in part:
        return ", ".join(_code(json.dumps(each)) for each in part["enum"])
    if part.get("type") == "array" and "items" in part:
        return f"array of {_json_type(part['items'])}"
    found = part.get("type", "any")
    return " or ".join(found) if isinstance(found, list) else found


def schemas_page() -> list[str]:
    """The properties of every command's JSON document."""
    lines = []
    for name in schema.names():
        document = json.loads(schema.OF_FILES.get(name, schema.FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        lines += [f"## {'the file of a ' if name in schema.OF_FILES else 'scalefit '}{name}", ""]
        part = document
        if document.get("type") == "array":
            lines += ["An array of objects.", ""]
            part = document["items"]
            part = document["$defs"][part["$ref"].rsplit("/", 1)[-1]] if "$ref" in part else part
        rows = [
            [_code(key), _cell(_json_type(value)), _cell(value.get("description", ""))]
            for key, value in part.get("properties", {}).items()
        ]
        lines += [*_table(["property", "type", "meaning"], rows), ""]
    return lines


def laws_page() -> list[str]:
    """Every law: its equation, parameters, priors and published constants."""
    lines = []
    for name in sorted(Law.registry):
        law = find_law(name)
        inputs = ", ".join(map(_code, law.inputs))
        lines += [f"## {name}", "", f"`{law.equation}`", "", f"Inputs: {inputs}.", ""]
        rows = [[_code(p.name), _code(p.prior), _cell(p.unit), _cell(p.meaning)] for p in law.params()]
        lines += [*_table(["parameter", "prior", "raw unit", "meaning"], rows), ""]
        for published in law.reference():
            values = ", ".join(f"{key} = {value:g}" for key, value in published.values)
            lines += [f"- {_cell(published.source)}: {values}"]
        lines += [""]
    return lines


def tables_page() -> list[str]:
    """Every shipped table."""
    rows = [[_code(each.name), _cell(each.about), _cell(each.source), _cell(each.licence)] for each in CATALOGUE]
    return [*_table(["table", "rows", "source", "licence"], rows), ""]


PAGES = {"cli": commands_page, "schemas": schemas_page, "laws": laws_page, "tables": tables_page}


def write(app: Sphinx, config: Config) -> None:
    """Write each as a file that a page of the reference includes."""
    folder = Path(app.srcdir) / "reference" / "generated"
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        text, path = "\n".join(page()), folder / f"{name}.inc"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Before the pages are looked for."""
    app.connect("config-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
