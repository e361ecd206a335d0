"""How fast, and how good beside it: posteriors one and many, modes, frontiers, gradients.

    python benchmarks/speed.py [--only answers large reading posterior many mode frontier gradient coverage]

writes benchmarks/results/speed.md. CPU seconds are those of the process, all threads, after compilation; the median of
several repeats. The same posterior by other tools is in peers.md, measured by benchmarks/peers/run.py.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from machine import describe, interval, write_table
from speed_answers import answers, large
from speed_reading import reading

import scalefit as sf
from scalefit.diagnostics.convergence import convergence
from scalefit.frontier.frontier import frontier
from scalefit.hardware import fast_compile_options, forget_programs
from scalefit.model.model import Model
from scalefit.numerics.newton import autodiff_value_grad_hess, descend
from scalefit.sampling.alr import flat_potential
from scalefit.sampling.modes import laplace, modes

RESULTS = Path(__file__).parent / "results"
TRUTH = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658, "sigma": 0.004, "nu": 4.0}
BUDGET = 5.76e23
Table = tuple[list[str], list[list[object]]]


def seconds(call: Callable[[], Any], repeats: int = 7) -> tuple[float, float, float]:
    """Wall seconds of the first call, which compiles all; then median CPU and wall seconds of the later ones."""
    forget_programs()
    start = time.perf_counter()
    jax.block_until_ready(call())
    first, cpu, wall = time.perf_counter() - start, [], []
    for _ in range(repeats):
        began, start = time.process_time(), time.perf_counter()
        jax.block_until_ready(call())
        cpu.append(time.process_time() - began)
        wall.append(time.perf_counter() - start)
    return first, statistics.median(cpu), statistics.median(wall)


def simulated(count: int, seed: int = 0, theta: dict[str, float] = TRUTH) -> list[sf.Runs]:
    """Tables that the law could have produced on the design of the 240 Chinchilla runs."""
    shipped = sf.datasets.load("chinchilla")
    x = {"params": shipped.params, "tokens": shipped.tokens}
    return [sf.Runs({**x, "loss": Model().simulate(theta, x, seed + i)}) for i in range(count)]


def posterior() -> Table:
    """P1: one posterior of the 240 runs."""
    header = ["engine", "least ESS (bulk, tail; derived too)", "compile wall s", "CPU s", "wall s", "CPU s to ESS 4000"]
    bound, rows = Model().bind(sf.datasets.load("chinchilla")), []
    engines = {"AIS": sf.AIS(draws=1250), "NUTS": sf.NUTS()}
    for name, engine in engines.items():
        with sf.precision():
            first, cpu, wall = seconds(lambda: engine.run(bound, 1, lambda *_: None).draws, 15)  # noqa: B023
        fit = sf.fit(bound.runs, engine=engine, seed=1)
        found = convergence({**fit.draws, **fit.law_derived, **fit.optima([BUDGET], discrepancy=False)}).values()
        ess = min(min(one["ess_bulk"], one["ess_tail"]) for one in found)
        rows.append([name, ess, first, cpu, wall, cpu * 4000 / ess])
    return header, rows


def many(count: int = 100) -> Table:
    """P3: a hundred tables, ESS of at least 400 each."""
    header = ["engine", "tables", "least ESS of any table, by weights", "largest Pareto k", "compile wall s",
              "CPU ms a table", "wall ms a table"]  # fmt: skip
    tables, rows = simulated(count), []
    for precise in ("float64", "float32"):
        engine = sf.AIS(draws=105, block=210, rounds=2)
        with sf.precision(precise):
            first, cpu, wall = seconds(lambda: sf.fit_many(tables, engine=engine, progress=False), 3)  # noqa: B023
            fits = sf.fit_many(tables, engine=engine, progress=False)
        stats = [fits.result(i).stats for i in range(count)]
        ess = [s["log_weight"].size * 2 / np.exp(s["log_weight"]).mean() for s in stats]
        k = max(float(s["pareto_k"].max()) for s in stats)
        rows.append([f"{engine}, {precise}", count, min(ess), k, first, 1e3 * cpu / count, 1e3 * wall / count])
    return header, rows


def mode(count: int = 1000) -> Table:
    """P4: the mode of the 240 runs from a cold start, and whether it is the global one on simulated tables."""
    bound = Model().bind(sf.datasets.load("chinchilla"))
    with sf.precision():
        data = bound.data
        first, cpu, wall = seconds(lambda: modes(bound.model, data), 21)
        found = 0
        for table in simulated(count, seed=10_000):
            other = Model().bind(table)
            theta = {name: jnp.asarray(value) for name, value in other.to_unit(TRUTH).items()}
            from_truth = _descended(other.model, other.data, theta)
            found += bool(laplace(other.model, other.data).value < from_truth + 1e-6)
    header = ["mode", "compile wall s", "CPU s", "wall s", f"no higher than from the truth, of {count} tables"]
    return header, [["three starts of 64, Newton", first, cpu, wall, found]]


@partial(jax.jit, static_argnames="model")
def _descended(model: Model, data: Any, theta: dict) -> jax.Array:
    z = model.space.unconstrain(theta)
    start = jnp.stack([z[name] for name in sorted(z)])
    return descend(autodiff_value_grad_hess(partial(flat_potential, model, data)), start).value


def optimum() -> Table:
    """P6: frontiers of 4,000 draws."""
    fit, rows = sf.fit(sf.datasets.load("chinchilla")), []
    t = fit.theta
    for count in (100, 1000):
        budgets = np.geomspace(1e18, 1e26, count)
        call = lambda: frontier(fit.model.law, t, budgets, fit.compute_range).params  # noqa: B023
        first, cpu, wall = seconds(call, 3)
        a = t["beta"] / (t["alpha"] + t["beta"])
        level = np.log(t["alpha"] * t["A"] / (t["beta"] * t["B"])) / (t["alpha"] + t["beta"])
        exact = level[:, None] + a[:, None] * np.log(budgets / 6)
        rows.append([f"{len(a)} x {count}", first, cpu, wall, float(np.abs(np.log(call()) - exact).max())])
    return ["draws x budgets", "first call, wall s", "CPU s", "wall s", "largest error of ln N"], rows


GRADIENT = """
import json, sys, time, resource
import jax, jax.numpy as jnp, numpy as np
sys.path.insert(0, {folder!r})
from speed import gradient_row
print(json.dumps(gradient_row({n}, {chains})))
"""


def gradient() -> Table:
    """P7: the gradient against the exponentials and logarithm that it cannot do without; a process for each size."""
    header = ["runs", "chains", "gradient, CPU ns a run and chain", "2 exp + 1 log, CPU ns", "share of that ceiling",
              "peak memory, MB"]  # fmt: skip
    rows = []
    for n in (240, 2400, 24_000, 240_000):
        for chains in (1, 128):
            code = GRADIENT.format(folder=str(Path(__file__).parent), n=n, chains=chains)
            out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
            rows.append(json.loads(out.splitlines()[-1]))
    return header, rows


def gradient_row(n: int, chains: int) -> list[object]:
    """One size, measured in this process."""
    rng = np.random.default_rng(0)
    x = {"params": 10 ** rng.uniform(8, 10, n), "tokens": 10 ** rng.uniform(9, 11, n)}
    bound = Model().bind(sf.Runs({**x, "loss": Model().simulate(TRUTH, x)}))
    with sf.precision():
        data, model = bound.data, bound.model
        z = model.space.unconstrain({name: jnp.asarray(v) for name, v in bound.to_unit(TRUTH).items()})
        flat = jnp.stack([z[name] for name in sorted(z)]) + 1e-3 * jnp.asarray(rng.normal(size=(chains, len(z))))
        compiled = partial(jax.jit, compiler_options=fast_compile_options(jax.default_backend()))  # as engines are
        ours = compiled(
            lambda data, flat: jax.vmap(lambda f: jax.grad(lambda q: flat_potential(model, data, q))(f))(flat)
        )
        ceiling = compiled(_ceiling)
        repeats = max(5, min(200, 20_000_000 // (n * chains)))
        _, ours_cpu, _ = seconds(lambda: ours(data, flat), repeats)
        peak = _peak_memory()
        tile = jax.tree.map(lambda leaf: leaf[: min(len(leaf), 4096)], (data.log_x, data.log_loss))
        _, least_cpu, _ = seconds(lambda: ceiling(*tile, flat), repeats)
    ours_ns = 1e9 * ours_cpu / (n * chains)
    least_ns = 1e9 * least_cpu / (len(tile[1]) * chains)
    return [n, chains, ours_ns, least_ns, f"{least_ns / ours_ns:.0%}", peak]


def _peak_memory() -> float:
    """MB of this process. On Linux `getrusage` would say no less than the process that started it had."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def _ceiling(log_x: dict, log_loss: jax.Array, flat: jax.Array) -> jax.Array:
    """Two exponentials and a logarithm for every run and chain, and their sum."""
    u, v = (jnp.exp(-flat[:, i, None] * log_x[name]) for i, name in enumerate(log_x))
    return (jnp.log(1.0 + u + v) * log_loss).sum(axis=1)


