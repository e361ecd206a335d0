"""Coverage of nominal intervals for runs beyond the data: a picture; and of runs inside.

Beyond: the cases of learn_discrepancy.py, every sweep cut at C_max/3, /10 and /30, each (study, cut) weighing the same.
Inside: five random folds of every sweep, each sweep weighing the same. Intervals with discrepancy take the
scales that learn_discrepancy.json chose with the study's family left out.

    python benchmarks/interval_coverage.py --tables ../shared/data/eval -o benchmarks/results/coverage
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from learn_discrepancy import BOOTSTRAP, studies
from machine import describe, write_table
from matplotlib import pyplot as plt

import scalefit as sf
from scalefit.validation.extrapolation import Case, cases, sizes_at_minima
from scalefit.validation.learn_discrepancy import LAW_ONLY, default_candidates
from scalefit.validation.scores import crps, inside, log_losses, pit

LEVELS = np.round(np.linspace(0.05, 0.95, 19), 2)
JOINT = "with discrepancy"
METHODS = {LAW_ONLY: False, BOOTSTRAP: False, JOINT: True}  # whether the discrepancy is included
COLORS = {LAW_ONLY: "#c2410c", BOOTSTRAP: "#7e22ce", JOINT: "#1d4ed8"}
CHOSEN = Path(__file__).parent / "results" / "learn_discrepancy.json"


def held(draws: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Share inside the central interval of each of `LEVELS`; NaN where nothing was observed."""
    if not len(observed):
        return np.full(len(LEVELS), np.nan)
    place = pit(draws, observed)
    return np.array([inside(place, level).mean() for level in LEVELS])


def fitted(listed: list[Case], method: str) -> list[sf.Fit]:
    """The fit of every case, with the scales chosen without its family."""
    engine = sf.Bootstrap(sf.Huber(), resamples=500) if method == BOOTSTRAP else sf.AIS(draws=500)
    fits = sf.fit_many([case.train for case in listed], engine=engine, progress=False)
    chosen, scales = json.loads(CHOSEN.read_text())["chosen"], default_candidates()
    of = [scales[chosen[case.family]] for case in listed]
    return [replace(fit, model=replace(fit.model, discrepancy=of[i])) for i, fit in fits.fitted()]


def curves(listed: list[Case], method: str) -> dict[str, np.ndarray]:
    """Of losses and of best sizes, each (case, level), by one method."""
    included = METHODS[method]
    found: dict[str, list[np.ndarray]] = {"loss": [], "size": []}
    for case, fit in zip(listed, fitted(listed, method), strict=True):
        losses = log_losses(fit.predict(case.held, discrepancy=included))
        found["loss"].append(held(losses, np.log(case.held.loss)))
        _, draws, best = sizes_at_minima(fit, case.held, included)
        found["size"].append(held(draws, best))
    return {what: np.array(rows) for what, rows in found.items()}


def folds(tables: dict[str, sf.Runs]) -> list[Case]:
    """Every sweep five times, without a fifth of its runs drawn at random."""
    parts = [(name, table, train) for name, table in tables.items() for _, train in sf.random_folds(5)(table)]
    return [Case(name, 1.0, table.subset(train), table.subset(~train)) for name, table, train in parts]


def interpolation(listed: list[Case]) -> list[list[object]]:
    """Rows: sweeps, then their mean: held-out runs, cover by the law alone and with discrepancy, CRPS ratio."""
    fits, found = fitted(listed, LAW_ONLY), {}
    for included in (False, True):
        pairs = [
            (log_losses(fit.predict(c.held, discrepancy=included)), np.log(c.held.loss))
            for c, fit in zip(listed, fits, strict=True)
        ]
        place = [pit(*pair) for pair in pairs]
        found[included] = [
            inside(np.concatenate(place), 0.9),
            inside(np.concatenate(place), 0.5),
            np.concatenate([crps(*p) for p in pairs]),
        ]
    of = np.concatenate([np.full(len(case.held), case.study, dtype=object) for case in listed])
    rows = []
    for study in dict.fromkeys(of):
        mean = [values[of == study].mean() for values_of in found.values() for values in values_of]
        rows.append([study, (of == study).sum(), mean[0], mean[1], mean[3], mean[4], mean[5] / mean[2]])
    rows.sort(key=lambda row: -row[-1])
    rows.append(["mean", "", *(np.mean([row[i] for row in rows]) for i in range(2, 7))])
    return [[*row[:2], *(f"{share:.0%}" for share in row[2:6]), float(row[6])] for row in rows]


def by_study(listed: list[Case], rows: np.ndarray) -> dict[str, np.ndarray]:
    """Study -> (level,), the mean over its cuts."""
    of = np.array([case.study for case in listed])
    return {
        study: np.nanmean(rows[of == study], axis=0)
        for study in dict.fromkeys(of)
        if not np.isnan(rows[of == study]).all()
    }


def picture(found: dict[str, dict[str, np.ndarray]], listed: list[Case], path: Path) -> None:
    """Two panels: losses, and sizes at isoFLOP minima. Bold: all cases; thin: each study; broken: the worst."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 5.2), layout="constrained")
    titles = {"loss": "losses of larger runs", "size": "best sizes at larger budgets (isoFLOP minima)"}
    for ax, (what, title) in zip(axes, titles.items(), strict=True):
        ax.plot([0, 1], [0, 1], color="black", lw=0.8, label="nominal")
        for method, color in COLORS.items():
            rows = found[method][what]
            ax.plot(LEVELS, np.nanmean(rows, axis=0), color=color, lw=2.4, label=method)
        each = by_study(listed, found[JOINT][what])
        worst = min(each, key=lambda study: each[study][-2])
        for curve in each.values():
            ax.plot(LEVELS, curve, color=COLORS[JOINT], lw=0.6, alpha=0.35)
        ax.plot(LEVELS, each[worst], "--", color=COLORS[JOINT], lw=1.6, label=f"the same, worst study\n({worst})")
        count = sum(not np.isnan(row).any() for row in found[JOINT][what])
        ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="nominal probability of an interval", title=f"{title}; {count} cases")
        ax.legend(fontsize=8, loc="upper left", framealpha=0.95)
    axes[0].set_ylabel("share of what was held out that lies inside")
    studied = len({case.study for case in listed})
    figure.suptitle(f"Coverage beyond the data: {studied} public sweeps, each predicted from its smaller runs")
    figure.savefig(path, dpi=130)


def main() -> None:
    """Write OUT.json, OUT.md and the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, default=Path("../shared/data/eval"))
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/results/coverage"))
    parser.add_argument("--plot", type=Path, default=Path("benchmarks/results/coverage.png"))
    options = parser.parse_args()
    tables = studies(options.tables)
    listed = cases(tables)
    found = {method: curves(listed, method) for method in METHODS}
    shares = {
        m: {w: np.nanmean(rows, axis=0).round(3).tolist() for w, rows in parts.items()} for m, parts in found.items()
    }
    document = {"made": describe(), "cases": len(listed), "nominal": LEVELS.tolist(), "held": shares, "studies": {}}
    for what in ("loss", "size"):
        each = by_study(listed, found[JOINT][what])
        document["studies"][what] = {study: curve.round(3).tolist() for study, curve in each.items()}
    options.output.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")
    picture(found, listed, options.plot)
    header = ["sweep", "held-out runs", "law alone: 90 %", "50 %", "with discrepancy: 90 %", "50 %", "CRPS ratio"]
    inner = header, interpolation(folds(tables))
    write_table(
        options.output.with_suffix(".md"), "Inside the data: five random folds, worst ratio first", describe(), inner
    )


if __name__ == "__main__":
    main()
