"""What is built and shipped: wheel and sdist in a clean environment, and the tables as they are."""

import hashlib
import os
import subprocess
import sys
import tarfile
import venv
import zipfile

import pytest
from documentation import ROOT


def test_the_tables_are_those_of_their_checksums():
    lines = [line.split() for line in (ROOT / "data" / "SHA256SUMS").read_text().splitlines()]
    assert {name for _, name in lines} == {path.name for path in (ROOT / "data").glob("*.csv")}
    for digest, name in lines:
        assert hashlib.sha256((ROOT / "data" / name).read_bytes()).hexdigest() == digest


@pytest.mark.slow
def test_wheel_and_sdist_work_in_a_clean_environment(tmp_path):
    """Both hold tables, schemas, page and evidence, and the wheel fits a table where nothing else is."""
    pip = [sys.executable, "-m", "pip", "-q", "wheel", "--no-deps", "-w"]
    subprocess.run([*pip, str(tmp_path), str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("scalefit-*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
    assert {"scalefit/data/chinchilla.csv", "scalefit/cli/schemas/plan.json", "scalefit/py.typed"} <= names
    assert "scalefit/model/learned_evidence.json" in names
    assert any(name.startswith("scalefit/reports/page/") and name.endswith(".js") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "docs/"))]

    code = "import hatchling.build, os, sys; os.chdir(sys.argv[1]); print(hatchling.build.build_sdist(sys.argv[2]))"
    tools = tmp_path / "tools"
    venv.create(tools, with_pip=True)
    subprocess.run([tools / "bin" / "pip", "-q", "install", "hatchling"], check=True)
    subprocess.run([tools / "bin" / "python", "-c", code, str(ROOT), str(tmp_path)], check=True)
    (sdist,) = tmp_path.glob("scalefit-*.tar.gz")
    with tarfile.open(sdist) as opened:
        inside = {name.split("/", 1)[-1] for name in opened.getnames()}
    assert {"pyproject.toml", "data/SHA256SUMS", "docs/conf.py", "tests/test_package.py", "LICENSE"} <= inside
    assert not [name for name in inside if "_cache/" in name or name.endswith((".nc", "report.html"))]

    clean = tmp_path / "clean"
    venv.create(clean, with_pip=True)
    subprocess.run([clean / "bin" / "pip", "-q", "install", f"{wheel}[report]"], check=True)
    scalefit = clean / "bin" / "scalefit"
    alone = {"cwd": tmp_path, "env": {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, "check": True}
    subprocess.run([scalefit, "fit", "chinchilla", "-o", "fit.nc"], **alone)
    subprocess.run([scalefit, "report", "fit.nc", "-o", "report.html"], **alone)
    assert (tmp_path / "report.html").stat().st_size > 1e6
