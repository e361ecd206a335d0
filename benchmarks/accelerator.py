"""Many posteriors on an accelerator beside the same machine's CPU: time, memory, float32 against float64.

    python benchmarks/accelerator.py [--limit 420] [--tables 100 10000 100000 1000000] [--folder benchmarks/results]

writes accelerator-DEVICE.md and .json for the device that JAX finds first, after every part, so that a stop loses
nothing. What would not end within the limit, by what came before, is left out and said. JAX_PLATFORMS=cpu in the
environment measures the CPU alone. Tables are those the law could have produced on the design of the 240 Chinchilla
runs; posteriors become 90 % intervals on the device, so that nothing but those, Pareto k and the ESS leaves it.
"""

import argparse
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from machine import describe, write_table
from speed import TRUTH

import scalefit as sf
from scalefit.infer import batch
from scalefit.infer.batch import lanes_for, prng_keys, solve_group, solve_many, usual_chunk
from scalefit.model import BoundModel, Data, Model
from scalefit.model.model import stacked

START = time.perf_counter()
ENGINE = sf.AIS(draws=125, block=400, rounds=3)  # an ESS of 400 and more
MODEL = Model()
BUDGET = 5.76e23
DIFFERENT = 4096  # tables that are simulated; larger batches repeat them with other seeds
KINDS = ("float32", "float64")
QUANTILES = (0.05, 0.5, 0.95)
ON_CPU = 10_000  # tables at most: it takes milliseconds for each
Row = list[Any]

HEADERS = {
    "many": ["device", "precision", "tables", "first call, wall s", "wall s", "wall us a table", "host CPU us a table",
             "least ESS by weights", "ESS below 400", "Pareto k above 0.7", "peak memory of the device, MiB"],
    "alone": ["device", "precision", "tables", "already on the device: wall us a table"],
    "one": ["device", "precision", "one table: sf.fit and its summary at a budget", "first, wall s", "later, wall s"],
    "fit_many": ["device", "precision", "sf.fit_many, draws in memory, tables", "first, wall s", "wall us a table"],
    "accuracy": ["tables", "parameter", "end", "float32 less float64, in widths of the interval: mean", "its error",
                 "mean size", "largest size"],
    "discrepancy": ["device", "precision", "with discrepancy", "tables", "first, wall s", "later, wall ms a table"],
    "exponentials": ["device", "precision", "exponentials a second, at most", "in use by the proposals' densities"],
}  # fmt: skip


@dataclass(frozen=True)
class Intervals:
    """An engine whose draws are reduced to quantiles before they leave the device."""

    engine: sf.AIS

    def solve(self, model: Model, data: Data, key: jax.Array) -> Any:
        """5, 50 and 95 % quantiles of every parameter, Pareto k, and the ESS by weights."""
        draws, stats = self.engine.solve(model, data, key)
        effective = _blocks(self.engine) * self.engine.block / jnp.exp(stats["log_weight"]).mean()
        return _quantiles(draws), stats["pareto_k"][0, 0], effective


def _quantiles(draws: dict[str, jax.Array]) -> dict[str, jax.Array]:
    return {name: jnp.quantile(values, jnp.asarray(QUANTILES)) for name, values in draws.items()}


