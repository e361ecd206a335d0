"""What the peers share: the table, units, a stopwatch, and the one JSON document that each run prints.

Imports nothing but numpy, so that it works in every peer's environment. A peer's script holds `METHODS`, a dict of
name -> `Method`, and ends in `main(__file__, METHODS, packages)`:

    python peer_NAME.py --list                        the methods and what they are
    python peer_NAME.py CSV FOLDER --method METHOD    runs one, prints one JSON document, leaves draws in FOLDER
"""

import argparse
import csv
import json
import math
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import numpy as np

BUDGET = 5.76e23  # FLOP: that of Gopher, and of the compute-optimal model that Hoffmann et al. 2022 trained
DELTA = 1e-3  # of Huber's loss on ln loss: Hoffmann et al. 2022, Approach 3
LAW = ("E", "A", "B", "alpha", "beta")
# Besiroglu et al. 2024 (arXiv 2404.10102), refit: where local searches start.
PUBLISHED = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
Draws = dict[str, np.ndarray]
T = TypeVar("T")


class Stopwatch:
    """CPU seconds (user and system, with all child processes) and wall seconds since the process began or last lap."""

    def __init__(self) -> None:
        self.cpu, self.wall = 0.0, time.perf_counter()

    def lap(self) -> dict[str, float]:
        """Seconds since the last lap."""
        cpu, wall = _cpu_seconds(), time.perf_counter()
        spent = {"cpu": cpu - self.cpu, "wall": wall - self.wall}
        self.cpu, self.wall = cpu, wall
        return spent


