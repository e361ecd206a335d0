"""Many posteriors on an accelerator: time, float32 against float64, and the share of the chip's exponentials in use.

    python benchmarks/accelerator.py [--tables 100 10000 1000000]

writes benchmarks/results/accelerator-DEVICE.md for the device that JAX finds first; run it on a CPU too, to compare.
Tables are those the law could have produced on the design of the 240 Chinchilla runs. Posteriors become 90 % intervals
on the device, so that nothing but those and Pareto k leaves it.
"""

import argparse
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from machine import describe, write_table
from speed import simulated

import scalefit as sf
from scalefit.infer._batch import solve_many, usual_chunk
from scalefit.model.data import Data
from scalefit.model.model import BoundModel, Model

ENGINE = sf.AIS(draws=125, block=400, rounds=3)
MODEL = Model()
DIFFERENT = 4096  # tables that are simulated; larger batches repeat them with other seeds


@dataclass(frozen=True)
class Intervals:
    """An engine whose draws are reduced to quantiles before they leave the device."""

    engine: sf.AIS

    def solve(self, model: Model, data: Data, key: jax.Array) -> Any:
        """5, 50 and 95 % quantiles of every parameter, and Pareto k."""
        draws, stats = self.engine.solve(model, data, key)
        quantiles = {name: jnp.quantile(values, jnp.asarray([0.05, 0.5, 0.95])) for name, values in draws.items()}
        return quantiles, stats["pareto_k"][0, 0]


def bounds(count: int) -> list[BoundModel]:
    """Simulated tables, bound; on the host, because each is a few small programs."""
    with jax.default_device(jax.devices("cpu")[0]):
        return [MODEL.bind(runs) for runs in simulated(min(count, DIFFERENT))]


def measured(some: list[BoundModel], count: int, precision: str) -> tuple[list[object], np.ndarray]:
    """A row, and the alpha intervals (table, 3), of `count` tables that repeat some."""
    tables, seeds = [some[i % len(some)] for i in range(count)], list(range(count))
    with sf.precision(precision):
        start = time.perf_counter()
        solve_many(Intervals(ENGINE), tables[:1] * usual_chunk(), [0] * usual_chunk())  # compiles for every device
        compiled = time.perf_counter() - start
        start, began = time.perf_counter(), time.process_time()
        quantiles, k = solve_many(Intervals(ENGINE), tables, seeds)
        wall, cpu = time.perf_counter() - start, time.process_time() - began
    row = [precision, count, compiled, wall, 1e6 * wall / count, 1e6 * cpu / count, f"{np.mean(k > 0.7):.2%}"]
    return row, quantiles["alpha"]


def exponentials(precision: str) -> float:
    """Exponentials a second that the device does at most."""
    with sf.precision(precision):
        x, step = jnp.linspace(0.0, 1.0, 2**24), lambda _, y: jnp.exp(-y)
        best = 0.0
        for unrolled in (True, False):  # in registers, which an accelerator needs; from memory, where a CPU is faster
            many = jax.jit(lambda x: jax.lax.fori_loop(0, 50, step, x, unroll=unrolled))  # noqa: B023
            many(x).block_until_ready()
            start = time.perf_counter()
            many(x).block_until_ready()
            best = max(best, 50 * x.size / (time.perf_counter() - start))
        return best


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, nargs="*", default=[100, 10_000, 1_000_000])
    parser.add_argument("--precisions", nargs="*", default=["float32", "float64"])
    options = parser.parse_args()
    rows, alphas, some = [], {}, bounds(max(options.tables))
    for count in options.tables:
        for precision in options.precisions:
            row, alphas[count, precision] = measured(some, count, precision)
            rows.append(row)
            print(row, flush=True)
    tables: list[Any] = [(["precision", "tables", "first call, wall s", "wall s", "wall us a table",
                           "host CPU us a table", "Pareto k above 0.7"], rows)]  # fmt: skip
    if {"float32", "float64"} <= set(options.precisions):
        count = min(options.tables)
        single, double = alphas[count, "float32"], alphas[count, "float64"]
        off = np.abs(single - double)[:, 1] / (double[:, 2] - double[:, 0])
        words = [[count, f"{np.median(off):.3f}", f"{off.max():.3f}"]]
        tables.append((["tables", "float32 against float64: median |difference| of the median of alpha, in widths of "
                        "its 90 % interval", "largest"], words))  # fmt: skip
    blocks = ENGINE.rounds - (-2 * ENGINE.chains * ENGINE.draws // ENGINE.block)
    evaluations = blocks * ENGINE.block * some[0].rows * 2
    shares = []
    for precision in options.precisions:
        at_most, best = exponentials(precision), min(row[4] for row in rows if row[0] == precision)
        shares.append([precision, at_most, f"{evaluations / (best * 1e-6) / at_most:.0%}"])
    tables.append((["precision", "exponentials a second, at most", "share in use by the proposals' densities"], shares))
    device = sf.devices()
    name = re.sub(r"\W+", "-", device.platform if device.platform == "cpu" else device.kind).strip("-").lower()
    where = f"{device}; {describe('blackjax')}; {ENGINE}"
    write_table(Path(__file__).parent / "results" / f"accelerator-{name}.md", "Many posteriors", where, *tables)


if __name__ == "__main__":
    main()