def _blocks(engine: sf.AIS) -> int:
    """Of proposals that are weighted."""
    return -(-2 * engine.chains * engine.draws // engine.block)


@dataclass
class Measured:
    """What there is so far: rows by part, and notes; written whole after every change."""

    folder: Path
    limit: float
    rows: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in HEADERS})
    notes: list[str] = field(default_factory=list)
    intervals: dict[tuple[int, str], dict[str, np.ndarray]] = field(default_factory=dict)
    compiled: bool = False  # what follows was compiled beside other programs, so that no first call says anything

    @property
    def left(self) -> float:
        """Seconds."""
        return self.limit - (time.perf_counter() - START)

    def add(self, part: str, *rows: Row) -> None:
        """Keep rows, and write all."""
        self.rows[part] += rows
        for row in rows:
            print(f"[{time.perf_counter() - START:.0f} s] {part}: {json.dumps(row, default=str)}", flush=True)
        self.write()

    def note(self, words: str) -> None:
        """Keep a sentence for the end of the file."""
        self.notes.append(words)
        print(f"[{time.perf_counter() - START:.0f} s] {words}", flush=True)
        self.write()

    def first(self, call: Callable[[], Any]) -> float:
        """Seconds of a call that compiles; NaN where that was done before."""
        seconds = _seconds(call)
        return np.nan if self.compiled else seconds

    def compiling(self, seconds: float) -> float:
        """What a compilation of that length still takes."""
        return 5.0 if self.compiled else seconds

    def fits(self, what: str, seconds: float) -> bool:
        """Whether something of about this length still fits; a note where not."""
        if seconds < self.left:
            return True
        self.note(f"{what} would have taken about {seconds:.0f} s and was left out.")
        return False

    def write(self) -> None:
        """Both files."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"accelerator-{_name()}.md"
        where = f"{sf.devices()}; {describe('jaxlib', 'blackjax')}; {ENGINE}"
        content = {"where": where, "rows": self.rows, "notes": self.notes}
        file.with_suffix(".json").write_text(json.dumps(content, default=_plain, indent=1))
        tables = [(HEADERS[name], rows) for name, rows in self.rows.items() if rows]
        with redirect_stdout(io.StringIO()):
            write_table(file, "Many posteriors", where, *tables)
        file.write_text(file.read_text() + "".join(f"\n- {words}" for words in self.notes) + "\n")


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _name() -> str:
    device = sf.devices()
    return re.sub(r"\W+", "-", device.platform if device.platform == "cpu" else device.kind).strip("-").lower()


def simulated(count: int) -> list[BoundModel]:
    """Tables, bound. By NumPy: the same on every device, and nothing to compile."""
    runs = sf.datasets.load("chinchilla")
    x = {"params": runs.params, "tokens": runs.tokens}
    law = np.log(MODEL.law.loss(TRUTH, x))
    noise = {name: np.full(count, TRUTH[name]) for name in ("sigma", "nu")}
    log_loss = MODEL.noise.sample(noise, np.broadcast_to(law, (count, len(law))), np.random.default_rng(0))
    return [MODEL.bind(sf.Runs({**x, "loss": loss})) for loss in np.exp(log_loss)]


def _repeated(some: list[BoundModel], count: int) -> tuple[list[BoundModel], list[int]]:
    return [some[i % len(some)] for i in range(count)], list(range(count))


def peak() -> float:
    """MiB of the first device at most so far; NaN where it does not say."""
    return (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use", np.nan) / 2**20


# ---------------------------------------------------------------------------------------------------------- the parts


def many(found: Measured, some: list[BoundModel], count: int, kind: str) -> None:
    """Intervals of `count` tables through `solve_many`."""
    before = [row for row in found.rows["many"] if row[:2] == [_name(), kind]]
    group = jax.local_device_count() * lanes_for(some[0].rows)
    each = before[-1][4] / max(before[-1][2], group) if before else 0.0
    if not found.fits(f"{count} tables in {kind}", 1.2 * each * count if before else found.compiling(30.0)):
        return
    with sf.precision(kind):
        first = before[0][3] if before else found.first(lambda: _solved(some, usual_chunk()))
        best, repeats = (np.inf, np.inf), 3
        while repeats > 0:
            began, start = time.process_time(), time.perf_counter()
            quantiles, k, ess = _solved(some, count)
            wall, cpu = time.perf_counter() - start, time.process_time() - began
            best, repeats = min(best, (wall, cpu)), repeats - 1 if wall < 5 else 0
    wall, cpu = best
    found.intervals[count, kind] = quantiles
    found.add("many", [_name(), kind, count, first, wall, 1e6 * wall / count, 1e6 * cpu / count, float(ess.min()),
                       f"{np.mean(ess < 400):.2%}", f"{np.mean(~(k <= 0.7)):.2%}", peak()])  # fmt: skip


def _solved(some: list[BoundModel], count: int) -> Any:
    return solve_many(Intervals(ENGINE), *_repeated(some, count))


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - start


def alone(found: Measured, some: list[BoundModel], kind: str, groups: int = 20) -> None:
    """The same program, on tables that are there already: what the host costs is the difference."""
    lanes = lanes_for(some[0].rows)
    if not found.fits(f"tables already on the device in {kind}", found.compiling(30.0)):
        return
    with sf.precision(kind):
        tables, seeds = _repeated(some, 4 * lanes)
        rows = [slice(first, first + lanes) for first in range(0, 4 * lanes, lanes)]
        there = jax.device_put([(stacked(tables[row]), prng_keys(seeds[row])) for row in rows])
        run = lambda count: [solve_group(Intervals(ENGINE), MODEL, *there[i % len(there)]) for i in range(count)]
        jax.block_until_ready(run(1))
        wall = _seconds(lambda: run(groups))
    found.add("alone", [_name(), kind, groups * lanes, 1e6 * wall / (groups * lanes)])


def one(found: Measured, kind: str) -> None:
    """What a user waits for: first with all compilation, then without."""
    if not found.fits(f"one fit in {kind}", found.compiling(30.0)):
        return
    runs = sf.datasets.load("chinchilla")
    with sf.precision(kind):
        call = lambda: sf.fit(runs).summary(budgets=[BUDGET])
        first, later = found.first(call), [_seconds(call) for _ in range(5)]
    found.add("one", [_name(), kind, "engine auto", first, float(np.median(later))])


def fit_many(found: Measured, some: list[BoundModel], kind: str, count: int) -> None:
    """Through the front door: tables are read, checked and bound, and all draws come back."""
    if not found.fits(
        f"fit_many of {count} tables in {kind}", found.compiling(30.0) + 0.01 * count * (_name() == "cpu")
    ):
        return
    with sf.precision(kind):
        call = lambda: _fitted(some, count)
        first, later = found.first(call), _seconds(call)
    found.add("fit_many", [_name(), kind, count, first, 1e6 * later / count])


def _fitted(some: list[BoundModel], count: int) -> Any:
    tables = [bound.runs for bound in _repeated(some, count)[0]]
    return sf.fit_many(tables, MODEL, engine=ENGINE, progress=False)


def accuracy(found: Measured) -> None:
    """Intervals in float32 against float64, whose random numbers are others: means over tables tell rounding apart."""
    counts = [count for count, kind in found.intervals if {(count, k) for k in KINDS} <= set(found.intervals)]
    if not counts:
        return
    count, rows = max(counts), []
    for name in ("alpha", "E"):
        single, double = (np.asarray(found.intervals[count, kind][name], float) for kind in KINDS)
        off = (single - double) / (double[:, 2] - double[:, 0])[:, None]
        for end, values in zip(("lower", "median", "upper"), off.T, strict=True):
            mean, error = float(values.mean()), float(values.std() / len(values) ** 0.5)
            rows.append([count, name, end, mean, error, float(np.abs(values).mean()), float(np.abs(values).max())])
    found.rows["accuracy"] = []
    found.add("accuracy", *rows)


def discrepancy_singly(found: Measured, some: list[BoundModel], kind: str, count: int = 16) -> None:
    """Posteriors with discrepancy as a user asks for them: one after another."""
    if not found.fits(f"{count} posteriors with discrepancy in {kind}", 15.0 + found.compiling(30.0)):
        return
    with sf.precision(kind):
        first, *fits = [sf.fit(bound.runs) for bound in some[: count + 1]]
        began = found.first(lambda: first.discrepancy_posterior)
        walls = [_seconds(lambda: fit.discrepancy_posterior.pareto_k) for fit in fits]  # noqa: B023
    found.add("discrepancy", [_name(), kind, "one by one", count, began, 1e3 * float(np.mean(walls))])


def discrepancy_together(found: Measured, some: list[BoundModel], kind: str, count: int = 10_000) -> None:
    """Through the front door: a row a table, with the optimum at a budget, discrepancy included."""
    if not found.fits(f"posteriors with discrepancy together in {kind}", 30.0 + found.compiling(30.0)):
        return
    with sf.precision(kind):
        few = 512 if _name() != "cpu" else 16
        first = found.first(lambda: _rows(some, few))
        each = _seconds(lambda: _rows(some, few)) / few
        many = max(1, int(min(count, 0.2 * found.left / each) // few)) * few
        wall = _seconds(lambda: _rows(some, many))
    found.add("discrepancy", [_name(), kind, "rows of fit_many", many, first, 1e3 * wall / many])


def _rows(some: list[BoundModel], count: int) -> Any:
    tables = [bound.runs for bound in _repeated(some, count)[0]]
    with TemporaryDirectory() as folder:
        return sf.fit_many(tables, MODEL, engine=ENGINE, folder=folder, keep_draws=False, budgets=[BUDGET],
                           health=False, progress=False)  # fmt: skip


def compiled_together(found: Measured, some: list[BoundModel]) -> None:
    """Compile what follows in threads, for an accelerator is waiting."""
    if not found.fits("compiling the rest", 60.0):
        return

    calls: list[tuple[str, Callable[[], Any]]] = [
        ("float64", lambda: _solved(some, 1)),
        ("float32", lambda: _rows(some, 1)),
        ("float32", lambda: _fitted(some, 1)),
        ("float32", lambda: sf.fit(some[0].runs).discrepancy_posterior),
        ("float64", lambda: sf.fit(some[0].runs)),
    ]

    def run(kind: Any, call: Callable[[], Any]) -> None:
        with sf.precision(kind):
            jax.block_until_ready(call())

    found.compiled = True
    pool = ThreadPoolExecutor(len(calls))
    jobs = [pool.submit(run, *each) for each in calls]
    done, late = wait(jobs, timeout=min(150.0, 0.5 * found.left))
    pool.shutdown(wait=False)
    if late:
        found.note(f"{len(late)} programs were still being compiled while others were timed.")
    for job in done:
        if problem := job.exception():
            found.note(f"Compiling ahead failed: {type(problem).__name__}: {str(problem)[:300]}")
    found.write()


def exponentials(found: Measured, kind: str) -> None:
    """Exponentials a second that the device does at most, and the share that the densities of proposals take."""
    if not found.fits(f"exponentials in {kind}", 15.0):
        return
    with sf.precision(kind):
        x, step = jnp.linspace(0.0, 1.0, 2**24), lambda _, y: jnp.exp(-y)
        best = 0.0
        for unrolled in (True, False):  # in registers, which an accelerator needs; from memory, where a CPU is faster
            run = jax.jit(lambda x: jax.lax.fori_loop(0, 50, step, x, unroll=unrolled))  # noqa: B023
            run(x).block_until_ready()
            best = max(best, 50 * x.size / _seconds(lambda: run(x)))  # noqa: B023
    evaluations = (ENGINE.rounds + _blocks(ENGINE)) * ENGINE.block * 256 * 2
    each = min([row[5] for row in found.rows["many"] if row[:2] == [_name(), kind]], default=np.nan)
    found.add("exponentials", [_name(), kind, best, f"{evaluations / (each * 1e-6) / best:.1%}"])


def on_cpu(found: Measured, options: argparse.Namespace) -> None:
    """The same on this machine's CPU, by a process of its own; its rows join ours as they come."""
    seconds = min(150.0, found.left - 10)
    if not found.fits("the same on the CPU", 60.0):
        return
    folder = found.folder / "cpu"
    counts = [str(count) for count in options.tables if count <= ON_CPU]
    command = [sys.executable, __file__, "--limit", str(seconds), "--folder", str(folder), "--tables", *counts]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    try:
        subprocess.run(command, env=environment, timeout=seconds + 20, stdout=subprocess.DEVNULL, check=True)
    except (subprocess.SubprocessError, OSError) as problem:
        found.note(f"The CPU's part ended early: {problem}.")
    if (kept := folder / "accelerator-cpu.json").exists():
        content = json.loads(kept.read_text())
        for part, rows in content["rows"].items():
            if rows and part != "accuracy":
                found.add(part, *rows)
        found.notes += [f"On the CPU: {words}" for words in content["notes"]]
        found.write()


