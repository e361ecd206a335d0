"""What intervals are worth beyond the data: the law alone, a bootstrap, and the law with its own error.

Every sweep is cut at C_max/3, /10 and /30; fits to the smaller runs predict the larger ones, and, where they
hold isoFLOP curves, the sizes at their minima. Every (study, cut) weighs the same. Candidates for the error's scales
are scored alike; "left out" takes, for each family of sweeps, the candidate that is best on all other families.

    python benchmarks/form.py --tables ../shared/data/eval -o benchmarks/results/form

Without the evaluation tables only the shipped ones are studied.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from machine import describe

import scalefit as sf
from scalefit.check.scores import crps, log_losses, pit

CUTS = (3, 10, 30)
LEAST_TRAINING, LEAST_HELD = 12, 3
CANDIDATES = {
    "in use": sf.Discrepancy(),
    "compute .05": sf.Discrepancy(compute=0.05),
    "ratio length 4": sf.Discrepancy(allocation_lengths=(4.0, 4.0)),
    "compute length 3": sf.Discrepancy(compute_length=3.0),
    "exponents .2 wide": sf.Discrepancy(exponent=(0.34, 0.2)),
}


def studies(folder: Path) -> dict[str, sf.Runs]:
    """Sweeps by name, the family before the colon."""
    found = {f"chinchilla:{o}": sf.datasets.load("chinchilla", outliers=o) for o in ("drop", "keep")}
    repeated = sf.datasets.load("repeated_data")
    once = (repeated.tokens <= 1.001 * repeated["unique_tokens"]) & (repeated.loss < 4.5)
    found["repeated:once"] = repeated.subset(once)
    if not folder.is_dir():
        return found
    table = pd.read_csv(folder / "overtraining.csv")
    found |= {f"overtraining:{k}": _runs(g, "loss_c4_val") for k, g in table.groupby("corpus")}
    ladder = pd.read_csv(folder / "ladder.csv")
    found["ladder:ladder"] = _runs(ladder[~ladder["rerun"].astype(bool)], "loss")
    table = pd.read_csv(folder / "counting_sweeps.csv")
    table = table[(table.param_count != "kaplan") & (table.tokens / table.params > 1.5) & (table.loss < 5)]
    keys = ["dataset", "hparams", "warmup", "decay", "param_count", "val"]
    return found | {f"{k[0]} sweeps:{' '.join(k[1:])}": _runs(g, "loss") for k, g in table.groupby(keys)}


def _runs(table: pd.DataFrame, loss: str) -> sf.Runs:
    columns = {"params": table.params, "tokens": table.tokens, "loss": table[loss]}
    return sf.Runs({name: values.to_numpy(float) for name, values in columns.items()})


def cases(tables: dict[str, sf.Runs]) -> Iterator[tuple[str, int, sf.Runs, sf.Runs]]:
    """(study, cut, training runs, held-out runs)."""
    for name, runs in tables.items():
        for cut in CUTS:
            train = runs.flops <= 1.0001 * runs.flops.max() / cut
            if train.sum() >= LEAST_TRAINING and (~train).sum() >= LEAST_HELD:
                yield name, cut, runs.subset(train), runs.subset(~train)


def minima(runs: sf.Runs) -> Iterator[tuple[float, float, float]]:
    """(flops, ln N, standard error) at the minimum of a parabola in ln N through each budget's runs around its best."""
    line = np.round(np.log(runs.flops) / 0.15)
    for budget in np.unique(line):
        some = runs.subset(line == budget)
        x, y = np.log(some.params), np.log(some.loss)
        near = np.abs(x - x[y.argmin()]) < np.log(8)
        if near.sum() < 5:
            continue
        x, y, middle = x[near], y[near], x[near].mean()
        (c, b, a), cov = np.polyfit(x - middle, y, 2, cov="unscaled")
        rest = y - np.polyval((c, b, a), x - middle)
        cov = cov * max(rest @ rest / max(len(x) - 3, 1), 5e-4**2)
        at, slope = -b / (2 * c), np.array([b / (2 * c**2), -1 / (2 * c), 0.0])
        error = float(np.sqrt(slope @ cov @ slope))
        if c > 2 * np.sqrt(cov[0, 0]) and x.min() < at + middle < x.max() and error < 0.5:
            yield float(some.flops.mean()), float(at + middle), error


def score(fit: sf.Fit, held: sf.Runs, kind: str) -> dict[str, float]:
    """Coverage, CRPS and error of predicted ln losses, and of ln N_opt against the minima."""
    rng, observed = np.random.default_rng(0), np.log(held.loss)
    loss = log_losses(fit.predict(held, kind="run" if kind == "mean" else "form"))
    row = _worth("loss", loss, observed)
    lines = list(minima(held))
    if lines:
        flops, best, error = (np.array(values) for values in zip(*lines, strict=True))
        found = np.log(fit.frontier(flops, kind=kind).params)
        row |= _worth("size", found + error * rng.normal(size=found.shape), best)
    return row