@dataclass
class Task:
    """The table in natural logarithms, (run,): params, tokens, loss in nats; and what a method may ask of its run."""

    params: np.ndarray
    tokens: np.ndarray
    loss: np.ndarray
    resamples: int = 0
    clock: Stopwatch = field(default_factory=Stopwatch)
    seconds: dict[str, dict[str, float]] = field(default_factory=dict)

    def done(self, stage: str) -> None:
        """Book the time since the last call on a stage: "setup" (imports, compilation) or "run"."""
        self.seconds[stage] = self.clock.lap()

    def twice(self, fit: Callable[[int], T]) -> T:
        """Call `fit` with seeds 0 and 1; the second is the run, what the first took beyond it is compilation."""
        loading, _ = self.clock.lap(), fit(0)
        first, found = self.clock.lap(), fit(1)
        self.seconds["first"], self.seconds["run"] = first, self.clock.lap()
        self.seconds["setup"] = {k: loading[k] + first[k] - self.seconds["run"][k] for k in first}
        return found

    def centred(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """ln params, ln tokens and ln loss less their means: units in which priors need no unit."""
        return tuple(values - values.mean() for values in (self.params, self.tokens, self.loss))

    def to_raw(self, draws: Draws) -> Draws:
        """From `centred` coordinates to raw ones: A = a L0 N0^alpha, with N0, D0, L0 the geometric means."""
        level, n0, d0 = np.exp(self.loss.mean()), self.params.mean(), self.tokens.mean()
        a, b = np.exp(draws["alpha"] * n0), np.exp(draws["beta"] * d0)
        return {**draws, "E": draws["E"] * level, "A": draws["A"] * level * a, "B": draws["B"] * level * b}

    def objective(self, theta: Draws) -> float:
        """Sum over runs of Huber's loss (delta 1e-3) of ln law less ln loss: the objective of Approach 3."""
        terms = theta["A"] * np.exp(-theta["alpha"] * self.params), theta["B"] * np.exp(-theta["beta"] * self.tokens)
        size = np.abs(np.log(theta["E"] + terms[0] + terms[1]) - self.loss)
        return float(np.where(size <= DELTA, size**2 / 2, DELTA * (size - DELTA / 2)).sum())


@dataclass
class Outcome:
    """What a method found: raw estimates or draws by name; (chain, draw) of a posterior, (resample,) of a bootstrap.

    ess : effective sample size where the peer has its own estimate; objectives : of every resample; notes : in words.
    """

    draws: Draws
    ess: float | None = None
    objectives: np.ndarray | None = None
    notes: str = ""


@dataclass(frozen=True)
class Method:
    """One way to fit: kind is "posterior", "point" or "bootstrap"; words say the model, the objective, the options."""

    kind: str
    words: str
    run: Callable[[Task], Outcome]


def read_task(path: str, resamples: int = 0) -> Task:
    """The runs of a CSV file that are not marked as outliers."""
    with open(path, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["outlier"] == "0"]
    columns = (np.log([float(row[name]) for row in rows]) for name in ("params", "tokens", "loss"))
    return Task(*columns, resamples=resamples)


def with_derived(draws: Draws) -> Draws:
    """Draws with a (N_opt ~ C^a) and ln N_opt at `BUDGET`: Hoffmann et al. 2022, equation 4, with C = 6 N D."""
    total = draws["alpha"] + draws["beta"]
    a = draws["beta"] / total
    balance = np.log(draws["alpha"] * draws["A"]) - np.log(draws["beta"] * draws["B"])
    return {**draws, "a": a, "ln N_opt": balance / total + a * math.log(BUDGET / 6)}


def main(script: str, methods: dict[str, Method], packages: tuple[str, ...]) -> None:
    """The command line of a peer's script."""
    task_of = argparse.ArgumentParser(prog=Path(script).name)
    task_of.add_argument("csv", nargs="?")
    task_of.add_argument("folder", nargs="?", type=Path)
    task_of.add_argument("--method", choices=methods)
    task_of.add_argument("--resamples", type=int, default=4000)
    task_of.add_argument("--list", action="store_true")
    options = task_of.parse_args()
    if options.list:
        print(json.dumps({name: [method.kind, method.words] for name, method in methods.items()}))
    else:
        print(json.dumps(_document(script, methods[options.method], options, packages)))


def _document(script: str, method: Method, options: argparse.Namespace, packages: tuple[str, ...]) -> dict:
    """Run the method with its chatter on standard error, and say what came of it."""
    task = read_task(options.csv, options.resamples)
    with redirect_stdout(sys.stderr):
        outcome = method.run(task)
    draws = with_derived({name: np.asarray(values, dtype=float) for name, values in outcome.draws.items()})
    saved = options.folder / f"{Path(script).stem}-{options.method}.npz"
    extra = {} if outcome.objectives is None else {"objectives": outcome.objectives}
    np.savez(saved, **draws, **extra)
    estimates = {name: float(np.median(draws[name])) for name in (*LAW, "a", "ln N_opt")}
    return {
        "peer": Path(script).stem.removeprefix("peer_"),
        "method": options.method,
        "kind": method.kind,
        "words": method.words,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
        "estimates": estimates,
        "objective": task.objective(estimates) if method.kind == "point" else None,
        "ess": outcome.ess,
        "resamples": options.resamples if method.kind == "bootstrap" else None,
        "notes": outcome.notes,
        "seconds": task.seconds,
        "draws": saved.name,
    }


def _cpu_seconds() -> float:
    """User and system seconds of this process, of its finished children and, on Linux, of those still at work."""
    finished = resource.getrusage(resource.RUSAGE_CHILDREN)
    living = sum(sum(_stat_ticks(pid)) for pid in _descendants(os.getpid()))
    # Not os.times(), which counts in hundredths of a second: the shortest of these runs take one.
    return time.process_time() + finished.ru_utime + finished.ru_stime + living / os.sysconf("SC_CLK_TCK")


def _stat_ticks(pid: int) -> list[int]:
    """utime, stime, cutime and cstime: fields 14 to 17 of /proc/PID/stat (proc(5))."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]]
    except OSError:  # it ended in between, and counts as finished
        return []


def _descendants(pid: int) -> Iterator[int]:
    """Living child processes, and theirs."""
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in file.read_text().split():
            yield int(child)
            yield from _descendants(int(child))
