"""How long `scalefit fit chinchilla` takes, the first time ever and after, and where the time goes.

    python benchmarks/startup.py        writes benchmarks/results/startup.md

Whole processes are timed from outside, wall and CPU; phases inside one process with a warm cache.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from machine import describe, write_table

FIT = [sys.executable, "-m", "scalefit", "fit", "chinchilla"]
PHASES = """
import time, os
start = clock = time.perf_counter()
def lap(name):
    global clock
    print(name, time.perf_counter() - clock, sep="\\t")
    clock = time.perf_counter()
import scalefit as sf
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
lap("import scalefit")
import jax, jax.numpy
lap("import jax")
import numpyro
lap("import numpyro")
runs = sf.datasets.load("chinchilla")
lap("import pandas, read the table")
fit = sf.fit(runs)
lap("load and run: posterior; diagnostics")
sf.fit(runs, seed=1)
fit_again = time.perf_counter() - clock
lap("(the same fit once more, all compiled)")
fit.summary(0.9, discrepancy=False), fit.frontier([fit.compute_range[1]], discrepancy=False)
lap("summary, frontier, law only")
fit.summary(0.9, [fit.compute_range[1], 5.76e23]), fit.frontier([5.76e23])
lap("load and run the posterior with discrepancy; summary, frontier")
"""


def once(command: list[str], cache: str) -> tuple[float, float]:
    """Wall and CPU seconds of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(command, env={**os.environ, "JAX_COMPILATION_CACHE_DIR": cache}, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure and write the table."""
    with tempfile.TemporaryDirectory() as cache:
        fit = Path(cache) / "fit.nc"
        plan = [*FIT[:-2], "plan", str(fit), "--budget", "5.76e23"]
        rows = []
        for words, command in (("fit chinchilla", FIT), ("plan FIT --budget 5.76e23", plan)):
            if command is plan:
                once([*FIT, "-o", str(fit)], cache)
            rows.append([f"`scalefit {words}`, first time ever", *once(command, cache)])
            later = [once(command, cache) for _ in range(5)]
            rows.append(["the same, warm cache, median of 5", *(median(values) for values in zip(*later, strict=True))])
        environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": cache}
        once([sys.executable, "-c", PHASES], cache)
        phases = subprocess.run(
            [sys.executable, "-c", PHASES], env=environment, check=True, capture_output=True, text=True
        )
    bare = [once([sys.executable, "-c", "import scalefit"], cache) for _ in range(5)]
    rows.append(["`import scalefit`, median of 5", *(median(values) for values in zip(*bare, strict=True))])
    laps = [line.split("\t") for line in phases.stdout.splitlines()]
    write_table(
        Path(__file__).parent / "results" / "startup.md",
        "Start-up",
        describe(),
        (["whole process", "wall s", "CPU s"], rows),
        (["phase, warm cache", "wall s"], [[name, float(seconds)] for name, seconds in laps]),
    )


if __name__ == "__main__":
    main()
