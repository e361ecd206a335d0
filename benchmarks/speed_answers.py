"""How fast the answers with discrepancy are, as a user gets them by default: parts of speed.py.

Every size of a table runs in a process of its own, whose peak memory stands beside its time.
"""

import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import scalefit as sf

Table = tuple[list[str], list[list[object]]]
LARGE = (5000, 100_000)
BUDGETS = np.geomspace(1e19, 1e26, 30)

IN_A_PROCESS = """
import json, sys
sys.path.insert(0, {folder!r})
from speed_answers import large_row
print(json.dumps(large_row({runs}, {discrepancy})))
"""


def answers() -> Table:
    """Posterior, frontier, plan and 100 tables with discrepancy."""
    from speed import seconds, simulated

    fit, tables = sf.fit(sf.datasets.load("chinchilla")), simulated(100)
    engine = sf.AIS(draws=105, block=210, rounds=2)

    def many() -> Any:
        fits = sf.fit_many(tables, engine=engine, progress=False)
        return [each.discrepancy_posterior.theta["alpha"] for _, each in fits.fitted()]

    def optima() -> Any:
        return sf.fit_many(tables, engine=engine, progress=False).summary(budgets=BUDGETS[:1])

    calls: dict[str, tuple[Callable[[], Any], int, int]] = {
        "posterior, 240 runs": (lambda: replace(fit).discrepancy_posterior.theta["alpha"], 9, 1),
        "frontier, 1,000 draws x 30 budgets": (lambda: fit.frontier(BUDGETS).loss, 9, 1),
        "plan": (lambda: sf.plan(fit, 5.76e23).draws["loss"], 9, 1),
        "law-only and joint posteriors, 100 tables": (many, 1, 100),
        "the same at once, with health and optima": (optima, 1, 100),
    }
    rows = []
    for name, (call, repeats, each) in calls.items():
        first, cpu, wall = seconds(call, repeats)
        rows.append([name, first, cpu / each, wall / each])
    return ["answer with discrepancy", "first call, wall s", "CPU s each", "wall s each"], rows


def large() -> Table:
    """Tables of many runs, law only and with discrepancy."""
    rows = []
    for runs in LARGE:
        for discrepancy in (False, True):
            code = IN_A_PROCESS.format(folder=str(Path(__file__).parent), runs=runs, discrepancy=discrepancy)
            out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
            rows.append(json.loads(out.splitlines()[-1]))
    header = ["runs", "posterior", "first fit, wall s", "CPU s", "second fit, wall s", "CPU s", "peak memory, MB",
              "alpha and its interval (.348 is true)"]  # fmt: skip
    return header, rows


def large_row(runs: int, discrepancy: bool) -> list[object]:
    """One size, measured in this process: a fit and a prediction at ten times the largest compute, twice."""
    from speed import TRUTH, _peak_memory

    rng = np.random.default_rng(0)
    x = {"params": 10 ** rng.uniform(8, 10, runs), "tokens": 10 ** rng.uniform(9, 11, runs)}
    table = sf.Runs({**x, "loss": sf.Model().simulate(TRUTH, x)})
    to_come = {"params": [3e10], "tokens": [3e11]}
    times = []
    for seed in (0, 1):
        start, began = time.perf_counter(), time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = sf.fit(table, seed=seed)
            fit.predict(to_come, discrepancy=discrepancy)
        times += [time.perf_counter() - start, time.process_time() - began]
    low, middle, high = np.quantile(fit.draws["alpha"], [0.05, 0.5, 0.95])
    words = "with discrepancy" if discrepancy else "law only"
    return [f"{runs:,}", words, *times, _peak_memory(), f"{middle:.4f} [{low:.4f}, {high:.4f}]"]
