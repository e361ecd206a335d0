"""Which runs next? The value of runs chosen by expected value of sample information, against other rules.

    python benchmarks/next_runs.py worlds --truth learned --count 120 --rows rows     # rougher, smoother, laboratory
    python benchmarks/next_runs.py stopping --count 40 --rows rows
    python benchmarks/next_runs.py sweeps --tables ../shared/data/eval --rows rows
    python benchmarks/next_runs.py engine --count 12 --rows rows
    python benchmarks/next_runs.py nested --rows rows
    python benchmarks/next_runs.py speed --rows rows
    python benchmarks/next_runs.py report --rows rows -o benchmarks/results/next_runs.md

Worlds, stop rule and sweeps take their posteriors from `linearised.py`, which needs milliseconds where the full engine
needs a fifth of a second; the selection is the package's own, on 1,000 draws. "engine" and "nested" use the full
engine throughout.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from learn_discrepancy import studies
from linearised import (
    COST,
    DESIGNS,
    LARGEST,
    LAW_ONLY,
    LEARNED,
    LINE,
    POOL,
    RATIO,
    TARGETS,
    Belief,
    Data,
    World,
    optimum,
    posteriors,
)
from next_runs_tables import report

import scalefit as sf
from scalefit.numerics.batches import Purse, greedy
from scalefit.numerics.sample_information import Decision, GaussianStep, variance_gain

RUNS = 5
CAP, SPEND = 3.0, 6.0  # of one run and of all, in units of the sweep's largest run
LIMITS = {
    "EVSI": 20.0,
    "EVSI, within 10 times": 10.0,
    "EVSI, within 5 times": 5.0,
    "EVSI, any ratio": np.inf,
}  # of the middle ratio of the sweep
CHOSEN = "EVSI"
MOST_STEPS, REPEATS = 9, 2
RESOLVED = 8.0  # times the regret over the number of draws: what these resolve


class Chooser:
    """One posterior, and the runs that every rule takes."""

    def __init__(self, belief, cost, ratio, rng, again=True, spend=SPEND):
        self.belief, self.cost, self.ratio, self.rng = belief, cost, ratio, rng
        self.again, self.spend = again, spend
        self.losses, self.seen = belief.draws()
        self.decision = Decision(self.losses)
        k = self.decision.best
        i = int(np.clip(k, 3, len(LINE) - 4))
        log_loss = np.log(self.losses)
        self.extra = np.column_stack([log_loss[:, k], log_loss[:, i + 3] - log_loss[:, i - 3]])
        self.step = GaussianStep.of(np.column_stack([self.decision.asked, self.extra]), self.seen, belief.noise)
        self.law = Belief(belief.data, belief.budget, belief.candidates, LAW_ONLY)

    def gain(self, rule):
        """From the number of runs taken to the gain that a rule looks at."""
        level, tilt = (variance_gain(len(LINE) + row, float(self.extra[:, row].var(ddof=1))) for row in range(2))
        information = lambda step: np.log1p(np.maximum(np.diag(step.own), 0) / step.noise)
        by_rule = {
            "D-optimal": lambda _: information,
            "V-optimal": lambda _: level,
            "slope of the isoFLOP line": lambda _: tilt,
            "V, then EVSI": lambda taken: self.decision.gain if taken else level,
        }
        return by_rule.get(rule, lambda _: self.decision.gain)

    def law_step(self):
        """The law alone, linearised: what D-optimality is computed with."""
        _, cov, noise, _ = self.law.parts
        k = len(LINE)
        return GaussianStep(cov[0][:k, k + 1 :], cov[0][k + 1 :, k + 1 :], float(noise[0]), np.zeros((k, 0)))

    def runs(self, rule):
        """The candidates that a rule takes."""
        if rule in ("random", "cheapest", "largest", "isoFLOP line"):
            return self._simple(rule)
        purse = Purse(self.spend, RUNS, self.again)
        step = self.law_step() if rule == "D-optimal" else self.step
        cost = np.where(within(self.ratio, self.belief.data.at, rule), self.cost, np.inf)
        if rule in ("D-optimal", "V-optimal", "slope of the isoFLOP line"):
            cost = self.cost
        score = (lambda gain, cost: gain / cost) if rule == "EVSI per FLOP" else (lambda gain, cost: gain)
        return greedy(step, self.gain(rule), cost, purse, score)[0]

    def _simple(self, rule):
        taken, cost, belief = [], self.cost, self.belief
        flops = 6 * np.exp(belief.candidates.sum(1))
        off = belief.candidates[:, 0] - optimum(belief.data.u, flops, belief.data.centre)
        for wish in (-1.2, 1.2, -0.6, 0.6, 0.0):
            left = self.spend - cost[taken].sum() - (RUNS - 1 - len(taken)) * cost.min()
            order = {
                "random": self.rng.random(len(cost)),
                "cheapest": cost + 1e-9 * self.rng.random(len(cost)),
                "largest": np.round(-np.log(cost), 1) + 0.01 * np.abs(off),
                "isoFLOP line": np.abs(np.log(cost * RUNS / self.spend)) + np.abs(off - wish),
            }[rule]
            repeated = np.isin(np.arange(len(cost)), taken) & (rule == "cheapest" or not self.again)
            taken.append(int(np.argmin(np.where((cost > 1.0001 * left) | repeated, np.inf, order))))
        return taken

    def promise(self, taken):
        """What these runs are expected to save."""
        step = self.step
        for each in taken:
            step = step.given(each)
        return float(self.decision.after(step)[0].mean()) if taken else 0.0


RULES = (
    "random", "cheapest", "largest", "isoFLOP line", "D-optimal", "V-optimal", "slope of the isoFLOP line",
    "V, then EVSI", "EVSI per FLOP", *LIMITS,
)  # fmt: skip


LESSER = ("cheapest", "largest", "EVSI per FLOP", "EVSI, within 5 times", "EVSI, any ratio")
MAIN = tuple(rule for rule in RULES if rule not in LESSER)
WITH_ALL = 16  # worlds, in which the lesser rules are measured too


def crps(draws, truth):
    """Of an ensemble."""
    s, k = np.sort(draws), len(draws)
    return np.abs(s - truth).mean() - ((2 * np.arange(1, k + 1) - k - 1) * s).sum() / k**2


def judge(world, belief):
    """Real and expected regret of the plan, nats, and CRPS of ln of the least loss and of ln N at the optimum."""
    losses, _ = belief.draws(400, line_only=True)
    truth = world.log_n[np.argmin(world.line)]
    return {
        "regret": world.regret(belief.log_n[belief.plan]),
        "expected": float((losses[:, belief.plan] - losses.min(1)).mean()),
        "loss": crps(np.log(losses.min(1)), np.log(world.least)),
        "n": crps(belief.log_n[losses.argmin(1)], truth),
    }


def within(ratio, at, rule=None):
    """Whether ratios are near the middle one of runs made; for the rule that is the default, or within their range."""
    made = at[:, 1] - at[:, 0]
    times = np.log(LIMITS.get(rule, LIMITS[CHOSEN]))
    low, high = made.mean() - times, made.mean() + times
    if rule not in LIMITS or rule == CHOSEN:
        low, high = min(low, made.min()), max(high, made.max())
    return (np.log(ratio) >= low - 1e-9) & (np.log(ratio) <= high + 1e-9)


def one_world(seed, design, target, truth):
    """The plan before and after every rule's runs."""
    world = World(seed, design, target, truth)
    belief, rng = world.after([]), np.random.default_rng(seed)
    before = {f"{name}_before": value for name, value in judge(world, belief).items()}
    chooser = Chooser(belief, COST, RATIO, rng)
    for rule in RULES if seed < WITH_ALL else MAIN:
        start = time.perf_counter()
        taken = chooser.runs(rule)
        seconds = time.perf_counter() - start
        row = {"truth": truth, "seed": seed, "design": design, "target": target, "rule": rule, "seconds": seconds}
        away = np.abs(np.log(RATIO[taken]) - (world.at[:, 1] - world.at[:, 0]).mean())
        row |= {"runs": len(taken), "spent": COST[taken].sum(), "promised": chooser.promise(taken)}
        row |= {"extreme": float((away[COST[taken] > 1] > 2.0).mean()) if (COST[taken] > 1).any() else np.nan}
        yield row | before | judge(world, world.after(taken, POOL[:0]) if taken else belief)


