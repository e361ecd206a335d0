"""What `recipes.py` measures where the truth is known: the same recipe twice, simulated gains, power, and speed."""

import time

import numpy as np
import pandas as pd

import scalefit as sf
from scalefit.model.discrepancy import Scales, coordinates
from scalefit.model.paths import AtPivots, sample_paths, values_at
from scalefit.recipes import Differences

TRUTH = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658, "sigma": 0.004, "nu": 4.0}
MODEL = sf.Model()
GAINS, RUNS, TARGET = (0.8, 1.0, 1.25, 1.5), (3, 4, 8), 1e22


def gain_of(a, b, at, seed=0):
    """The comparison of B with A at a budget, and what both take in CPU seconds."""
    start = time.process_time()
    fits = sf.fit_recipes({"A": a, "B": b}, baseline="A", seed=seed)
    middle = time.process_time()
    found = sf.compare_recipes(fits, at=at, budgets=at)["B"]
    return found, middle - start, time.process_time() - middle


def twice(splits=200, seed=0):
    """The 240 Chinchilla runs split at random: halves, and eight runs beside the rest; a row a split."""
    runs, rows = sf.datasets.load("chinchilla"), []
    for i in range(splits):
        rng = np.random.default_rng([seed, i])
        few = 120 if i % 2 else 8
        chosen = np.isin(np.arange(len(runs)), rng.choice(len(runs), few, replace=False))
        b, a = runs.split(chosen)
        found, *_ = gain_of(a, b, 1e23, i)
        rows.append({"few": few, "chance": found.chance, "verdict": found.verdict})
    return pd.DataFrame(rows)


class World:
    """Two recipes whose losses follow law, multipliers and discrepancies drawn from the priors in use."""

    def __init__(self, gain, seed):
        self.rng = np.random.default_rng(seed)
        differences, scales = Differences(), sf.Discrepancy().scales
        self.scales: Scales = scales[self.rng.integers(len(scales))]
        share = self.rng.choice(differences.own) * min(1.0, 4.0 / self.scales.compute_length) ** 2
        own = self.scales._replace(compute=share * self.scales.compute, allocation=share * self.scales.allocation)
        # Half of the gain in N and half in D on average, apart by as much as the prior has it.
        apart = self.rng.normal() * differences.multiplier
        self.multiplier = np.exp(0.5 * np.log(gain) + 0.5 * np.array([apart, -apart]))
        u = coordinates({"params": np.array([1e9]), "tokens": np.array([2e10])})
        self.at = [AtPivots.of(each, u) for each in (self.scales, own)]
        self.paths = [sample_paths([at], np.zeros(1, int), self.rng.normal(size=(1, 28)), self.rng) for at in self.at]

    def loss(self, recipe, n, d):
        """Expected loss of runs of a recipe, 0 or 1."""
        places = coordinates({"params": n, "tokens": d})
        f = sum(values_at([self.at[i]], np.zeros(1, int), self.paths[i], places)[0] for i in range(1 + recipe))
        rho = self.multiplier if recipe else (1.0, 1.0)
        return np.asarray(MODEL.law.loss(TRUTH, {"params": rho[0] * n, "tokens": rho[1] * d})) * np.exp(f)

    def runs(self, recipe, n, d):
        """A table, with noise."""
        noise = TRUTH["sigma"] * self.rng.standard_t(TRUTH["nu"], len(n))
        return {"params": n, "tokens": d, "loss": self.loss(recipe, n, d) * np.exp(noise)}

    def gain(self, flops):
        """The true gain at a budget."""
        log_c = np.linspace(-3, 3, 241)
        ratio = np.linspace(-4, 8, 121)
        c, r = np.meshgrid(flops * np.exp(log_c), ratio, indexing="ij")
        n = np.sqrt(c / 6 / np.exp(r))
        least = [self.loss(i, n.ravel(), (c / 6 / n).ravel()).reshape(c.shape).min(axis=1) for i in (0, 1)]
        return float(np.exp(np.interp(-least[1][120], -least[0], log_c)))


def simulated(repeats=15, seed=0):
    """Simulated gains; a row a world."""
    rows = []
    flops = np.repeat(np.geomspace(1e19, 1e21, 8), 10)
    n = np.sqrt(flops / 120) * np.tile(np.geomspace(0.1, 10, 10), 8)
    for gain in GAINS:
        for few in RUNS:
            for i in range(repeats):
                world = World(gain, [seed, int(100 * gain), few, i])
                c = np.geomspace(1e19, 3e20, few)
                sizes = np.sqrt(c / 120) * np.exp(world.rng.uniform(-0.7, 0.7, few))
                a, b = world.runs(0, n, flops / 6 / n), world.runs(1, sizes, c / 6 / sizes)
                found, *_ = gain_of(a, b, TARGET, i)
                low, q1, middle, q3, high = np.quantile(
                    found.draws["gain"], [0.05, 0.25, 0.5, 0.75, 0.95], method="nearest"
                )
                true = world.gain(TARGET)
                row = {"gain": gain, "runs": few, "true": true, "median": middle, "chance": found.chance}
                row |= {"c90": low < true < high, "c50": q1 < true < q3, "verdict": found.verdict}
                rows.append(row)
    return pd.DataFrame(rows)


def speed():
    """CPU seconds after compiling: two recipes of 240 and 4 runs, and twenty."""
    runs, rng = sf.datasets.load("chinchilla"), np.random.default_rng(0)
    small = np.flatnonzero(runs.flops < 1e20)
    others = {f"B{i}": runs.subset(rng.choice(small, 4, replace=False)) for i in range(19)}
    rows = []
    for count in (1, 19):
        some = {"A": runs} | dict(list(others.items())[:count])
        fits = sf.fit_recipes(some, baseline="A")
        sf.compare_recipes(fits, at=1e23)
        start = time.process_time()
        fits = sf.fit_recipes(some, baseline="A", seed=1)
        middle = time.process_time()
        sf.compare_recipes(fits, at=1e23)
        rows.append({"recipes": 1 + count, "fit": middle - start, "compare": time.process_time() - middle})
    return pd.DataFrame(rows)
