"""The pages of docs/: what is in them exists. A build executes them; here they are read, which takes a second."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from documentation import (
    PAGES,
    ROOT,
    bind,
    blocks,
    broken_links,
    calls,
    command_lines,
    commands,
    inline,
    public,
    unknown_options,
)

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


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_names_and_options_in_the_prose_of_a_page_exist(path):
    code = "\n".join(inline(path.read_text()))
    for found in re.findall(r"\bsf\.(\w[\w.]*\w)", code):
        assert public(found) is not None
    options = set(re.findall(r"^--[a-z][a-z-]*", code, flags=re.MULTILINE))
    assert options <= {"--gres", "--array"}.union(*commands().values())  # two are Slurm's


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_between_pages_lead_somewhere(path):
    assert not broken_links(path.read_text(), path.parent)


def test_a_broken_link_is_seen(tmp_path):
    (tmp_path / "page.md").write_text("## What it costs\n")
    assert broken_links("[a](page.md) [b](page.md#what-it-costs) [c](https://jax.dev)", tmp_path) == []
    assert broken_links("[a](pages.md) [b](page.md#costs)", tmp_path) == ["pages.md", "page.md#costs"]


def test_every_page_is_in_the_table_of_contents_once():
    """A page that no contents list has is an error of the build, as is an entry without a page."""
    listed = []
    for page in PAGES:
        for entries in re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE):
            names = [line for line in entries.split("\n") if line and not line.startswith(":")]
            listed += [os.path.relpath(page.parent / each, ROOT / "docs") for each in names]
    assert len(listed) == len(set(listed))
    assert set(listed) == {re.sub(r"\.md$", "", name(path)) for path in PAGES} - {"index"} | {"reference/api"}


def test_the_page_on_health_names_every_check():
    named = inline((ROOT / "docs" / "how-to" / "sweep_health.md").read_text())
    sources = [path for path in (ROOT / "scalefit").rglob("*.py") if path.parent.name not in ("recipes", "planning")]
    made = {re.sub(r" ?\{.*?\} ?", "", each) for path in sources
            for each in re.findall(r'\bCheck\(\s*f?"([^"]+)"', path.read_text())}  # fmt: skip
    assert len(made) > 20
    assert made - {*named, "engine"} == set()  # which engine gave the draws is reported, and always ok


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


def test_the_reference_lists_every_public_name_once():
    page = (ROOT / "docs" / "reference" / "api.rst").read_text()
    names = re.findall(r"^   ([\w.]+)$", page, flags=re.MULTILINE)
    listed = set(names)
    assert len(names) == len(listed)
    assert all(public(each) is not None for each in names)
    exported = set(re.findall(r" as (\w+)$", (ROOT / "scalefit" / "__init__.pyi").read_text(), flags=re.MULTILINE))
    modules = {each.split(".")[0] for each in listed if "." in each}
    assert exported - listed - modules == set()


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
    for page in PAGES:  # every picture that a cell draws is there
        made = (site / page.relative_to(ROOT / "docs").with_suffix(".html")).read_text()
        for alt in re.findall(r'"alt": "([^"]+)"', page.read_text()):
            assert f'alt="{alt}"' in made, name(page)
