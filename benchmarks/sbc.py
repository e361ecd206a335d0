"""Does the truth fall anywhere in the posterior? Simulation-based calibration of laws and engines.

    python benchmarks/sbc.py [--laws chinchilla moe] [--engines auto ais nuts] [--tables 1000 300] [-o PATH]
    python benchmarks/sbc.py --tables 10000 --shard 3/64 --parts FOLDER      (and every other shard, anywhere)
    python benchmarks/sbc.py --tables 10000 --merge --parts FOLDER [-o PATH]

The first engine is run on every law, the others on the first law, and so is a sampler that is wrong on purpose: its
posterior is half as wide, and must fall outside. Tables are simulated from each law's own prior at every other run of
the Chinchilla design, with cycles of values in the columns that it lacks. The file is written after every row.

A shard keeps a file a row, and goes on where it stopped when it is started again. Ranks are the same whatever the
shards; CPU seconds are those of all.
"""

import argparse
import json
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from machine import describe, write_table

import scalefit as sf
from scalefit.infer import Engine, EngineResult, Shard, find_engine
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


@dataclass(frozen=True)
class Order:
    """What a row is of."""

    law: str
    engine: Engine
    label: str
    tables: int
    seed: int

    def path(self, parts: Path, shard: str) -> Path:
        """Where a shard's ranks are kept."""
        words = f"{self.law} {self.label} {self.tables} tables seed {self.seed} shard {shard.replace('/', ' of ')}"
        return parts / f"{re.sub(r'[^a-z0-9-]+', '_', words)}.json"

    def compute(self, shard: str = "1/1") -> tuple[sf.validation.SBC, float]:
        """The ranks of a shard, and its CPU seconds."""
        start = time.process_time()
        model, inputs, numbers = (
            sf.Model(self.law),
            design(find_law(self.law)),
            {"tables": self.tables, "seed": self.seed},
        )
        found = sf.validation.sbc(model, inputs, engine=self.engine, shard=shard, progress=False, **numbers)
        return found, time.process_time() - start


def keep(order: Order, parts: Path, shard: str) -> None:
    """Compute a shard into its file, whole or not at all, unless it is there."""
    if (path := order.path(parts, shard)).exists():
        return
    found, seconds = order.compute(shard)
    ranks = {name: values.tolist() for name, values in found.ranks.items()}
    content = {"ranks": ranks, "draws": found.draws, "failures": found.failures, "effective": found.effective.tolist()}
    parts.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_text(json.dumps(content | {"seconds": seconds}))
    unfinished.replace(path)
    print(f"{path.name}: {len(found.effective)} tables in {seconds:.0f} CPU s", flush=True)


def kept(order: Order, parts: Path) -> tuple[sf.validation.SBC, float]:
    """All shards of a row together, and their CPU seconds."""
    found, seconds = [], 0.0
    for path in sorted(parts.glob(order.path(parts, "*").name.replace("shard_", "shard_*"))):
        content = json.loads(path.read_text())
        ranks = {name: np.array(values) for name, values in content["ranks"].items()}
        failures = {int(index): why for index, why in content["failures"].items()}
        shard = Shard(*map(int, re.findall(r"\d+", path.stem.rpartition("shard")[2])))
        effective = np.array(content["effective"], float)
        found.append(sf.validation.SBC(ranks, content["draws"], order.tables, failures, effective, shard))
        seconds += content["seconds"]
    if not found:
        raise SystemExit(f"{parts} has no shard of {order}. Compute them with --shard.")
    return sf.validation.SBC.joined(found), seconds


def row_of(order: Order, found: sf.validation.SBC, seconds: float) -> dict[str, object]:
    """One row, and under `quantities` its table."""
    table = found.summary()
    worst = table.iloc[0]
    covered = table["cover_90"]
    row = {
        "law": order.law, "engine": order.label, "tables": order.tables, "failed": len(found.failures),
        "dependent": found.dependent, "verdict": "inside" if table["inside"].all() else "outside",
        "worst": table.index[0], "difference": float(worst["difference"]), "p": float(worst["p_value"]),
        "covered": f"{covered.min():.0%} ({covered.idxmin()}) to {covered.max():.0%} ({covered.idxmax()})",
        "seconds": round(seconds),
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
    parser.add_argument("--shard", metavar="K/N", help="compute a part of every row's tables into --parts")
    parser.add_argument("--parts", type=Path, default=Path("sbc-parts"), help="folder of the shards' ranks")
    parser.add_argument("--merge", action="store_true", help="write the tables of all shards in --parts")
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/results/sbc"))
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    for order in orders_of(options):
        if options.shard:
            keep(order, options.parts, options.shard)
            continue
        rows.append(row_of(order, *(kept(order, options.parts) if options.merge else order.compute())))
        write(options.output, rows, options.seed)
    if any("wrong on purpose" in str(row["engine"]) and row["verdict"] == "inside" for row in rows):
        raise SystemExit("a posterior half as wide went unnoticed: simulate more tables.")


def orders_of(options: argparse.Namespace) -> list[Order]:
    """Every row that is asked for."""
    law, first = options.laws[0], find_engine(options.engines[0])
    wrong = (law, HalfAsWide(first), f"{first.name}, half as wide (wrong on purpose)")
    orders = [(law, first, first.name), wrong]
    orders += [(law, find_engine(name), name) for name in options.engines[1:]]
    orders += [(other, first, first.name) for other in options.laws[1:]]
    counts = {law: options.tables[0]}
    return [Order(law, *how, counts.get(law, options.tables[-1]), options.seed) for law, *how in orders]


if __name__ == "__main__":
    main()
