"""Learn the scales of the discrepancy from public sweeps, and measure the coverage of intervals with it.

Every sweep is cut at C_max/3, /10 and /30; fits to the smaller runs predict the larger ones, and, where they
hold isoFLOP curves, the sizes at their minima. Every family of sweeps weighs the same. "left out" takes, for each
family of sweeps, the candidate that all other families choose.

    python benchmarks/learn_discrepancy.py --tables ../shared/data/eval -o benchmarks/results/learn_discrepancy

Without the evaluation tables only the shipped ones are studied. The results' JSON is what `sf.Discrepancy` cites.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from machine import describe

import scalefit as sf
from scalefit.frontier.isoflop_minima import isoflop_minima
from scalefit.validation.extrapolation import cases
from scalefit.validation.learn_discrepancy import LearnedDiscrepancy, family_mean, score

BOOTSTRAP = "Huber bootstrap"
CURVES = "opt-curves", "gpt3-curves", "constant-lr"
SHIPPED = Path(__file__).parents[1] / "scalefit" / "model" / "learned_evidence.json"


def studies(folder: Path) -> dict[str, sf.Runs]:
    """Sweeps by name, the family before the colon: each set of runs once, counted with its embeddings."""
    found = {"chinchilla:240": sf.datasets.load("chinchilla")}
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
    once = (table.param_count == "standard") & (table.val == "val")
    table = table[once & (table.tokens / table.params > 1.5) & (table.loss < 5)]
    keys = ["dataset", "hparams", "warmup", "decay"]
    found |= {f"counting:{' '.join(k)}": _runs(g, "loss") for k, g in table.groupby(keys)}
    table = pd.read_csv(folder / "more_sweeps.csv")
    return found | {f"{family}:{study}": _runs(g, "loss") for (family, study), g in table.groupby(["family", "study"])}


def _runs(table: pd.DataFrame, loss: str) -> sf.Runs:
    columns = {"params": table.params, "tokens": table.tokens, "loss": table[loss]}
    return sf.Runs({name: values.to_numpy(float) for name, values in columns.items()})


def bootstrap(tables: dict[str, sf.Runs], seed: int = 0) -> pd.Series:
    """The same scores of the bootstrap of Huber's fit, and the same means of them, each family once."""
    listed = cases(tables)
    engine = sf.Bootstrap(sf.Huber(), resamples=500)
    fits = sf.fit_many([case.train for case in listed], engine=engine, seed=seed, progress=False)
    fitted = dict(fits.fitted())
    families = np.array([listed[i].family for i in fitted])
    return pd.Series({k: family_mean(v, families) for k, v in score(fitted, listed, False).items()})


def training_curves(tables: dict[str, sf.Runs], seed: int = 0) -> dict[str, list[float]]:
    """Study -> coverage of losses at 90 % and CRPS, rows read as runs, then rows of one size as one run.

    Of the families whose rows are checkpoints; the scales are those in use.
    """
    found: dict[str, list[float]] = {}
    for clustered in (False, True):
        read = {name: _one_run_a_size(table) if clustered else table for name, table in tables.items()
                if name.partition(":")[0] in CURVES}  # fmt: skip
        listed = cases(read) if read else []
        fits = sf.fit_many([case.train for case in listed], engine=sf.AIS(draws=500), seed=seed, progress=False)
        scores = pd.DataFrame(score(dict(fits.fitted()), listed, True, sf.Discrepancy())) if listed else None
        for name in read:
            rows = [case.study == name for case in listed]
            found.setdefault(name, []).extend(scores.loc[rows, ["loss 90", "loss crps"]].mean())
    return found


def _one_run_a_size(table: sf.Runs) -> sf.Runs:
    columns = {name: table[name] for name in ("params", "tokens", "loss")}
    return sf.read_runs(columns | {"run": [f"{size:g}" for size in table.params]}, cluster="run")


def written(learned: LearnedDiscrepancy, peer: pd.Series, curves: dict[str, list[float]]) -> str:
    """The results as Markdown: means first, then the worst studies."""
    table = pd.concat([learned.summary(), peer.to_frame(BOOTSTRAP).T])
    names = {"90": "90 % cover", "50": "50 % cover", "crps": "CRPS", "ratio": "CRPS ratio", "mae": "median error"}
    targets = {"loss": "loss", "size": "ln N_opt"}
    columns = [f"{what} {name}" for what in targets for name in names]
    heads = [f"{target}: {score}" for target in targets.values() for score in names.values()]
    lines = [f"# Beyond the data ({len(learned.cases)} cases)", "", describe(), ""]
    lines += [f"| method | {' | '.join(heads)} |", f"| --- |{' --- |' * len(heads)}"]
    order = ["law only", BOOTSTRAP, "left out", *learned.candidates]
    lines += [
        f"| {name} | {' | '.join(_cell(column, table.loc[name, column]) for column in columns)} |" for name in order
    ]
    best = next(name for name, scales in learned.candidates.items() if scales == learned.discrepancy)
    chosen = "; ".join(f"{family}: {name}" for family, name in learned.chosen.items())
    lines += ["", f"Chosen with a family left out: {chosen}. Over all: {best}.", ""]
    minima = np.array([len(isoflop_minima(case.held)) for case in learned.cases])
    inside = np.nansum(minima * learned.scores["left out"]["size 90"]) / minima.sum()
    lines += [f"Each isoFLOP minimum counted once, 90 % intervals contain {inside:.0%} of {minima.sum()}.", ""]
    lines += ["Studies, worst first, with their family left out (nominal 90 % of losses, and of ln N_opt):", ""]
    for study, row in learned.by_study().iterrows():
        size = "–" if np.isnan(row["size 90"]) else f"{row['size 90']:.0%}"
        lines.append(f"- {study}: {row['loss 90']:.0%}, {size}")
    if curves:
        lines += [
            "",
            "Training curves: rows of one size are checkpoints of one run, which share its error (`cluster=`).",
            "",
        ]
        lines += ["| study | rows as runs: 90 % cover | CRPS | rows of a size as one run: 90 % cover | CRPS |"]
        lines += ["| --- | --- | --- | --- | --- |"]
        lines += [f"| {name} | {a:.0%} | {b:.4f} | {c:.0%} | {d:.4f} |" for name, (a, b, c, d) in curves.items()]
    return "\n".join(lines) + "\n"


def _cell(column: str, value: float) -> str:
    if column.endswith(("90", "50")):
        return f"{value:.0%}"
    return f"{value:.2f}" if column.endswith("ratio") else f"{value:.4f}"


def main() -> None:
    """Score all, write OUT.md, OUT.json and the evidence that the package ships."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, default=Path("../shared/data/eval"))
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/results/learn_discrepancy"))
    options = parser.parse_args()
    tables = studies(options.tables)
    learned = sf.learn_discrepancy(tables, progress=False)
    base, other = learned.summary().loc["law only"], bootstrap(tables)
    for what in ("loss", "size"):
        other[f"{what} ratio"] = other[f"{what} crps"] / base[f"{what} crps"]
    options.output.with_suffix(".md").write_text(written(learned, other, training_curves(tables)))
    evidence = asdict(learned.evidence)
    SHIPPED.write_text(json.dumps(evidence, indent=1) + "\n")
    document = {"discrepancy": asdict(learned.discrepancy), "evidence": evidence, "chosen": learned.chosen}
    document["methods"] = json.loads(learned.summary().to_json(orient="index"))
    options.output.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
