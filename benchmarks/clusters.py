"""Whether intervals contain the truth where runs share errors, with `cluster=` and without.

    python benchmarks/clusters.py [--tables 400] [--with-discrepancy 10] [--only ...] [-o results/clusters.md]

Truths differ from table to table. Every run's ln loss has a normal error that its cluster shares, and Student-t noise
of its own. Three kinds of clusters: checkpoints of 40 runs, five each; one to six evaluations of 60 runs; and 24
recipes, dealt out at random to 240 runs.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe, write_table

import scalefit as sf
from scalefit.frontier.frontier import frontier
from scalefit.model.model import BoundModel

DESIGNS: dict[str, Callable[[np.random.Generator], dict[str, np.ndarray]]] = {}
HEADER = ["clusters", "fit", "quantity", "tables", "inside 50 %", "inside 90 %", "standard error", "median width"]


def design(make: Callable[[np.random.Generator], dict[str, np.ndarray]]) -> Any:
    """Register a design under the words of its docstring."""
    DESIGNS[str(make.__doc__).strip(".")] = make
    return make


def _grid(sizes: int, ratios: int) -> tuple[np.ndarray, np.ndarray]:
    params = np.repeat(np.geomspace(3e7, 3e9, sizes), ratios)
    return params, params * np.tile(np.geomspace(5, 150, ratios), sizes)


@design
def checkpoints(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """checkpoints of 40 runs."""
    params, tokens = _grid(8, 5)
    run = np.repeat(np.arange(len(params)), 5)
    return {"params": params[run], "tokens": tokens[run] * np.tile(np.linspace(0.4, 1, 5), len(params)), "run": run}


@design
def evaluations(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """1 to 6 evaluations of 60 runs."""
    params, tokens = _grid(10, 6)
    run = np.repeat(np.arange(len(params)), rng.integers(1, 7, len(params)))
    return {"params": params[run], "tokens": tokens[run], "run": run}


@design
def recipes(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """24 recipes of 240 runs."""
    params, tokens = _grid(24, 10)
    return {"params": params, "tokens": tokens, "run": rng.permutation(np.arange(len(params)) % 24)}


def truth_of(rng: np.random.Generator) -> dict[str, float]:
    """Parameters of law and noise."""
    between = lambda low, high: float(rng.uniform(low, high))
    known = {"E": between(1.6, 2.0), "alpha": between(0.28, 0.42), "beta": between(0.28, 0.42)}
    known |= {"A": between(0.5, 1.5) * 1e8 ** known["alpha"], "B": between(0.5, 1.5) * 2e9 ** known["beta"]}
    return known | {"sigma": np.exp(between(-6.9, -5.5)), "nu": 5.0, "sigma_cluster": np.exp(between(-5.3, -4.0))}


def table(make: Callable, seed: int) -> tuple[sf.Runs, dict[str, float]]:
    """A simulated table, and the truth of what is asked of it."""
    rng = np.random.default_rng([seed, 21])
    x, truth = make(rng), truth_of(rng)
    loss = truth["E"] + truth["A"] / x["params"] ** truth["alpha"] + truth["B"] / x["tokens"] ** truth["beta"]
    shared = truth["sigma_cluster"] * rng.standard_normal(x["run"].max() + 1)
    loss = loss * np.exp(shared[x["run"]] + truth["sigma"] * rng.standard_t(truth["nu"], len(loss)))
    runs = sf.Runs({"params": x["params"], "tokens": x["tokens"], "run": x["run"].astype(float), "loss": loss})
    a = truth["beta"] / (truth["alpha"] + truth["beta"])
    scale = truth["alpha"] * truth["A"] / (truth["beta"] * truth["B"])
    best = scale ** (1 / (truth["alpha"] + truth["beta"])) * (10 * runs.flops.max() / 6) ** a
    return runs, {"alpha": truth["alpha"], "a": a, "N_opt": best}


def law_only(bound: BoundModel, result: Any) -> dict[str, np.ndarray]:
    """Draws of what is asked, of the law alone; no fit is made, whose health would take longer than its draws."""
    theta = bound.to_raw({name: np.ravel(values) for name, values in result.draws.items()})
    largest = float(bound.runs.flops.max())
    found = frontier(bound.model.law, theta, np.array([10 * largest]), (float(bound.runs.flops.min()), largest))
    exponent = theta["beta"] / (theta["alpha"] + theta["beta"])
    return {"N_opt": found.params[:, 0], "alpha": theta["alpha"], "a": exponent}


def measured(draws: np.ndarray, truth: float) -> tuple[float, float]:
    """Rank of the truth among the draws, and relative width of the 90 % interval."""
    return float((draws < truth).mean()), float(np.ptp(np.quantile(draws, [0.05, 0.95])) / np.median(draws))


def rows_of(kind: str, tables: int, count: int) -> list[list[str]]:
    """Coverage on tables of one kind: of all law-only, of the first `count` with discrepancy."""
    made = [table(DESIGNS[kind], seed) for seed in range(tables)]
    rows = []
    for how in ("cluster=", "without"):
        runs = [each.with_errors(cluster="run") if how == "cluster=" else each for each, _ in made]
        fits = sf.fit_many(runs, progress=False)
        found: dict[str, list[tuple[float, float]]] = {}
        start = time.process_time()
        for i in (i for i in fits.indices if i not in fits.failures):
            asked = {f"{k}, law only": (k, v) for k, v in law_only(fits.model.bind(runs[i]), fits.result(i)).items()}
            if i < count:
                fit = fits[i]
                optima = fit.frontier(10 * fit.compute_range[1]).params[:, 0]
                asked["N_opt, with discrepancy"] = "N_opt", optima
            for name, (quantity, draws) in asked.items():
                found.setdefault(name, []).append(measured(draws, made[i][1][quantity]))
        print(kind, how, f"{time.process_time() - start:.0f} CPU-s", flush=True)
        for name, values in found.items():
            rank, width = np.array(values).T
            inside = [np.mean(np.abs(rank - 0.5) < prob / 2) for prob in (0.5, 0.9)]
            error = np.sqrt(0.9 * 0.1 / len(rank))
            numbers = [f"{inside[0]:.0%}", f"{inside[1]:.1%}", f"{error:.1%}", f"{np.median(width):.1%}"]
            rows.append([kind, how, name, str(len(rank)), *numbers])
    return rows


def main() -> None:
    """All kinds of clusters, one table of results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, default=400)
    parser.add_argument("--with-discrepancy", type=int, default=10)
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/results/clusters.md"))
    parser.add_argument("--only", nargs="*", choices=[*DESIGNS], default=[*DESIGNS], help="keep the rows of the others")
    options = parser.parse_args()
    text = options.output.read_text() if options.output.exists() else ""
    kept = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")][2:]
    rows = [row for row in kept if row[0] not in options.only]
    for kind in options.only:
        rows += rows_of(kind, options.tables, options.with_discrepancy)
        where = f"{describe()}. N_opt is at ten times the largest compute. Truths obey the law exactly, so that "
        where += "intervals with discrepancy contain them more often than they state."
        title = "Runs that share errors: how often intervals contain the truth"
        write_table(options.output, title, where, (HEADER, rows))


if __name__ == "__main__":
    main()
