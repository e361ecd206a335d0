"""A newcomer's path, from `git clone` to the first answer and to the open page, in an empty environment.

    python benchmarks/newcomer.py python3.11 python3.13        writes benchmarks/results/newcomer.md

The commands are those of the README, in its order. Every Python starts with empty caches, of pip and of programs.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import describe, write_table

ROOT = Path(__file__).parents[1]
STEPS = (
    ("clone", "git clone -q {root} scalefit && cd scalefit"),
    ("install", "{python} -m venv .venv && .venv/bin/pip install -q '.[report]' && source .venv/bin/activate"),
    ("fit", "scalefit fit chinchilla -o chinchilla.nc"),
    ("plan: the first answer", "scalefit plan chinchilla.nc --budget 5.76e23"),
    ("report: the page", "scalefit report chinchilla.nc -o report.html"),
)


def timed(command: str, home: Path) -> tuple[float, float, str]:
    """Wall and CPU seconds of one command line, in the state that those before left, and what it printed."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "COLUMNS": "110"}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    environment |= {"PIP_CACHE_DIR": str(home / "pip")}
    state = "cd scalefit 2>/dev/null; source .venv/bin/activate 2>/dev/null; "
    start, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(["bash", "-c", state + command], cwd=home, env=environment, capture_output=True, text=True)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{command}\n{done.stdout}{done.stderr}")
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return time.perf_counter() - start, cpu, done.stdout


def path(python: str) -> tuple[str, list[list[object]]]:
    """The steps with one Python: its version, and a row a step with seconds since the start."""
    rows, wall, cpu = [], 0.0, 0.0
    with tempfile.TemporaryDirectory() as home:
        for count, (step, command) in enumerate(STEPS, start=1):
            seconds, used, printed = timed(command.format(root=ROOT, python=python), Path(home))
            wall, cpu = wall + seconds, cpu + used
            rows.append([step, count, seconds, used, wall, cpu])
            if "answer" in step and "Train " not in printed:
                raise SystemExit(f"no answer: {printed}")
        page = Path(home) / "scalefit" / "report.html"
        if page.stat().st_size < 1e6:
            raise SystemExit("no page")
    version = subprocess.run([python, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    return version, rows


def main() -> None:
    """Measure with every Python that is named, and write the table."""
    rows = [
        [version, *row]
        for python in sys.argv[1:] or [sys.executable]
        for version, found in [path(python)]
        for row in found
    ]
    header = ["Python", "step", "commands so far", "wall s", "CPU s", "wall s so far", "CPU s so far"]
    where = (
        f"{describe()}; load average {os.getloadavg()[2]:.1f}. Wall seconds are of a machine with that load; packages "
        "come from a mirror nearby."
    )
    write_table(ROOT / "benchmarks" / "results" / "newcomer.md", "A newcomer's path", where, (header, rows))


if __name__ == "__main__":
    main()
