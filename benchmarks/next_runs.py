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
from linearised import (
    COST,
    DESIGNS,
    LARGEST,
    LAW_ONLY,
    LINE,
    POOL,
    RATIO,
    TARGETS,
    Belief,
    World,
    optimum,
)

from scalefit.numerics.batches import Purse, greedy
from scalefit.numerics.sample_information import Decision, GaussianStep, variance_gain

RUNS = 5
CAP, SPEND = 3.0, 6.0  # of one run and of all, in units of the sweep's largest run
LIMITS = {"EVSI": 10.0, "EVSI, within 5 times": 5.0, "EVSI, any ratio": np.inf}  # of the middle ratio of the sweep
CHOSEN = "EVSI"


class Chooser:
    """One posterior, and the runs that every rule takes."""

    def __init__(self, belief, cost, ratio, middle, rng, again=True, spend=SPEND):
        self.belief, self.cost, self.ratio, self.middle, self.rng = belief, cost, ratio, middle, rng
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
        away = np.abs(np.log(self.ratio / self.middle))
        cost = np.where(away <= np.log(LIMITS.get(rule, LIMITS[CHOSEN])) + 1e-9, self.cost, np.inf)
        if rule in ("D-optimal", "V-optimal", "slope of the isoFLOP line"):
            cost = self.cost
        score = (lambda gain, cost: gain / cost) if rule == "EVSI per FLOP" else (lambda gain, cost: gain)
        return greedy(step, self.gain(rule), cost, purse, score)[0]

    def _simple(self, rule):
        taken, cost, belief = [], self.cost, self.belief
        flops = 6 * np.exp(belief.candidates.sum(1))
        off = belief.candidates[:, 0] - [optimum(belief.data.u, f, belief.data.centre) for f in flops]
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


def middle_ratio(at):
    """Geometric mean of tokens per parameter."""
    return np.exp((at[:, 1] - at[:, 0]).mean())


def one_world(seed, design, target, truth, rules=RULES):
    """The plan before and after every rule's runs."""
    world = World(seed, design, target, truth)
    belief, rng = world.after([]), np.random.default_rng(seed)
    before = {f"{name}_before": value for name, value in judge(world, belief).items()}
    chooser = Chooser(belief, COST, RATIO, middle_ratio(world.at), rng)
    for rule in rules:
        start = time.perf_counter()
        taken = chooser.runs(rule)
        seconds = time.perf_counter() - start
        row = {"truth": truth, "seed": seed, "design": design, "target": target, "rule": rule, "seconds": seconds}
        away = np.abs(np.log(RATIO[taken] / chooser.middle))
        row |= {"runs": len(taken), "spent": COST[taken].sum(), "promised": chooser.promise(taken)}
        row |= {"extreme": float((away[COST[taken] > 1] > 2.0).mean()) if (COST[taken] > 1).any() else np.nan}
        yield row | before | judge(world, world.after(taken, POOL[:0]) if taken else belief)


def worlds(count, truth, first=0):
    """All rules in worlds of one kind."""
    jobs = [(s, d, TARGETS[s // 8 % 2]) for s in range(first, first + count) for d in DESIGNS]
    return [row for job in jobs for row in one_world(*job, truth)]


def one_stop(seed, design, target, look, truth="learned"):
    """Run what is worth its price, refit, and stop where nothing is; a row for every step."""
    world, taken = World(seed, design, target, truth), []
    middle = middle_ratio(world.at)
    cost = np.where(np.abs(np.log(RATIO / middle)) <= np.log(LIMITS[CHOSEN]) + 1e-9, COST, np.inf)
    for step in range(9):
        belief = world.after(taken)
        worth, judged = belief.per_nat / LARGEST, judge(world, belief)
        chooser = Chooser(belief, COST, RATIO, middle, np.random.default_rng(seed))
        net = lambda gain, cost, worth=worth: gain * worth - cost
        score = net if look == 1 else (lambda gain, cost: gain / cost)
        batch, gained = greedy(chooser.step, lambda _, c=chooser: c.decision.gain, cost, Purse(CAP * look, look), score)
        nets = np.cumsum(np.array(gained) * worth - COST[batch]) if batch else np.zeros(1)
        best = float(nets.max())
        per_nat = -1 / ((np.interp(0, [0], [1])) * -1)
        yield {
            "seed": seed, "design": design, "target": target, "look": look, "step": step, "spent": COST[taken].sum(),
            "waste": judged["regret"] * worth, "net": best, "per_nat": per_nat, "regret": judged["regret"],
        }  # fmt: skip
        if best <= 0 or not batch:
            break
        taken.append(batch[0])


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["worlds", "stopping"])
    parser.add_argument("--truth", default="learned")
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--rows", type=Path, default=Path("rows"))
    given = parser.parse_args()
    given.rows.mkdir(exist_ok=True)
    if given.what == "worlds":
        rows, name = worlds(given.count, given.truth, given.first), f"worlds_{given.truth}_{given.first}"
    pd.DataFrame(rows).to_csv(given.rows / f"{name}.csv", index=False)


if __name__ == "__main__":
    main()