# ----------------------------------------------------------------------------------------------------------- in order


def steps_on_cpu(found: Measured, some: list[BoundModel], options: argparse.Namespace) -> list[Callable[[], None]]:
    """On a CPU, which computes in float64 unless told otherwise."""
    steps = [partial(many, found, some, count, kind) for count in options.tables for kind in KINDS]
    steps += [partial(accuracy, found), partial(one, found, "float64"), partial(exponentials, found, "float32")]
    steps += [partial(discrepancy_singly, found, some, "float64", 4), partial(fit_many, found, some, "float32", 2000)]
    return steps + [partial(exponentials, found, "float64"), partial(one, found, "float32")]


def steps_elsewhere(found: Measured, some: list[BoundModel], options: argparse.Namespace) -> list[Callable[[], None]]:
    """On an accelerator."""
    small = [count for count in options.tables if count <= ON_CPU]
    large = [count for count in options.tables if count > ON_CPU]
    steps = [partial(many, found, some, count, "float32") for count in small]
    steps += [partial(one, found, "float32"), partial(exponentials, found, "float32")]
    steps += [partial(many, found, some, count, "float32") for count in large]
    steps += [partial(compiled_together, found, some)]
    steps += [partial(many, found, some, count, "float64") for count in small] + [partial(accuracy, found)]
    steps += [partial(alone, found, some, "float32"), partial(discrepancy_singly, found, some, "float32")]
    steps += [partial(discrepancy_together, found, some, "float32"), partial(one, found, "float64")]
    steps += [partial(fit_many, found, some, "float32", max(small, default=100)), partial(on_cpu, found, options)]
    steps += [partial(many, found, some, count, "float64") for count in large] + [partial(accuracy, found)]
    return steps + [partial(alone, found, some, "float64"), partial(exponentials, found, "float64")]


def main() -> None:
    """Measure, the most wanted first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=float, default=float("inf"), help="seconds in all")
    parser.add_argument("--tables", type=int, nargs="*", default=[100, 10_000, 100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--lanes", type=int, help="tables an accelerator takes together, other than usual")
    options = parser.parse_args()
    if options.lanes:
        batch.LANES["elsewhere"] = options.lanes
    found, some = Measured(options.folder, options.limit), simulated(min(max(options.tables), DIFFERENT))
    print(sf.devices(), flush=True)
    for step in (steps_on_cpu if _name() == "cpu" else steps_elsewhere)(found, some, options):
        try:
            step()
        except Exception as problem:  # a part that fails leaves the others alone
            found.note(f"{step.func.__name__} failed: {type(problem).__name__}: {str(problem)[:500]}")  # type: ignore
    file = options.folder / f"accelerator-{_name()}.md"
    print(file.read_text(), f"{time.perf_counter() - START:.0f} s in all", flush=True)


if __name__ == "__main__":
    main()
