"""Health on tables that are as a law says, on tables that are not, and on public sweeps.

Simulated tables are those of tests/bad_tables.py, each fitted as `sf.fit` does it. A false alarm is a verdict other
than "ok" on a good table, a miss is "ok" on a bad one. Public sweeps are read in place. "misfit" says that a check of
residuals, level or noise is not ok; checks of single rows, of the floor, of priors and of the sampler stand apart.

    python benchmarks/health.py --tables ../shared/data -o benchmarks/results/health.md
"""

import argparse
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from machine import describe, write_table

import scalefit as sf
from scalefit.diagnostics.checks import Check

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from bad_tables import BAD, GOOD, table

MISFIT = {"trend", "level", "spread", "skewness", "noise", "populations", "size"}
ENGINE = sf.AIS(draws=500)


def public(folder: Path) -> dict[str, sf.Runs]:
    """Every public sweep by family and study: the shipped 240 runs, and those of the folder."""
    once = pd.read_csv(folder / "repeated_data.csv")
    once = once[(once["tokens"] <= 1.001 * once["unique_tokens"]) & (once["loss"] < 4.5)]
    corpora = pd.read_csv(folder / "eval/overtraining.csv").rename(columns={"loss_c4_val": "loss"})
    ladder = pd.read_csv(folder / "eval/ladder.csv")
    counting = pd.read_csv(folder / "eval/counting_sweeps.csv")
    counting = counting[(counting["param_count"] != "kaplan") & (counting["val"] == "val")]
    counting = counting[(counting["tokens"] / counting["params"] > 1.5) & (counting["loss"] < 5)]
    more = pd.read_csv(folder / "eval/more_sweeps.csv")
    settings = ["dataset", "hparams", "warmup", "decay", "param_count"]
    found = {"repeated: once": once, "ladder": ladder[~ladder["rerun"].astype(bool)]}
    found |= {f"overtraining: {name}": part for name, part in corpora.groupby("corpus")}
    found |= {f"counting: {' '.join(map(str, name))}": part for name, part in counting.groupby(settings)}
    found |= {f"{family}: {study}": part for (family, study), part in more.groupby(["family", "study"])}
    columns = ["params", "tokens", "loss"]
    tables = {name: part[columns].astype(float).dropna() for name, part in found.items()}
    runs = {name: sf.Runs({c: part[c].to_numpy() for c in columns}, name=name) for name, part in tables.items()}
    return {"chinchilla: 240": sf.datasets.load("chinchilla"), **runs}


def doubts(tables: list[sf.Runs]) -> list[list[Check]]:
    """Of each table, the checks that are not ok; a table that cannot be fitted has none."""
    found: list[list[Check]] = [[] for _ in tables]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i, fit in sf.fit_many(tables, engine=ENGINE, progress=False).fitted():
            found[i] = list(fit.health.doubts)
    return found


def simulated(good: int, bad: int) -> list[list[object]]:
    """A row for each kind of table."""
    rows: list[list[object]] = []
    for kind in (*GOOD, *BAD):
        count = good if kind in GOOD else bad
        found = doubts([table(kind, seed) for seed in range(count)])
        names = Counter(check.name for each in found for check in each)
        wrong = sum(map(bool, found)) if kind in GOOD else sum(not each for each in found)
        said = ", ".join(f"{name} {n}" for name, n in names.most_common(4))
        rows.append([kind, f"{wrong} of {count} {'false alarms' if kind in GOOD else 'misses'}", said])
        print(rows[-1], flush=True)
    return rows


def answers_of_kaplan(count: int) -> list[list[object]]:
    """Whether answers contain the truth where tables of Kaplan's law are ok, for the discrepancy carries it.

    The law is that of tests/bad_tables.py.
    """
    kaplan = lambda n, d: np.exp(0.103 * np.log((6.4e13 / n) ** (0.076 / 0.103) + 1.8e13 / d))
    log_n, rows = np.linspace(np.log(1e6), np.log(1e14), 20_001), []
    fits = [sf.fit(table("Kaplan's law", seed), engine=ENGINE) for seed in range(count)]
    good = [fit for fit in fits if fit.health.verdict == "ok"]
    for times in (3, 10, 44):
        inside = np.zeros(2, int)
        for fit in good:
            budget = times * fit.compute_range[1]
            sizes = np.log(fit.frontier([budget]).params[:, 0])
            best = log_n[kaplan(np.exp(log_n), budget / 6 / np.exp(log_n)).argmin()]
            n = float(np.exp(np.median(sizes)))
            run = {"params": [n], "tokens": [budget / 6 / n]}
            for i, (draws, truth) in enumerate(((sizes, best), (fit.predict(run)[:, 0], kaplan(n, budget / 6 / n)))):
                low, high = np.quantile(draws, [0.05, 0.95])
                inside[i] += low < truth < high
        rows.append([times, f"{len(good)} of {count}", *(f"{each} of {len(good)}" for each in inside)])
    return rows


def verdicts(tables: dict[str, sf.Runs]) -> list[list[object]]:
    """A row for each public sweep."""
    rows: list[list[object]] = []
    for (name, runs), found in zip(tables.items(), doubts(list(tables.values())), strict=True):
        verdict = found[0].verdict if found else "ok"
        of_model = "yes" if MISFIT & {check.name for check in found} else ""
        rows.append(
            [name, len(runs), verdict, of_model, " ".join(check.sentence.split(". ")[0] + "." for check in found)]
        )
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, default=Path("../shared/data"))
    parser.add_argument("--good", type=int, default=100, help="tables of each good kind")
    parser.add_argument("--bad", type=int, default=20, help="tables of each bad kind")
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/results/health.md"))
    options = parser.parse_args()
    of_kinds = simulated(options.good, options.bad)
    header = ["Kaplan's law: times the compute", "ok", "90 % interval contains N_opt", "and the loss there"]
    kaplan = header, answers_of_kaplan(options.bad)
    listed = verdicts(public(options.tables))
    misfit, ok = (int(np.sum([row[i] == value for row in listed])) for i, value in ((3, "yes"), (2, "ok")))
    where = f"{describe()}. Of {len(listed)} public sweeps {ok} are ok and {misfit} in review for misfit."
    title = "Health: false alarms and misses on simulated tables, and verdicts on public sweeps"
    kinds = ["kind", "wrong verdicts", "checks that are not ok, in tables"], of_kinds
    sweeps = ["sweep", "runs", "verdict", "misfit", "what was found"], listed
    write_table(options.output, title, where, kinds, kaplan, sweeps)
