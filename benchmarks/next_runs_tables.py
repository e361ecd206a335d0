"""The tables of `next_runs.py`: paired means, because an optimum is flat and counts of better cases say little."""

from pathlib import Path

import numpy as np
import pandas as pd
from machine import describe

THOUSAND = 1e3
CHOSEN_ON = 64  # worlds
HEAD = """# Which runs next

`python benchmarks/next_runs.py` measures `sf.next_runs` (its docstring lists the parts). Worlds are a law and a path of
the discrepancy, drawn from the learned scales unless said otherwise, on which loss falls with parameters and tokens;
a sweep of 24 to 30 runs is made by one of three designs, and five more runs may be added, at most 3 (each) and 6 (all)
times the compute of the largest. The budget to be planned is 30 or 100 times it. Losses are in thousandths of a nat.
Worlds, stop rule and sweeps take posteriors from a linearised law (`linearised.py`), whose 1,000 draws go through the
package's own selection; "full engine" and "nested" use `sf.fit` and `sf.next_runs` throughout.

"EVSI" takes ratios of tokens to parameters within twenty times the middle one of the sweep, or within its range, as
`sf.next_runs` does by default. The rougher worlds are what the posterior does not allow for: expected regret is a
fifth of the real one there, and no choice of runs is reliably better than random.

"""