def coverage(count: int = 1000) -> Table:
    """How often 90 % intervals hold the truth: parameters drawn around published values, the Chinchilla design."""
    rng = np.random.default_rng(1)
    model, names = Model(), ("alpha", "beta", "E", "a", "ln N_opt")
    truths = [TRUTH | {n: TRUTH[n] * np.exp(0.1 * rng.normal()) for n in ("alpha", "beta", "E")} for _ in range(count)]
    tables = [simulated(1, seed=20_000 + i, theta=theta)[0] for i, theta in enumerate(truths)]
    fits = sf.fit_many(tables, model, engine=sf.Auto(first=sf.AIS(draws=250, block=500)), progress=False)
    held = {name: 0 for name in names}
    for i, theta in enumerate(truths):
        raw = model.bind(tables[i]).to_raw({k: v.reshape(-1) for k, v in fits.result(i).draws.items()})
        for name, draws in _asked(raw).items():
            _, low, high = interval(draws, 0.9)
            held[name] += bool(low <= _asked({k: np.asarray(v) for k, v in theta.items()})[name] <= high)
    error = np.sqrt(0.09 / count)
    return (["quantity", f"90 % intervals that hold the truth, of {count} (standard error {error:.1%})"],
            [[name, f"{found / count:.1%}"] for name, found in held.items()])  # fmt: skip