def one_stop(seed, design, target):
    """Run what is worth its price, refit, and stop where nothing is; or always run one batch. Costs in largest runs."""
    world = World(seed, design, target)
    cost = np.where(within(RATIO, world.at), COST, np.inf)
    first = world.after([])
    waste = lambda belief: world.regret(belief.log_n[belief.plan]) * world.per_nat / LARGEST
    start = {"seed": seed, "design": design, "target": target, "waste_before": waste(first)}
    for rule in ("one at a time", "always"):
        taken, belief = [], first
        for _ in range(MOST_STEPS if rule != "always" else 1):
            chooser = Chooser(belief, COST, RATIO, np.random.default_rng(seed))
            gain, least = (
                (lambda _, c=chooser: c.decision.gain),
                RESOLVED * chooser.decision.regret / len(chooser.losses),
            )
            worth = belief.per_nat / LARGEST
            if rule == "always":
                taken = greedy(chooser.step, gain, cost, Purse(SPEND, RUNS))[0]
            else:
                purse, net = Purse(CAP, 1), lambda gain, cost, worth=worth: gain * worth - cost
                more = greedy(chooser.step, gain, cost, purse, net, least)[0]
                if not more:
                    break
                taken += more
            belief = world.after(taken)
        spent = float(COST[taken].sum())
        yield start | {"rule": rule, "runs": len(taken), "spent": spent, "waste": waste(belief)}


