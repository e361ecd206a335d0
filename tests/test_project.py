"""What a newcomer reads is what is run."""

import ast
import os
import re
import tomllib

import pytest
from documentation import ROOT, bind, blocks, calls, command_lines, commands, unknown_options

import scalefit
import scalefit as sf
from scalefit.text.plans import plan_paragraph

README = (ROOT / "README.md").read_text()


def test_ci_runs_the_readmes_test_command():
    tests = [command for command in blocks(README, "sh", "bash") if "pytest" in command]
    assert tests
    assert tests[0] in (ROOT / ".ci" / "run").read_text()


def test_one_version_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == scalefit.__version__
    assert f"version: {scalefit.__version__}" in (ROOT / "CITATION.cff").read_text()
    assert f"## {scalefit.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_no_lock_files():
    assert not [path for path in ROOT.glob("*lock*") if path.is_file()]


def test_every_command_in_the_readme_exists_with_its_options():
    lines = [*command_lines(README), *re.findall(r"`(scalefit [^`]*)`", README)]
    assert len(lines) > 10
    for line in lines:
        assert not unknown_options(line), line


def test_every_option_that_the_readme_names_exists():
    known = set().union(*commands().values())
    named = set(re.findall(r"`(--[a-z-]+)", README))
    assert "--law-only" in named
    assert not named - known


def test_every_function_that_the_readme_names_exists():
    named = re.findall(r"`sf\.([\w.]+)`", README)
    assert len(named) >= 10
    for name in named:
        assert callable(getattr(scalefit, name))


def test_the_readmes_links_lead_somewhere():
    linked = [path for path in re.findall(r"\]\(([^)#]+)", README) if "://" not in path]
    assert len(linked) > 10
    assert not [path for path in linked if not (ROOT / path).exists()]


@pytest.mark.parametrize("call", [call for code in blocks(README, "python") for call in calls(code)], ids=ast.unparse)
def test_calls_in_the_readme_fit_the_functions(call):
    bind(call)


def test_the_python_of_the_readme_runs(law_fit, monkeypatch, tmp_path, capsys):
    """Its fit is the one that all tests share, by the law alone, which compiles sooner."""
    (code,) = blocks(README, "python")
    monkeypatch.setattr(sf, "fit", lambda runs: law_fit)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert "health: ok" in capsys.readouterr().out
    assert sorted(os.listdir()) == ["fit.nc", "report.html"]


def test_the_commands_of_the_readme_run(law_fit, run, monkeypatch, tmp_path):
    """The first, a fit, writes the one that all tests share."""
    fit, *others = [line.split() for line in command_lines(README)]
    assert fit == ["scalefit", "fit", "chinchilla", "-o", "chinchilla.nc"]
    monkeypatch.chdir(tmp_path)
    law_fit.save("chinchilla.nc")
    for _, *arguments in others:
        code, out, err = run(*arguments)
        assert code == 0, err
        assert "Train " in out
    assert others


def test_the_readmes_answer_is_that_of_the_shipped_table(chinchilla_fit):
    """The same words; figures to a twentieth, because digits differ between versions of JAX."""
    figure = re.compile(r"\d[\d.]*(?:e\d+)?[MBT%]?")
    answer = " ".join(README.split()).split(" extrapolation. [...] ")[1].split(" ```")[0]
    made = " ".join(plan_paragraph(sf.plan(chinchilla_fit, 5.76e23), 0.9).split())
    assert figure.sub("#", answer) == figure.sub("#", made)
    quoted, found = (
        [sf.units.parse_quantity(each.rstrip("%.")) for each in figure.findall(words)] for words in (answer, made)
    )
    assert quoted == pytest.approx(found, rel=0.05)
