"""Who finds the truth? Simulated sweeps with a known law, every method side by side.

    python benchmarks/recovery.py [--tables 20]      writes benchmarks/results/recovery.md

Each scenario changes one thing of a plain sweep: the ratio of the exponents, where and how wide the sizes lie, the
noise, outliers, a single ray, or a truth outside the law. For a, ln N_opt (at ten times the largest budget) and E:
share of the 90 % intervals that hold the truth, their median width, and the median and largest error of the estimate;
and how often the health verdict or a refusal warned the user.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from machine import describe, interval, write_table

import scalefit as sf

BUDGETS = np.geomspace(1e19, 1e21, 6)
TARGET = 1e22
FIT_ENGINES = {
    "posterior": sf.NUTS(chains=4, draws=500, warmup=300),
    "Huber, bootstrap": sf.Bootstrap(sf.Huber(), resamples=500),
    "least squares, bootstrap": sf.Bootstrap(sf.LeastSquares(), resamples=500),
    "VPNLS, bootstrap": sf.Bootstrap(sf.VPNLS(), resamples=500),
}


@dataclass(frozen=True)
class Scenario:
    """A sweep: exponents, the factor by which sizes range and lie off the optimum, noise, and what is odd about it."""

    alpha: float = 0.35
    beta: float = 0.35
    width: float = 6.0
    off_centre: float = 1.0
    drift: float = 0.0
    noise: float = 0.004
    outliers: int = 0
    ray: bool = False
    outer: float = 1.0

    def truth(self) -> dict[str, float]:
        """E, a and ln N_opt at the target; for an outer exponent the optimum is the inner law's."""
        a = self.beta / (self.alpha + self.beta)
        return {"E": 1.8, "a": a, "N_opt": float(np.log(self.optimum(np.array([TARGET]))[0]))}

    def optimum(self, flops: np.ndarray) -> np.ndarray:
        """N_opt: terms of 0.4 nats each at 1e9 parameters and 2e10 tokens."""
        log_a, log_b = np.log(0.4) + self.alpha * np.log(1e9), np.log(0.4) + self.beta * np.log(2e10)
        level = (np.log(self.alpha / self.beta) + log_a - log_b) / (self.alpha + self.beta)
        return np.exp(level + self.beta / (self.alpha + self.beta) * np.log(flops / 6))

    def runs(self, seed: int) -> sf.Runs:
        """Sixty runs on six budgets."""
        rng = np.random.default_rng(seed)
        flops = np.repeat(BUDGETS, 10)
        spread = np.tile(np.geomspace(1 / self.width, self.width, 10), 6)
        params = self.optimum(flops) * spread * self.off_centre * (flops / BUDGETS[0]) ** self.drift
        if self.ray:
            params = np.sqrt(flops / 120) * np.exp(rng.normal(0, 0.01, 60))
        tokens = flops / 6 / params
        n, d = 0.4 * (params / 1e9) ** -self.alpha, 0.4 * (tokens / 2e10) ** -self.beta
        reducible = (n ** (1 / self.outer) + d ** (1 / self.outer)) ** self.outer
        log_noise = self.noise * rng.standard_normal(60)
        log_noise[rng.choice(60, self.outliers, replace=False)] += 10 * self.noise
        return sf.Runs({"params": params, "tokens": tokens, "loss": (1.8 + reducible) * np.exp(log_noise)})


SCENARIOS = {
    "plain: alpha = beta": Scenario(),
    "alpha / beta = 2": Scenario(alpha=0.5, beta=0.25),
    "alpha / beta = 3": Scenario(alpha=0.6, beta=0.2),
    "sizes 3 times too large": Scenario(off_centre=3.0),
    "sizes drifting with compute": Scenario(drift=0.15),
    "narrow sizes, x2": Scenario(width=2.0),
    "wide sizes, x16": Scenario(width=16.0),
    "noise .002": Scenario(noise=0.002),
    "noise .05": Scenario(noise=0.05),
    "3 outliers in 60": Scenario(outliers=3),
    "D = 20 N only": Scenario(ray=True),
    "outside the law: outer exponent .6": Scenario(outer=0.6),
}


def ask(method: str, runs: sf.Runs) -> tuple[dict[str, np.ndarray], bool]:
    """Draws of E, a and ln N_opt, and whether the user was warned; no draws where the method refused."""
    try:
        if method == "approach 2":
            path = sf.approaches.isoflop(runs, resamples=300)
            return {"a": path.a, "N_opt": np.log(path.optimal_params(TARGET)[:, 0])}, False
        fit = sf.fit(runs, engine=FIT_ENGINES[method], progress=False)
    except sf.ScalefitError:
        return {}, True
    found = {"E": fit.draws["E"].reshape(-1), "a": fit.law_derived["a"].reshape(-1)}
    return found | {"N_opt": np.log(fit.frontier(TARGET, discrepancy=False).params[:, 0])}, fit.health.verdict != "ok"


def study(scenario: Scenario, method: str, tables: int) -> list[object]:
    """One row: warned, then coverage, width, median and largest error of each quantity."""
    truth = scenario.truth()
    answers = [ask(method, scenario.runs(seed)) for seed in range(tables)]
    row: list[object] = [f"{np.mean([warned for _, warned in answers]):.0%}"]
    for name, true in truth.items():
        found = np.array([interval(draws[name], 0.9) for draws, _ in answers if name in draws])
        row.append(_cell(found, true) if len(found) else "–")
    return row


def _cell(found: np.ndarray, true: float) -> str:
    middle, low, high = found.T
    error = np.abs(middle - true)
    held = np.mean((low <= true) & (true <= high))
    return f"{held:.0%}; {np.median(high - low):.2g}; {np.median(error):.2g}, {error.max():.2g}"


def main() -> None:
    """Run every scenario and method, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, default=20, help="simulated sweeps a scenario")
    tables = parser.parse_args().tables
    methods: list[str] = [*FIT_ENGINES, "approach 2"]
    rows = []
    for name, scenario in SCENARIOS.items():
        for method in methods:
            rows.append([name, method, *study(scenario, method, tables)])
            print(rows[-1], flush=True)
    cell = "90 % interval holds the truth; its median width; median, largest error"
    error = f"standard error of a 90 % coverage: {np.sqrt(0.09 / tables):.0%}"
    where = f"{describe()}; {tables} simulated tables a scenario ({error})"
    header = ["scenario", "method", "warned", f"E: {cell}", "a", f"ln N_opt at {TARGET:.0e} FLOP"]
    write_table(Path(__file__).parent / "results" / "recovery.md", "Recovery of a known truth", where, (header, rows))


if __name__ == "__main__":
    main()