def read(rows: Path, name: str) -> pd.DataFrame:
    """All rows of a part, empty where there are none."""
    found = [pd.read_csv(file) for file in sorted(rows.glob(f"{name}_*.csv")) if file.stat().st_size > 1]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def table(frame: pd.DataFrame) -> str:
    """Markdown, the index first."""
    frame = frame.reset_index()
    lines = [list(map(str, frame.columns)), ["---"] * frame.shape[1]]
    lines += [[_cell(value) for value in row] for row in frame.itertuples(index=False)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "–" if np.isnan(value) else f"{value:.3g}"
    return str(value)


def paired(rows: pd.DataFrame, to: str, score: str = "regret", by: str = "seed") -> pd.DataFrame:
    """Mean difference from a rule, and its standard error over worlds or families."""
    index = [by, *(name for name in ("design", "target", "study", "again") if name in rows)]
    wide = rows.pivot_table(index=index, columns="rule", values=score)
    each = wide.sub(wide[to], axis=0).groupby(by).mean()
    return pd.DataFrame({"mean": each.mean(), "error": each.std() / np.sqrt(each.count())})


def by_rule(rows: pd.DataFrame) -> pd.DataFrame:
    """What every rule's runs do in worlds, each beside the rules of comparison on the same worlds."""
    found = {}
    differences = {to: paired(rows, to) for to in ("random", "D-optimal", "isoFLOP line")}
    before = rows.pivot_table(index=["seed", "design", "target"], values="regret_before")
    for rule, some in rows.groupby("rule", sort=False):
        cases = some.set_index(["seed", "design", "target"]).index
        random = rows[rows.rule == "random"].set_index(["seed", "design", "target"]).regret.loc[cases].mean()
        row = {"cases": len(some), "before": THOUSAND * before.loc[cases].regret_before.mean()}
        row |= {"after": THOUSAND * some.regret.mean(), "over before": some.regret.mean() / some.regret_before.mean()}
        row["over random's"] = some.regret.mean() / random
        for to, each in differences.items():
            mean, error = THOUSAND * each.loc[rule]
            row[f"- {to}"] = "–" if rule == to else f"{mean:+.2f} ± {error:.2f}"
        row["promised"] = THOUSAND * some.promised.mean()
        row["realised / promised"] = (some.regret_before - some.regret).mean() / some.promised.mean()
        row["expected / real regret"] = some.expected.mean() / some.regret.mean()
        row |= {"spent": some.spent.mean(), "CRPS ln L": some.loss.mean(), "CRPS ln N": some.n.mean()}
        found[rule] = row
    return pd.DataFrame(found).T.rename_axis("runs chosen by")


def by_design(rows: pd.DataFrame) -> pd.DataFrame:
    """Regret after, by design and target."""
    shown = ["random", "isoFLOP line", "D-optimal", "slope of the isoFLOP line", "EVSI"]
    wide = rows.pivot_table(index=["design", "target"], columns="rule", values="regret")[shown]
    before = rows.pivot_table(index=["design", "target"], values=["regret_before", "expected_before"])
    joined = before.rename(columns={"regret_before": "before", "expected_before": "expected before"}).join(wide)
    return (THOUSAND * joined).round(2)


def worlds(rows: Path) -> str:
    """Worlds of every kind of truth."""
    words = ""
    every = read(rows, "worlds")
    if every.empty:
        return words
    for truth, some in every.groupby("truth", sort=False):
        main = some[~some.rule.isin(set(some.rule) - set(some[some.seed == some.seed.max()].rule))]
        scales = {"learned": "the learned scales", "rougher": "an allocation discrepancy with lengths of 2 e-folds"}
        scales["smoother"] = "an allocation discrepancy with lengths of 5 and 7 e-folds"
        words += f"## Worlds of {scales.get(truth, truth)}: {some.seed.nunique()} worlds, three designs\n\n"
        words += "Paired differences of regret are means over worlds ± standard errors.\n\n"
        words += table(by_rule(main)) + "\n"
        if truth == "learned":
            lesser = some[some.seed.isin(some[~some.rule.isin(main.rule)].seed)]
            words += "By design and budget (times the largest run):\n\n" + table(by_design(main)) + "\n"
            later = by_rule(main[main.seed >= CHOSEN_ON])
            words += (
                "The limit of ratios was chosen on the sweeps below and on the first 64 of these worlds. Of the others "
                f"alone, {main[main.seed >= CHOSEN_ON].seed.nunique()} worlds:\n\n"
            )
            words += table(later[[*later.columns[:9]]]) + "\n"
            words += "All rules, in fewer worlds:\n\n"
            words += table(by_rule(lesser)[["cases", "before", "after", "- random", "spent"]]) + "\n"
    return words


def stopping(rows: Path) -> str:
    """The stop rule against never and always running more."""
    found = read(rows, "stopping")
    if found.empty:
        return ""
    found["gain"] = found.waste_before - found.waste - found.spent
    lines = {}
    for (design, rule), some in found.groupby(["design", "rule"], sort=False):
        each = some.groupby("seed").gain.mean()
        row = {"gain over never": f"{each.mean():+.1f} ± {each.std() / np.sqrt(len(each)):.1f}"}
        row |= {"runs": some.runs.mean(), "spent": some.spent.mean(), "stops at once": (some.runs == 0).mean()}
        lines[design, rule] = row | {"worse than never": (some.gain < -1e-9).mean()}
    wide = found.pivot_table(index=["seed", "design"], columns="rule", values="gain")
    apart = (wide["one at a time"] - wide["always"]).groupby("seed").mean()
    words = (
        "## When to stop\n\nOne run at a time, the one of most value beyond its price, refitted, until none is worth "
        "it; against never running more, and against one batch of five always. Gains are what the plan wastes less, "
        "less what was spent, in multiples of the sweep's largest run; means over worlds ± standard errors.\n\n"
    )
    lined = pd.DataFrame(lines).T.rename_axis(["design", "rule"])
    total = f"{apart.mean():+.1f} ± {apart.std() / np.sqrt(len(apart)):.1f}"
    return (
        f"{words}{table(lined)}\nOne at a time against always, all designs: {total}. It is right on average only.\n\n"
    )


def sweeps(rows: Path) -> str:
    """Public sweeps in retrospect."""
    found = read(rows, "sweeps")
    if found.empty:
        return ""
    lines = {}
    for score in ("loss", "n"):
        wide = found.pivot_table(index="family", columns="rule", values=score).dropna()
        mean = wide.mean()
        against = {
            to: paired(found[found.family.isin(wide.index)], to, score, "family") for to in ("random", "D-optimal")
        }
        for rule in mean.index:
            row = lines.setdefault(rule, {})
            name = "ln L" if score == "loss" else "ln N_opt"
            row[f"CRPS {name}"] = mean[rule]
            row["/ random's" if score == "loss" else "/ random's "] = mean[rule] / mean["random"]
            row["/ D-optimal's" if score == "loss" else "/ D-optimal's "] = mean[rule] / mean["D-optimal"]
            each = against["random"].loc[rule]
            row["- random" if score == "loss" else "- random "] = f"{each['mean']:+.4f} ± {each['error']:.4f}"
    families = [found.pivot_table(index="family", columns="rule", values=s).dropna().shape[0] for s in ("loss", "n")]
    words = (
        f"## Public sweeps in retrospect: {found.study.nunique()} sweeps of {families[0]} families, {families[1]} of "
        "them with isoFLOP minima\n\nFrom the cheapest third of the runs below a third of the largest compute, five "
        "more of the others, at most twice the largest of these; the larger runs are forecast. Every family weighs "
        "the same. A sweep of few runs offers few choices, and 5 families say little about ln N.\n\n"
    )
    of = found.pivot_table(index="family", columns="rule", values="n").dropna()
    some = of.to_numpy()[np.random.default_rng(0).integers(0, len(of), (4000, len(of)))].mean(axis=1)
    at = {rule: some[:, of.columns.get_loc(rule)] for rule in ("EVSI", "random", "D-optimal")}
    ends = (np.quantile(at["EVSI"] / at[rule], [0.05, 0.95]) for rule in ("random", "D-optimal"))
    said = " and ".join(f"{low:.2f} to {high:.2f}" for low, high in ends)
    return (
        f"{words}{table(pd.DataFrame(lines).T.rename_axis('runs chosen by'))}\nOver resampled families, 90 % of EVSI's "
        f"CRPS of ln N_opt are {said} times random's and D-optimal's.\n\n"
    )


def engine(rows: Path) -> str:
    """The full engine: worlds, nested simulation, speed."""
    words, some, nested, speed = "", *(read(rows, name) for name in ("engine", "nested", "speed"))
    if len(some):
        found = {}
        for rule, each in some.groupby("rule", sort=False):
            row = {"before": THOUSAND * each.regret_before.mean(), "after": THOUSAND * each.regret.mean()}
            for to in ("random", "D-optimal", "isoFLOP line"):
                mean, error = THOUSAND * paired(some, to).loc[rule]
                row[f"- {to}"] = "–" if rule == to else f"{mean:+.2f} ± {error:.2f}"
            row |= {"promised": THOUSAND * each.promised.mean(), "expected": THOUSAND * each.expected.mean()}
            found[rule] = row
        words += f"## Full engine: {some.seed.nunique()} worlds, three designs, 30 times\n\n"
        words += table(pd.DataFrame(found).T.rename_axis("runs chosen by")) + "\n"
    if len(nested):
        shown = nested.assign(**{name: THOUSAND * nested[name] for name in ("regret", "value", "reweighed")})
        pairs = zip(THOUSAND * nested.nested, THOUSAND * nested.nested_se, strict=True)
        shown["nested"] = [f"{mean:.3f} ± {error:.3f}" for mean, error in pairs]
        shown["standard errors apart"] = (nested.value - nested.nested) / nested.nested_se
        shown = shown.drop(columns=["nested_se", "seed"]).set_index("design")
        words += (
            "## Value against nested simulation, full engine\n\nTwenty outcomes of a run; each is added to the table, "
            "law, noise and discrepancy are fitted again, and the plan is made again. Candidates of the first and the "
            "eleventh rank.\n\n"
        )
        words += table(shown) + "\n"
    if len(speed):
        words += "## Seconds after the posterior is made and programs are compiled, least of seven\n\n"
        words += "Beside other programs; `cpu` is of this one alone.\n\n"
        words += table(speed.set_index("what")) + "\n"
    return words


def report(rows: Path) -> str:
    """All of it."""
    return f"{HEAD}{worlds(rows)}{engine(rows)}{stopping(rows)}{sweeps(rows)}{describe()}\n"
