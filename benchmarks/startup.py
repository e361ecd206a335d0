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

COMMAND = [sys.executable, "-m", "scalefit.cli", "fit", "chinchilla", "--budget", "5.76e23"]
PHASES = """
import time, os
start = clock = time.perf_counter()
def lap(name):
    global clock
    print(name, time.perf_counter() - clock, sep="\\t")
    clock = time.perf_counter()
import scalefit as sf
from scalefit.cli import _app
_app.use_compilation_cache()
lap("import scalefit")
import jax, jax.numpy
lap("import jax")
import numpyro
lap("import numpyro")
import blackjax.diagnostics
lap("import blackjax (Pareto smoothing)")
runs = sf.datasets.load("chinchilla")
lap("import pandas, read the table")
from scalefit._numerics import precision
from scalefit.infer._mode import laplace
with precision():
    bound = sf.Model().bind(runs)
    jax.block_until_ready(laplace(bound.model, bound.data))
lap("trace, load and run: posterior mode")
fit = sf.fit(runs)
lap("trace, load and run: importance sampling; diagnostics")
sf.fit(runs, seed=1)
fit_again = time.perf_counter() - clock
lap("(the same fit once more, all compiled)")
fit.summary(0.9, [fit.compute_range[1], 5.76e23]), fit.frontier([fit.compute_range[1], 5.76e23])
lap("summary, frontier")
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
        first = once(COMMAND, cache)
        later = [once(COMMAND, cache) for _ in range(5)]
        environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": cache}
        once([sys.executable, "-c", PHASES], cache)
        phases = subprocess.run(
            [sys.executable, "-c", PHASES], env=environment, check=True, capture_output=True, text=True
        )
    bare = [once([sys.executable, "-c", "import scalefit"], cache) for _ in range(5)]
    rows = [
        ["`scalefit fit chinchilla`, first time ever", *first],
        ["the same, warm cache, median of 5", *(median(values) for values in zip(*later, strict=True))],
        ["`import scalefit`, median of 5", *(median(values) for values in zip(*bare, strict=True))],
    ]
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
