"""What a newcomer reads is what is run."""

import re
import tomllib
from pathlib import Path

import scalefit

ROOT = Path(__file__).parents[1]


def test_ci_runs_the_readmes_test_command():
    commands = re.findall(r"```(?:sh|bash)\n(.+?)\n```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    tests = [command for command in commands if "pytest" in command]
    assert tests
    assert tests[0] in (ROOT / ".ci" / "run").read_text()


def test_one_version_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == scalefit.__version__
    assert f"version: {scalefit.__version__}" in (ROOT / "CITATION.cff").read_text()
    assert f"## {scalefit.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_no_lock_files():
    assert not [path for path in ROOT.glob("*lock*") if path.is_file()]
