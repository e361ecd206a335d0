"""What a newcomer reads is what is run."""

import ast
import inspect
import re
import tomllib
from functools import reduce
from pathlib import Path

import pytest
import typer

import scalefit
from scalefit.cli._app import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(*kinds):
    """The code in the README."""
    found = re.findall(r"^```(\w*)\n(.*?)\n```$", README, flags=re.DOTALL | re.MULTILINE)
    return [code for kind, code in found if kind in kinds]


def test_ci_runs_the_readmes_test_command():
    tests = [command for command in blocks("sh", "bash") if "pytest" in command]
    assert tests
    assert tests[0] in (ROOT / ".ci" / "run").read_text()


def test_one_version_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == scalefit.__version__
    assert f"version: {scalefit.__version__}" in (ROOT / "CITATION.cff").read_text()
    assert f"## {scalefit.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_no_lock_files():
    assert not [path for path in ROOT.glob("*lock*") if path.is_file()]


def commands():
    """name -> the options of every command."""
    found = {}
    for name, command in typer.main.get_command(app).commands.items():
        inner = getattr(command, "commands", None) or {"": command}
        for second, each in inner.items():
            found[f"{name} {second}".strip()] = {option for p in each.params for option in p.opts} | {"--help"}
    return found


SYNOPSIS = [line for block in blocks("") for line in block.splitlines() if line.startswith("scalefit ")]


def test_the_readme_lists_every_command():
    known = commands()
    firsts = {name.split()[0] for name in known}
    listed = {word for line in SYNOPSIS for word in re.split(r"[ |]+", line.split("   ")[0])[1:] if word in firsts}
    assert listed == firsts


@pytest.mark.parametrize("line", SYNOPSIS)
def test_commands_have_the_options_that_the_readme_gives_them(line):
    known = commands()
    words = line.split("   ")[0].split()
    names = [name for name in known if name.split()[0] == words[1]]
    assert names
    for option in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", line):
        assert any(option in known[name] for name in names)


def test_every_option_that_the_readme_names_exists():
    known = set().union(*commands().values()) | {"--version"}
    named = {
        option for line in README.splitlines() if "pip " not in line for option in re.findall(r"`(--[a-z-]+)", line)
    }
    assert {"--json", "--law-only"} <= named
    assert not named - known


CALLS = [
    node
    for block in blocks("python")
    for node in ast.walk(ast.parse(block))
    if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[0] in ("sf", "fit")
]


@pytest.mark.parametrize("call", CALLS, ids=ast.unparse)
def test_calls_in_the_readme_fit_the_functions(call):
    first, *rest = ast.unparse(call.func).split(".")
    if "(" in ".".join(rest):
        return  # a method of a result: its own call is another of these
    function = reduce(getattr, rest, scalefit if first == "sf" else scalefit.Fit)
    given = [None] * (len(call.args) + (first == "fit"))
    inspect.signature(function).bind(*given, **{keyword.arg: None for keyword in call.keywords})
