"""The code that a newcomer reads: of the README and of the pages of docs/."""

import ast
import inspect
import re
from functools import reduce
from pathlib import Path

import typer

import scalefit
from scalefit.cli._app import app

ROOT = Path(__file__).parents[1]
IGNORED = {"_cache", "_build", "generated"}
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if not IGNORED & set(path.parts))


def blocks(text, *kinds):
    """The fenced code of some kinds, "" for none; `{code-cell}` is that of an executed page."""
    found = re.findall(r"^```([\w{}-]*)[^\n]*\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return [re.sub(r"^:\w+:.*\n", "", code, flags=re.MULTILINE) for kind, code in found if kind in kinds]


def commands():
    """name -> the options of every command."""
    found = {}
    for name, command in typer.main.get_command(app).commands.items():
        inner = getattr(command, "commands", None) or {"": command}
        for second, each in inner.items():
            found[f"{name} {second}".strip()] = {option for p in each.params for option in p.opts} | {"--help"}
    return found


def command_lines(text):
    """The command lines of scalefit in the shell code of a text, and in its executed shell cells."""
    shell = [*blocks(text, "sh", "bash"), *(code for code in blocks(text, "{code-cell}") if code.startswith("%%bash"))]
    joined = "\n".join(shell).replace("\\\n", " ")
    return re.findall(r"(?<![\w/.-])scalefit [a-z][^\n&;]*", joined)


def unknown_options(line):
    """The options of a command line that its command does not have; the command itself where there is none."""
    known, words = commands(), line.split()
    names = [name for name in (" ".join(words[1:3]), words[1]) if name in known]
    if not names:
        return words[1:2]
    return [
        option for option in re.findall(r"(?<=\s)--?[a-z][a-z-]*", line.split("#")[0]) if option not in known[names[0]]
    ]


def public(name):
    """What `sf.<name>` is; fields of a dataclass without a default are the annotations of their class."""
    found = scalefit
    for part in name.split("."):
        found = getattr(found, part) if hasattr(found, part) else found.__annotations__[part]
    return found


def anchors(text):
    """The anchors of a page's headings."""
    found = re.findall(r"^#{1,3} (.*)", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each).strip().lower().replace(" ", "-") for each in found}


def prose(text):
    """A page without its fenced code."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def inline(text):
    """The code inside the sentences of a page."""
    return re.findall(r"`([^`\n]+)`", prose(text))


def broken_links(text, folder):
    """The links of a page to files or headings that are not there; the built report is not judged."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(text)):
        file, _, anchor = link.partition("#")
        target = folder / file
        if "://" in link or target.name == "report.html":
            continue
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            broken.append(link)
    return broken


def calls(code):
    """The calls of `sf...` and `fit...` in Python code."""
    found = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call))
    return [node for node in found if ast.unparse(node.func).split(".")[0] in ("sf", "fit")]


def bind(call):
    """Raise where a call does not fit its function."""
    first, *rest = ast.unparse(call.func).split(".")
    if any(mark in ".".join(rest) for mark in "([") or (first == "fit" and len(rest) > 1):
        return  # a method of a result, whose own call is another of these, or of a field
    function = reduce(getattr, rest, scalefit if first == "sf" else scalefit.Fit)
    if not callable(function) or any(keyword.arg is None for keyword in call.keywords):
        return
    given = [None] * (len(call.args) + (first == "fit"))
    inspect.signature(function).bind(*given, **{keyword.arg: None for keyword in call.keywords})
