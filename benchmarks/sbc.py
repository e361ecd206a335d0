"""Does the truth fall anywhere in the posterior? Simulation-based calibration of laws and engines.

    python benchmarks/sbc.py [--laws chinchilla moe] [--engines auto ais nuts] [--tables 1000 300] [-o PATH]

The first engine is run on every law, the others on the first law, and so is a sampler that is wrong on purpose: its
posterior is half as wide, and must fall outside. Tables are simulated from each law's own prior at every other run of
the Chinchilla design, with cycles of values in the columns that it lacks. The file is written after every row.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from machine import describe, write_table

import scalefit as sf
from scalefit.infer import Engine, EngineResult, find_engine
from scalefit.laws import Law, find_law
from scalefit.model.model import BoundModel

# Values a column of the design runs through, in step with none of the others; unique tokens are times tokens.
CYCLES = {
    "unique_tokens": (0.02, 0.1, 0.3, 1.0, 0.05, 0.2, 1.0),
    "batch": (1e5, 2e5, 5e5, 1e6, 2e6, 4e6, 1.6e7),
    "experts": (1, 2, 8, 32, 64, 128, 512),
    "granularity": (1, 2, 4, 8, 16, 32, 64),
    "bits": (3, 4, 5, 6, 8, 12, 16),
}
HEADER = ["law", "engine", "tables", "failed", "draws dependent", "verdict", "worst quantity", "difference", "p",
          "90 % intervals hold, least to most", "CPU s"]  # fmt: skip
NOTE = (
    "Rows: the one whose worst quantity is furthest from uniform ranks first. Difference: the largest of the ECDF from "
    "the diagonal, relative to its band; at 1 it leaves the band. Bands: 5% false alarms over all quantities of a row. "
    "Draws dependent: tables with fewer than 99 effective draws. CPU seconds with compilation."
)


@dataclass(frozen=True)
class HalfAsWide(Engine):
    """Another engine's draws, drawn in to their median: wrong on purpose."""

    of: Engine
    kind: ClassVar = "posterior"

    def run(self, bound: BoundModel, seed: int, report: object) -> EngineResult:
        """Not asked for here."""
        raise NotImplementedError

    def run_many(self, bounds: Sequence[BoundModel], seeds: Sequence[int]) -> list[EngineResult | str]:
        """Medians stay, distances from them are halved."""
        halve = lambda draws: np.median(draws) + 0.5 * (np.asarray(draws) - np.median(draws))
        found = self.of.run_many(bounds, seeds)
        return [r if isinstance(r, str) else replace(r, draws={k: halve(v) for k, v in r.draws.items()}) for r in found]


def design(law: Law) -> dict[str, np.ndarray]:
    """Every other Chinchilla run, with whatever else the law takes."""
    runs = sf.datasets.load("chinchilla")
    columns = {name: np.asarray(runs[name][::2]) for name in ("params", "tokens", "flops")}
    columns |= {
        name: np.resize(np.asarray(cycle, dtype=float), len(columns["tokens"])) for name, cycle in CYCLES.items()
    }
    columns["unique_tokens"] = columns["unique_tokens"] * columns["tokens"]
    return {name: columns[name] for name in law.inputs}


def studied(law: str, engine: Engine, label: str, tables: int, seed: int) -> dict[str, object]:
    """One row, and under `quantities` its table."""
    start = time.process_time()
    model, inputs = sf.Model(law), design(find_law(law))
    found = sf.validation.sbc(model, inputs, engine=engine, tables=tables, seed=seed, progress=False)
    table = found.summary()
    worst = table.iloc[0]
    covered = table["cover_90"]
    row = {
        "law": law, "engine": label, "tables": tables, "failed": len(found.failures), "dependent": found.dependent,
        "verdict": "inside" if table["inside"].all() else "outside", "worst": table.index[0],
        "difference": float(worst["difference"]), "p": float(worst["p_value"]),
        "covered": f"{covered.min():.0%} ({covered.idxmin()}) to {covered.max():.0%} ({covered.idxmax()})",
        "seconds": round(time.process_time() - start),
    }  # fmt: skip
    print(row, flush=True)
    return row | {"quantities": json.loads(table.to_json(orient="index"))}


def write(path: Path, rows: list[dict[str, object]], seed: int) -> None:
    """OUT.md and OUT.json, worst first."""
    rows = sorted(rows, key=lambda row: -row["difference"])  # type: ignore[operator]
    cells = [[value for name, value in row.items() if name != "quantities"] for row in rows]
    where = f"{describe()}; seed {seed}. {NOTE}"
    write_table(path.with_suffix(".md"), "Simulation-based calibration", where, (HEADER, cells))
    path.with_suffix(".json").write_text(json.dumps({"where": describe(), "seed": seed, "rows": rows}, indent=1) + "\n")


def main() -> None:
    """Study all, write OUT.md and OUT.json; fails where the wrong sampler goes unnoticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    others = sorted(set(Law.registry) - {"chinchilla"})
    parser.add_argument("--laws", nargs="+", default=["chinchilla", *others], help="the first with every engine")
    parser.add_argument("--engines", nargs="+", default=["auto", "ais", "nuts"], help="the first with every law")
    parser.add_argument("--tables", type=int, nargs="+", default=[200], help="a row: the first law's, and the others'")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/results/sbc"))
    options = parser.parse_args()
    law, first = options.laws[0], find_engine(options.engines[0])
    wrong = (law, HalfAsWide(first), f"{first.name}, half as wide (wrong on purpose)")
    orders = [(law, first, first.name), wrong]
    orders += [(law, find_engine(name), name) for name in options.engines[1:]]
    orders += [(other, first, first.name) for other in options.laws[1:]]
    rows = []
    for law, engine, label in orders:
        tables = options.tables[0 if law == options.laws[0] else -1]
        rows.append(studied(law, engine, label, tables, options.seed))
        write(options.output, rows, options.seed)
    if rows[1]["verdict"] == "inside":
        raise SystemExit("a posterior half as wide went unnoticed: simulate more tables.")


if __name__ == "__main__":
    main()
