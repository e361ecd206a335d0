"""The reference posterior of the 240 Chinchilla runs, from a NUTS run far longer than any test.

python benchmarks/reference_posterior.py     writes tests/reference/chinchilla_240.json
"""

import json
from pathlib import Path

import numpy as np

import scalefit as sf

BUDGET = 5.76e23
OUT = Path(__file__).parents[1] / "tests" / "reference" / "chinchilla_240.json"


def main() -> None:
    """Sample 40 chains of 5,000 draws, refuse them unless they mixed, and write the figures."""
    engine = sf.NUTS(chains=40, draws=5000, warmup=1000, target_accept=0.9)
    fit = sf.fit(sf.datasets.load("chinchilla"), engine=engine, seed=20240415)
    table = fit.summary(0.9, [BUDGET], discrepancy=False)
    assert fit.health.verdict == "ok", fit.health
    assert table["r_hat"].max() < 1.001
    draws = {**fit.draws, **fit.law_derived, **fit.optima([BUDGET], discrepancy=False)}
    found = {
        name: dict(zip(("median", "q05", "q95"), np.quantile(values, [0.5, 0.05, 0.95]).tolist(), strict=True))
        | {"mean": float(values.mean()), "sd": float(values.std()), "ess": float(table.loc[name, "ess_bulk"])}
        for name, values in draws.items()
    }
    how = {
        "table": "chinchilla",
        "runs": len(fit.runs),
        "engine": fit.engine,
        "seed": fit.seed,
        "versions": fit.versions,
    }
    OUT.write_text(json.dumps({"how": how, "quantities": found}, indent=2) + "\n")
    print(table.to_string())


if __name__ == "__main__":
    main()
