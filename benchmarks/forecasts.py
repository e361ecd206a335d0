"""Registered forecasts against a backtest of the same fits, and the shifts that an update was expected to make.

Every sweep is cut at a tenth of its largest compute. The fit to the smaller runs registers the larger ones; the files
are read again and scored; and the same runs are scored by `sf.backtest`, whose predictions are the draws themselves. A
file has 203 quantiles of them. Then outcomes of new runs are drawn from one fit's own prediction, and each is added by
`fit.update`: standardised shifts must be standard normal, about.

    python benchmarks/forecasts.py --tables ../shared/data/eval -o benchmarks/results/forecasts

Without the evaluation tables only the shipped ones are studied.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from learn_discrepancy import studies
from machine import describe

import scalefit as sf
from scalefit.counting.compute import EQUAL_COMPUTE
from scalefit.validation.extrapolation import cases
from scalefit.validation.scores import inside

NAMES = {"posterior": "registered", "posterior, law only": "law only", "huber": "point"}
SCORES = ("pit", "crps", "log_score")
BUDGETS = [1e22, 5.76e23]
FOLLOWED = ("E", "beta", "sigma", "N_opt[1e22]", "loss[1e22]", "N_opt[5.76e23]", "loss[5.76e23]")


def compared(tables: dict[str, sf.Runs], times: float) -> tuple[dict[str, np.ndarray], list[float], list[int]]:
    """Scores of every held-out run by both ways: name -> (record,); seconds and bytes of every file."""
    rows, seconds, sizes = [], [], []
    for case in cases(tables, [times]):
        table = sf.read_runs(tables[case.study])
        cut = EQUAL_COMPUTE * table.flops.max() / case.times
        engines = {"posterior": sf.Auto(), "huber": sf.Huber()}
        tested = sf.backtest(table, engines=engines, holdout=sf.above_compute(cut), progress=False)
        fit = sf.fit_many([case.train], progress=False)[0]
        with tempfile.TemporaryDirectory() as folder:
            start = time.process_time()
            inputs = {"params": case.held.params, "tokens": case.held.tokens}
            path = sf.register(fit, inputs).save(Path(folder) / "forecast.json")
            seconds.append(time.process_time() - start)
            sizes.append(path.stat().st_size // len(case.held))
            scored = sf.score(path, list(case.held.loss)).frame()
        for name, label in NAMES.items():
            if name not in tested.predictors:
                continue
            mine, theirs = scored[scored["predictor"] == label], tested.chosen(name)
            for score in SCORES:
                pairs = zip(mine[score], tested.records[score][theirs], strict=True)
                rows += [(case.family, label, score, run, *pair) for run, pair in enumerate(pairs)]
        print(case.study, len(case.held), f"{seconds[-1]:.1f} s", flush=True)
    names = ("family", "predictor", "score", "run", "registered", "backtest")
    return {name: np.array(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}, seconds, sizes


def equality(found: dict[str, np.ndarray]) -> list[dict]:
    """A row a predictor: coverage and scores by both ways, and how far they are apart."""
    rows = []
    for label in NAMES.values():
        row: dict = {"predictor": label}
        for score in SCORES:
            mine = (found["predictor"] == label) & (found["score"] == score)
            ours, theirs = found["registered"][mine], found["backtest"][mine]
            if score == "pit":
                row |= {"runs": len(ours), "largest difference of PIT": float(np.abs(ours - theirs).max())}
                for prob in (0.9, 0.5):
                    pair = inside(ours, prob), inside(theirs, prob)
                    row[f"cover_{100 * prob:.0f}"] = [float(each.mean()) for each in pair]
                    row[f"other_{100 * prob:.0f}"] = int((pair[0] != pair[1]).sum())
            else:
                row[score] = [float(ours.mean()), float(theirs.mean())]
        rows.append(row)
    return rows


def shifts(outcomes: int, fits: int = 4) -> dict[str, dict[str, float]]:
    """Standardised shifts of updates by outcomes that the fit itself predicts: for law-only quantities, by the law.

    Several seeds of the fit before, as the Monte Carlo error of its means is in all of its shifts.
    """
    runs = sf.datasets.load("chinchilla")
    old, new = runs.subset(runs.flops <= 1e20), runs.subset(runs.flops > 1e20).subset(np.arange(6))
    moves: dict[str, list] = {name: [] for name in FOLLOWED}
    actual: dict[str, float] = {}
    for seed in range(fits):
        fit = sf.fit(old, seed=seed)
        actual = actual or {n: m.standardised for n, m in fit.update(new, budgets=BUDGETS).moves.items()}
        for discrepancy in (False, True):
            losses = fit.predict(new, discrepancy=discrepancy)
            for draw in np.random.default_rng(seed).choice(len(losses), outcomes // fits, replace=False):
                table = {"params": new.params, "tokens": new.tokens, "loss": losses[draw]}
                found = fit.update(table, budgets=BUDGETS, discrepancy=discrepancy).moves
                for name in FOLLOWED:
                    if ("[" in name) == discrepancy:
                        moves[name].append(found[name])
    return {
        name: {
            "expected size": float(np.sqrt(np.mean([np.mean(m.expected**2) for m in some]))),
            "Monte Carlo error": float(np.mean([m.error for m in some])),
            "size": float(np.sqrt(np.mean([m.shift**2 for m in some]))),
            "standardised, root mean square": float(np.sqrt(np.mean([m.standardised**2 for m in some]))),
            "of the six runs themselves": actual[name],
        }
        for name, some in moves.items()
    }


def written(rows: list[dict], moved: dict, seconds: list[float], sizes: list[int], outcomes: int) -> str:
    """The results as Markdown."""
    lines = ["# Registered forecasts against the backtest of the same fits", "", describe(), ""]
    lines += [
        f"{len(seconds)} sweeps cut at a tenth of their largest compute. Two numbers are those of the file and of the "
        f"backtest. A file has {np.mean(sizes):,.0f} bytes a run, and takes {np.median(seconds):.1f} CPU s (median) to "
        "make, plan and point estimate included.",
        "",
        "| forecast | runs | inside 90 % | inside 50 % | runs inside by one way only, 90 and 50 % | "
        "largest difference of PIT | CRPS of ln loss | log score |",
        "| --- |" + " --- |" * 7,
    ]
    for row in rows:
        cells = [" | ".join(f"{value:.1%}" for value in row[f"cover_{p}"]).replace(" | ", ", ") for p in (90, 50)]
        scores = [", ".join(f"{value:.{d}f}" for value in row[name]) for name, d in (("crps", 5), ("log_score", 3))]
        lines.append(
            f"| {row['predictor']} | {row['runs']} | {cells[0]} | {cells[1]} | {row['other_90']}, {row['other_50']} | "
            f"{row['largest difference of PIT']:.4f} | {scores[0]} | {scores[1]} |"
        )
    lines += [
        "",
        "# Shifts that were expected",
        "",
        f"The 136 Chinchilla runs up to 1e20 FLOP, updated by six larger ones with {outcomes} outcomes drawn from the "
        "fit's own prediction (of four seeds; in standard deviations of the posterior before), and with their real "
        "losses. E, beta and sigma are of the law alone, and so are their outcomes.",
        "",
        f"| quantity | {' | '.join(next(iter(moved.values())))} |",
        "| --- |" + " --- |" * 5,
    ]
    lines += [f"| {name} | {' | '.join(f'{v:.2f}' for v in each.values())} |" for name, each in moved.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Compare, and write OUT.md and OUT.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, default=Path("../shared/data/eval"))
    parser.add_argument("--outcomes", type=int, default=30)
    parser.add_argument("--shifts", action="store_true", help="measure these alone; the rest is that of OUT.json")
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/results/forecasts"))
    options = parser.parse_args()
    if options.shifts:
        stored = json.loads(options.output.with_suffix(".json").read_text())
        rows, seconds, sizes = (stored[name] for name in ("forecasts", "seconds", "bytes a run"))
    else:
        found, seconds, sizes = compared(studies(options.tables), 10.0)
        rows = equality(found)
        print(json.dumps(rows), flush=True)
    moved = shifts(options.outcomes)
    options.output.with_suffix(".md").write_text(written(rows, moved, seconds, sizes, options.outcomes))
    document = {"forecasts": rows, "shifts": moved, "seconds": seconds, "bytes a run": sizes}
    options.output.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