def minima(runs):
    """Compute and ln N at the minimum of each isoFLOP line of a table."""
    flops, log_n, log_loss = runs.flops, np.log(runs.params), np.log(runs.loss)
    group = np.round(np.log(flops), 1)
    for each in np.unique(group):
        some = np.flatnonzero(group == each)
        some = some[np.argsort(log_loss[some])[:6]]
        if len(np.unique(log_n[some])) >= 5:
            middle = log_n[some].mean()
            bend, tilt, _ = np.polyfit(log_n[some] - middle, log_loss[some], 2)
            best = middle - tilt / (2 * bend)
            if bend > 1e-3 and log_n[some].min() < best < log_n[some].max():
                yield float(np.median(flops[some])), best


def one_sweep(name, runs):
    """From the cheapest third of the smaller runs, five more of them: forecasts of the larger ones."""
    largest = runs.flops.max()
    cut = next(c for c in (3.0, 10.0, 30.0, 100.0) if (runs.flops > 1.02 * largest / c).sum() >= 4)
    at = np.log(np.column_stack([runs.params, runs.tokens]))
    small = np.flatnonzero(runs.flops <= 1.02 * largest / cut)
    small, held = small[np.argsort(runs.flops[small])], np.flatnonzero(runs.flops > 1.02 * largest / cut)
    count, found = max(8, len(small) // 3), list(minima(runs.subset(runs.flops > 1.02 * largest / cut)))
    for again in range(REPEATS):  # one run more or less can change a sweep's score threefold
        rng = np.random.default_rng([again, len(name)])
        rest = np.sort(rng.permutation(small[count:])[: int(0.8 * len(small[count:]))])
        if len(rest) <= RUNS:
            return
        cost = runs.flops[rest] / runs.flops[rest].max()
        belief = Belief(Data(at[small[:count]], runs.loss[small[:count]]), largest, at[rest])
        per = np.exp(at[:, 1] - at[:, 0])
        chooser = Chooser(belief, cost, per[rest], rng, again=False, spend=SPEND / CAP)
        chosen = {rule: chooser.runs(rule) for rule in RULES if rule != "EVSI per FLOP"}
        for rule, taken in {"none": [], "all": list(range(len(rest))), **chosen}.items():
            rows = np.r_[small[:count], rest[taken]]
            data = Data(at[rows], runs.loss[rows])
            row = {"study": name, "family": name.partition(":")[0], "again": again, "rule": rule, "runs": len(taken)}
            row["loss"] = loss_crps(data, at[held], np.log(runs.loss[held]))
            after = [(Belief(data, flops, at[:0]).draws(400, line_only=True)[0], data, flops, n) for flops, n in found]
            sizes = [crps((optimum(d.u, f, d.centre) + LINE)[draws.argmin(1)], n) for draws, d, f, n in after]
            yield row | {"n": np.mean(sizes) if sizes else np.nan}


def loss_crps(data, at, log_loss):
    """Mean CRPS of held-out ln losses, noise included."""
    mean, cov, noise, evidence = posteriors(data, at, LEARNED)
    share, rng = np.exp(evidence - evidence.max()), np.random.default_rng(0)
    pick = rng.choice(len(share), 800, p=share / share.sum())
    sd = np.sqrt(np.maximum(np.diagonal(cov, axis1=1, axis2=2), 0) + noise[:, None])
    draws = mean[pick] + sd[pick] * rng.standard_normal((800, 1))
    return float(np.mean([crps(draws[:, i], value) for i, value in enumerate(log_loss)]))


def as_runs(at, losses):
    """A table."""
    return sf.Runs({"params": np.exp(at[:, 0]), "tokens": np.exp(at[:, 1]), "loss": losses}, name="world")


def table_of(rows):
    """Candidates of `POOL`."""
    return {"params": np.exp(POOL[rows, 0]), "tokens": np.exp(POOL[rows, 1])}


def decided(fit, budget):
    """ln N of the plan of least expected loss, and its expected regret, by the full engine."""
    found = sf.next_runs(fit, budget, spend=LARGEST, candidates=table_of([60]))
    return np.log(found.params), found.regret


def one_engine(seed, design, target=30.0):
    """A world whose posteriors, choice of runs and plans are those of the full engine."""
    world = World(seed, design, target)
    chooser = Chooser(world.after([]), COST, RATIO, np.random.default_rng(seed))
    fit = sf.fit(as_runs(world.at, world.losses))
    near = np.flatnonzero(within(RATIO, world.at))
    found = sf.next_runs(fit, world.budget, spend=SPEND * LARGEST, candidates=table_of(near))
    log_n, expected = decided(fit, world.budget)
    before = {"regret_before": world.regret(log_n), "expected_before": expected}
    chosen = {rule: chooser.runs(rule) for rule in ("random", "isoFLOP line", "D-optimal")}
    for rule, taken in {**chosen, CHOSEN: [int(near[run]) for run in found.batch.runs]}.items():
        log_n, expected = decided(sf.fit(as_runs(*world.with_results(taken))), world.budget)
        row = {"seed": seed, "design": design, "rule": rule, "runs": len(taken), "spent": COST[taken].sum()}
        row |= {"promised": found.batch.value if rule == CHOSEN else np.nan, "agreement": found.check.agreement}
        yield row | before | {"regret": world.regret(log_n), "expected": expected}


def one_nested(seed, design, ranks=(0, 10), outcomes=20, target=30.0):
    """The value of single runs by nested simulation: an outcome, the full engine again, the plan again."""
    world = World(seed, design, target)
    table = as_runs(world.at, world.losses)
    fit = sf.fit(table)
    near = np.flatnonzero(within(RATIO, world.at))
    found = sf.next_runs(fit, world.budget, spend=SPEND * LARGEST, candidates=table_of(near))
    at_budget = lambda log_n: {"params": np.exp(log_n), "tokens": world.budget / 6 / np.exp(log_n)}
    for rank in ranks:
        run = int(found.order[rank])
        place = {"params": found.candidates.params[[run]], "tokens": found.candidates.tokens[[run]]}
        expected = fit.predict(place, noise=False)
        logged = fit.add_noise(expected)[:, 0]
        picks = np.argsort(expected[:, 0])[(2 * np.arange(outcomes) + 1) * len(logged) // (2 * outcomes)]
        saved = []
        for loss in logged[picks]:
            columns = {name: np.append(table[name], place[name]) for name in ("params", "tokens")}
            later = sf.fit(sf.Runs(columns | {"loss": np.append(table.loss, loss)}, name="nested"))
            log_n, _ = decided(later, world.budget)
            losses = later.predict(at_budget(np.array([np.log(found.params), log_n])), noise=False).mean(axis=0)
            saved.append(losses[0] - losses[1])
        reweighed = dict(zip(found.check.runs, found.check.values, strict=True)).get(run, np.nan)
        row = {"seed": seed, "design": design, "rank": rank + 1, "regret": found.regret, "value": found.values[run]}
        row |= {"reweighed": reweighed, "nested": np.mean(saved), "nested_se": np.std(saved, ddof=1) / outcomes**0.5}
        yield row


def speed():
    """Seconds, of wall and of CPU, the least of several: after the posterior is made, and after compiling."""
    world = World(0, "random", 30.0)
    chooser = Chooser(world.after([]), COST, RATIO, np.random.default_rng(0))
    ask = lambda: greedy(
        GaussianStep.of(chooser.decision.asked, chooser.seen, 1e-5),
        lambda _: chooser.decision.gain,
        COST,
        Purse(SPEND, RUNS),
    )
    fit = sf.fit(as_runs(world.at, world.losses))
    rng = np.random.default_rng(0)
    many = {"params": 10 ** rng.uniform(8, 9.4, 400), "tokens": 10 ** rng.uniform(9.5, 10.4, 400)}
    whole = lambda: sf.next_runs(fit, world.budget, spend=SPEND * LARGEST, candidates=many)
    whole()
    for what, task in (("121 candidates, a batch of five", ask), ("sf.next_runs, 400 candidates", whole)):
        clocks = []
        for _ in range(7):
            wall, cpu = time.perf_counter(), time.process_time()
            task()
            clocks.append((time.perf_counter() - wall, time.process_time() - cpu))
        yield {"what": what, "wall": min(c[0] for c in clocks), "cpu": min(c[1] for c in clocks)}


def rows_of(given):
    """What a part of the benchmark measures, one case after another."""
    seeds = range(given.first, given.first + given.count)
    if given.what == "worlds":
        jobs = (one_world(s, d, TARGETS[s // 8 % 2], given.truth) for s in seeds for d in DESIGNS)
    elif given.what == "stopping":
        jobs = (one_stop(s, d, TARGETS[s // 8 % 2]) for s in seeds for d in DESIGNS)
    elif given.what == "sweeps":
        jobs = (one_sweep(*each) for each in studies(given.tables).items())
    elif given.what == "engine":
        jobs = (one_engine(s, d) for s in seeds for d in DESIGNS)
    elif given.what == "nested":
        jobs = (one_nested(s, DESIGNS[s % 3]) for s in seeds)
    else:
        jobs = (speed(),)
    return jobs


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["worlds", "stopping", "sweeps", "engine", "nested", "speed", "report"])
    parser.add_argument("--truth", default="learned")
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--tables", type=Path, default=Path("../shared/data/eval"))
    parser.add_argument("--rows", type=Path, default=Path("rows"))
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    given.rows.mkdir(exist_ok=True)
    if given.what == "report":
        given.output.write_text(report(given.rows))
        return
    name = f"{given.what}_{given.truth}_{given.first}.csv"
    found = []
    for job in rows_of(given):  # what is done is kept
        found += job
        pd.DataFrame(found).to_csv(given.rows / name, index=False)


if __name__ == "__main__":
    main()