def _worth(name: str, draws: np.ndarray, observed: np.ndarray) -> dict[str, float]:
    off = np.abs(pit(draws, observed) - 0.5)
    miss = np.median(np.abs(np.median(draws, axis=0) - observed))
    return {f"{name} {k}": float(v) for k, v in
            (("90", (off <= 0.45).mean()), ("50", (off <= 0.25).mean()), ("crps", crps(draws, observed).mean()),
             ("mae", miss))}  # fmt: skip


def scored(name: str, fits: sf.Fits, listed: list, kind: str, discrepancy: sf.Discrepancy) -> pd.DataFrame:
    """Scores of every case that has a fit, rows (study, cut)."""
    rows = {}
    for i, fit in fits.fitted():
        study, cut, _, held = listed[i]
        rows[study, cut] = score(replace(fit, model=replace(fit.model, discrepancy=discrepancy)), held, kind)
    print(name, pd.DataFrame(rows).T.mean().round(4).to_dict(), flush=True)
    return pd.DataFrame(rows).T


def left_out(candidates: dict[str, pd.DataFrame]) -> tuple[pd.DataFrame, dict[str, str]]:
    """For each family, the scores of the candidate that does best on the other families, and its name."""
    family = next(iter(candidates.values())).index.get_level_values(0).str.partition(":").get_level_values(0)
    parts, chosen = [], {}
    for one in dict.fromkeys(family):
        away = {name: objective(table[family != one]) for name, table in candidates.items()}
        chosen[one] = min(away, key=away.__getitem__)
        parts.append(candidates[chosen[one]][family == one])
    return pd.concat(parts), chosen


def objective(table: pd.DataFrame) -> float:
    """Mean ln CRPS of losses and of sizes, and how far coverage is from nominal."""
    mean = table.mean()
    off = sum(abs(mean[f"{what} {p}"] - int(p) / 100) for what in ("loss", "size") for p in ("90", "50"))
    return float(np.log(table["loss crps"]).mean() + np.log(table["size crps"].dropna()).mean() + 2 * off)


def written(tables: dict[str, pd.DataFrame], chosen: dict[str, str], count: int) -> str:
    """The results as Markdown: means first, then the worst studies."""
    base, lines = (
        tables["posterior, law alone"].mean(),
        [f"# Beyond the data ({count} cases)", "", describe(), ""],
    )
    head = ["90 % cover", "50 % cover", "CRPS", "ratio", "median error"]
    lines += [f"| method | {' | '.join('loss: ' + h for h in head)} | {' | '.join('ln N_opt: ' + h for h in head)} |"]
    lines += ["| --- |" + " --- |" * 10]
    for name, table in tables.items():
        mean, cells = table.mean(), []
        for what in ("loss", "size"):
            crps_ = mean[f"{what} crps"]
            cells += [f"{mean[f'{what} 90']:.0%}", f"{mean[f'{what} 50']:.0%}", f"{crps_:.4f}"]
            cells += [f"{crps_ / base[f'{what} crps']:.2f}", f"{mean[f'{what} mae']:.4f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    worst = tables["left out"].groupby(level=0).mean().sort_values("loss 90")
    lines += ["", "Chosen with a family left out: " + "; ".join(f"{k}: {v}" for k, v in chosen.items()) + ".", ""]
    lines += ["Studies, worst first, of the left-out choice (nominal 90 % of losses, and of ln N_opt):", ""]
    for study, row in worst.iterrows():
        size = "–" if np.isnan(row["size 90"]) else f"{row['size 90']:.0%}"
        lines.append(f"- {study}: {row['loss 90']:.0%}, {size}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Score all, write OUT.md and OUT.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, default=Path("../shared/data/eval"))
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/results/form"))
    options = parser.parse_args()
    listed = list(cases(studies(options.tables)))
    training = [train for _, _, train, _ in listed]
    fits = sf.fit_many(training, engine=sf.AIS(draws=500), progress=False)
    boots = sf.fit_many(training, engine=sf.Bootstrap(sf.Huber(), resamples=500), progress=False)
    tables = {"posterior, law alone": scored("posterior", fits, listed, "mean", sf.Discrepancy())}
    tables["Huber bootstrap"] = scored("bootstrap", boots, listed, "mean", sf.Discrepancy())
    candidates = {name: scored(name, fits, listed, "form", scales) for name, scales in CANDIDATES.items()}
    out, chosen = left_out(candidates)
    tables |= {"left out": out, **{f"with error, {name}": table for name, table in candidates.items()}}
    options.output.with_suffix(".md").write_text(written(tables, chosen, len(listed)))
    document = {name: json.loads(table.mean().to_json()) for name, table in tables.items()}
    options.output.with_suffix(".json").write_text(json.dumps({"chosen": chosen, "means": document}, indent=1) + "\n")


if __name__ == "__main__":
    main()