def _asked(t: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    total = t["alpha"] + t["beta"]
    level = np.log(t["alpha"] * t["A"] / (t["beta"] * t["B"])) / total
    a = t["beta"] / total
    return {"alpha": t["alpha"], "beta": t["beta"], "E": t["E"], "a": a, "ln N_opt": level + a * np.log(BUDGET / 6)}


PARTS = {
    "answers": answers,
    "large": large,
    "reading": reading,
    "posterior": posterior,
    "many": many,
    "mode": mode,
    "frontier": optimum,
    "gradient": gradient,
    "coverage": coverage,
}


WHY = """
Aims not reached, and why.

- Law and discrepancy together: .25 CPU s for a posterior of 240 runs, .1 for a plan, .08 for each of 100 tables. 4,000
  joint draws are made, four times as many as are carried, for digits that ten seeds agree in; 1,000 for fits of fewer
  than 1,000 draws, which the 100 tables have. On one core a posterior takes .30 CPU s and a table .11, with health .14.
  Half of a plan is the frontier of every draw, from which wasted compute is read. The aims for 5,000 runs, 3 s, and
  for 100,000, 15 s and 1 GB, are reached: such tables are squashed. A million runs took 172 CPU s and 2.0 GB, once.
- A hundred tables: 5 to 6 ms each in float64, which float32 takes. Two fifths of it are densities of 1,260 proposals a
  table, at about the price of the exponentials and logarithms in them; fewer leave an ESS below 400. A third is the
  search for modes, from 64 places, three of them followed to the bottom; fewer miss a second mode on small tables. The
  rest is sampling, and adapting the mixture.
- The gradient: half of the ceiling with 128 chains. The reverse pass is compiled apart from the forward one, and reads
  every run's intermediate values from memory again; each of its seven sums is a pass of its own, and the noise takes a
  second logarithm. Written out by hand for this law and noise, with all sums in one reduction, it takes two fifths of
  the ceiling, and half where eight runs' (1 + q) are multiplied before a logarithm is taken; but that holds for tables
  whose runs all count once. Derived by JAX for each run, for any law, and summed in one reduction, it is as it is now.
- Accelerators have files of their own, which accelerator.py writes.
"""


def main() -> None:
    """Measure the parts asked for; the others keep what was measured last."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    kept = RESULTS / "speed.json"
    tables = json.loads(kept.read_text()) if kept.exists() else {}
    for name in parser.parse_args().only:
        tables[name] = PARTS[name]()
        kept.write_text(json.dumps(tables, default=str))
    results = RESULTS / "speed.md"
    write_table(results, "Speed, and quality beside it", describe("blackjax"), *tables.values())
    results.write_text(results.read_text() + WHY)


if __name__ == "__main__":
    main()
