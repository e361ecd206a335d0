"""The pages of docs/: what is in them exists. A build executes them; here they are read, which takes a second."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from documentation import PAGES, ROOT, bind, blocks, calls, command_lines, unknown_options

CELLS = {path: [code for code in blocks(path.read_text(), "{code-cell}") if code[0] != "%"] for path in PAGES}
WRITTEN = [path for path in PAGES if path.name != "index.md"]


def name(path):
    return str(path.relative_to(ROOT / "docs")) if isinstance(path, Path) else None


@pytest.mark.parametrize("path", WRITTEN, ids=name)
def test_a_page_opens_with_its_question_and_ends_with_what_can_go_wrong(path):
    body = re.sub(r"\A---\n.*?\n---\n", "", path.read_text(), flags=re.DOTALL)
    opening = body.split("\n## ")[0]
    assert "?" in opening
    assert re.findall(r"^## (.*)", body, flags=re.MULTILINE)[-1] == "What can go wrong"


@pytest.mark.parametrize("path", [path for path, cells in CELLS.items() if cells], ids=name)
def test_calls_in_a_page_fit_the_functions(path):
    found = [call for code in CELLS[path] for call in calls(code)]
    assert found
    for call in found:
        bind(call)


@pytest.mark.parametrize("path", [path for path in PAGES if command_lines(path.read_text())], ids=name)
def test_commands_in_a_page_have_their_options(path):
    for line in command_lines(path.read_text()):
        assert not unknown_options(line), line


def test_a_wrong_call_and_a_wrong_option_are_seen():
    assert unknown_options("scalefit plan fit.nc --bugdet 1e22") == ["--bugdet"]
    assert unknown_options("scalefit plann fit.nc") == ["plann"]
    with pytest.raises(TypeError):
        bind(calls("sf.report(fit, file='a.html')")[0])


def test_code_that_no_build_executes_is_for_machines_that_are_not_here():
    """Python in plain blocks does not run: only recipes for clusters have it, and it parses."""
    plain = {path.name: blocks(path.read_text(), "python") for path in PAGES}
    assert {page for page, code in plain.items() if code} <= {"clusters.md"}
    for code in plain["clusters.md"]:
        ast.parse(code)


def test_the_reference_lists_every_public_name():
    page = (ROOT / "docs" / "reference" / "api.rst").read_text()
    listed = set(re.findall(r"^   ([\w.]+)$", page, flags=re.MULTILINE))
    public = set(re.findall(r" as (\w+)$", (ROOT / "scalefit" / "__init__.pyi").read_text(), flags=re.MULTILINE))
    modules = {each.split(".")[0] for each in listed if "." in each}
    assert public - listed - modules == set()


@pytest.mark.slow
def test_the_site_builds_offline(tmp_path):
    pytest.importorskip("myst_nb", reason="pip install -e '.[docs]'")
    environment = {key: value for key, value in os.environ.items() if key != "SCALEFIT_DOCS_ONLINE"}
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "docs", str(tmp_path / "site")]
    made = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[-4000:]
    site = tmp_path / "site"
    assert "planner" in (site / "tutorial" / "report.html").read_text()
    assert "five_minutes" in (site / "llms.txt").read_text()
