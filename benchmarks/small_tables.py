"""Small, exact and dirty tables: how long a fit takes once its programs are compiled, and what comes of it.

    python benchmarks/small_tables.py [TABLE ...]      writes benchmarks/results/small_tables.md

Tables without noise, rounded to few digits or to float32, and of 6 to 16 rows of which one or two are wrong; the good
and bad tables of the tests; and every file given, such as odd inputs. Each is fitted, summarised with the discrepancy
and planned for; one of more than three seconds is run once more, so that no compilation is in its time, that of all
processor cores together.
"""

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from machine import describe, write_table

import scalefit as sf

RESULTS = Path(__file__).parent / "results"
AGAIN = 3.0  # seconds beyond which a fit may have compiled
MOST_SECONDS = 20.0
Random = np.random.Generator


def design(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """N and D of isoFLOP lines from 1e18 to 1e21 FLOP; a few rows are spread over them."""
    if rows <= 16:
        params = 3e7 * 3.0 ** (np.arange(rows) % 4)
        return params, params * 5 * 4.0 ** (np.arange(rows) // 4)
    flops = np.repeat(np.geomspace(1e18, 1e21, rows // 10), 10)
    params = np.sqrt(flops / 120) * np.tile(np.geomspace(0.1, 10, 10), rows // 10)
    return params, flops / 6 / params


def chinchilla(params: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Losses of the published law, exact."""
    return 1.8172 + 482.01 / params**0.3478 + 2085.43 / tokens**0.3658


def table(rows: int, change: Callable[[np.ndarray], np.ndarray]) -> sf.Runs:
    """Runs whose exact losses are changed."""
    params, tokens = design(rows)
    return sf.Runs({"params": params, "tokens": tokens, "loss": change(chinchilla(params, tokens))})


def with_bad_rows(bad: int, seed: int, noise: float, digits: int) -> Callable[[np.ndarray], np.ndarray]:
    """A change of losses: noise, rounding, and a few rows a third too high, or diverged."""

    def change(loss: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(seed)
        loss = np.round(loss * np.exp(noise * rng.standard_normal(len(loss))), digits)
        loss[rng.choice(len(loss), bad, replace=False)] *= rng.choice([1.05, 1.3, 2.5])
        return loss

    return change


def tables() -> Iterator[tuple[str, sf.Runs]]:
    """Name and runs."""
    for rows in (8, 12, 16, 80):
        yield f"exact, {rows} rows", table(rows, lambda loss: loss)
        yield f"exact, float32, {rows} rows", table(rows, lambda loss: loss.astype(np.float32).astype(float))
        for digits in (4, 2, 1):
            yield f"exact, {digits} decimals, {rows} rows", table(rows, lambda loss, k=digits: np.round(loss, k))
    for rows in (7, 8, 10, 12, 16):
        for bad in (0, 1, 2):
            for seed in range(2):
                yield f"{rows} rows, {bad} bad, seed {seed}", table(rows, with_bad_rows(bad, seed, 0.004, 4))
    for bad in (1, 3):
        yield f"exact, 80 rows, {bad} bad", table(80, with_bad_rows(bad, 0, 0.0, 12))


def of_the_tests() -> Iterator[tuple[str, sf.Runs]]:
    """Two tables of each good and bad kind that the tests of health know."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    import bad_tables

    for seed in range(2):
        for kind in (*bad_tables.GOOD, *bad_tables.BAD):
            yield f"{kind}, seed {seed}", bad_tables.table(kind, seed)


def read(path: str) -> tuple[str, sf.Runs | str]:
    """Name and runs of a file, or why it has none."""
    try:
        return Path(path).name, sf.read_runs(path)
    except sf.ScalefitError as refusal:
        return Path(path).name, refused(refusal)


def refused(refusal: Exception) -> str:
    """A refusal in a cell."""
    return f"{type(refusal).__name__}: {refusal}"[:120].replace("|", "/")


def ask(runs: sf.Runs) -> tuple[sf.Fit, bool]:
    """The fit, and whether its answers are finite."""
    fit = sf.fit(runs)
    numbers = fit.summary()[["median", "lower", "upper"]].to_numpy()
    plan = sf.plan(fit, 30 * fit.compute_range[1])
    return fit, bool(np.isfinite(numbers).all() and np.isfinite(plan.draws["loss"]).all())


def timed(runs: sf.Runs | str) -> list[object]:
    """Rows, CPU seconds, sigma, nu, alpha, health, and whether all answers are finite."""
    if isinstance(runs, str):
        return ["", 0.0, "", "", "", "", runs]
    seconds = AGAIN + 1
    for _ in range(2):
        if seconds > AGAIN:
            start = time.process_time()
            try:
                fit, finite = ask(runs)
            except sf.ScalefitError as refusal:
                return [len(runs), time.process_time() - start, *[""] * 4, refused(refusal)]
            seconds = time.process_time() - start
    medians = [float(np.median(fit.draws[name])) for name in ("sigma", "nu", "alpha")]
    return [len(runs), seconds, *medians, fit.health.verdict, "yes" if finite else "NO"]


def main() -> None:
    """Measure and write the table."""
    warnings.simplefilter("ignore")
    rows: list[list[object]] = []
    for name, runs in (*tables(), *of_the_tests(), *map(read, sys.argv[1:])):
        rows.append([name, *timed(runs)])
        print(*rows[-1], sep="; ", flush=True)
    seconds, slowest = max((float(str(row[2])), str(row[0])) for row in rows)
    where = f"{describe()}. The slowest took {seconds:.1f} CPU s ({slowest}); the aim is {MOST_SECONDS:g} s."
    header = ["table", "rows", "CPU s", "sigma", "nu", "alpha", "health", "finite"]
    write_table(RESULTS / "small_tables.md", "Small, exact and dirty tables", where, (header, rows))


if __name__ == "__main__":
    main()
