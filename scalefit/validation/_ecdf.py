"""Ranks that should be uniform: how many lie below each value, and the band those counts leave as rarely as is said.

Säilynoja, Bürkner and Vehtari 2022 (arXiv 2103.10522). At one value the count is binomial; given it, so is what the
next value adds. The probability of staying inside a band all along is then a product of matrices: exact, no simulation.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int
from scipy.special import bdtr, bdtrc, gammaln

HALVINGS = 30  # of the interval in which ln depth is sought: to 1e-8


def rank(truth: float, draws: Float[np.ndarray, " draw"], rng: np.random.Generator) -> int:
    """How many draws lie below the truth; a place among equals is drawn at random. NaN lies above all else."""
    first, *others = np.nan_to_num(np.append(truth, draws), nan=np.inf, posinf=np.inf, neginf=-np.inf)
    return int(np.less(others, first).sum() + rng.integers(np.equal(others, first).sum() + 1))


def counts_below(ranks: Int[np.ndarray, " table"], steps: int) -> Int[np.ndarray, " step"]:
    """How many of the ranks, each one of 0 to steps - 1, lie below 1, 2, ... steps - 1."""
    return np.cumsum(np.bincount(ranks, minlength=steps))[:-1]


def depth(counts: Int[np.ndarray, " step"], total: int, steps: int) -> float:
    """Of counts below each value, (steps - 1,): the probability of the least probable tail that they reach."""
    return float(np.take_along_axis(_tails(total, steps), counts[:, None], axis=1).min())


def p_value(counts: Int[np.ndarray, " step"], total: int, steps: int) -> float:
    """The probability that `total` uniform ranks lie anywhere as deep in a tail as these."""
    return float(np.clip(1 - _staying(depth(counts, total, steps), total, steps), 0.0, 1.0))


@lru_cache(maxsize=16)
def band(total: int, steps: int, prob: float) -> tuple[Int[np.ndarray, " step"], Int[np.ndarray, " step"]]:
    """Least and largest count below each value, each (steps - 1,), that uniform ranks keep to with probability `prob`.

    With that or more: counts are whole numbers. All values share one depth of tail.
    """
    low, high = np.log((1 - prob) / (4 * steps)), np.log(0.5)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _staying(float(np.exp(middle)), total, steps) >= prob else (low, middle)
    return _limits(float(np.exp(low)), total, steps)


@lru_cache(maxsize=4)
def _tails(total: int, steps: int) -> Float[np.ndarray, "step count"]:
    """P(a count this low) or P(this high), the smaller, (steps - 1, total + 1)."""
    at, count = np.arange(1, steps)[:, None] / steps, np.arange(total + 1.0)
    return np.minimum(bdtr(count, total, at), np.where(count > 0, bdtrc(count - 1, total, at), 1.0))


def _limits(deepest: float, total: int, steps: int) -> tuple[Int[np.ndarray, " step"], Int[np.ndarray, " step"]]:
    """The least and the largest count at each value whose tail is more probable than `deepest`; -1 if there is none."""
    kept = _tails(total, steps) > deepest * (1 + 1e-9)  # tails that mirror each other differ in rounding
    return kept.argmax(axis=1), np.where(kept.any(axis=1), total - kept[:, ::-1].argmax(axis=1), -1)


@lru_cache(maxsize=256)
def _staying(deepest: float, total: int, steps: int) -> float:
    """The probability that uniform ranks are nowhere as deep in a tail as `deepest`."""
    lower, upper = _limits(deepest, total, steps)
    log_factorial = gammaln(np.arange(total + 1) + 1.0)
    before, reached = np.array([0]), np.array([1.0])
    for step, (low, high) in enumerate(zip(lower, upper, strict=True)):
        after, share = np.arange(low, high + 1), 1 / (steps - step)
        added = after - before[:, None]
        ways = (
            log_factorial[total - before][:, None] - log_factorial[np.maximum(added, 0)] - log_factorial[total - after]
        )
        log_prob = ways + added * np.log(share) + (total - after) * np.log1p(-share)
        before, reached = after, reached @ np.where(added >= 0, np.exp(log_prob), 0.0)
    return float(reached.sum())
