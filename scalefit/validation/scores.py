"""Proper scores of predictive draws. All are losses: smaller is better.

Gneiting and Raftery 2007 (J. Am. Stat. Assoc. 102, 359): CRPS is equation 21, the interval score equation 43.
"""

from collections.abc import Mapping

import numpy as np

from scalefit.runs import LARGEST_PLAUSIBLE_LOSS


def log_losses(draws: np.ndarray) -> np.ndarray:
    """ln of predicted losses, (draw, run), none above what knowing nothing costs.

    A few runs can leave noise so heavy-tailed that some draws leave the range of numbers, and every mean with them.
    """
    return np.log(np.clip(draws, 1 / LARGEST_PLAUSIBLE_LOSS, LARGEST_PLAUSIBLE_LOSS))


def crps(draws: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score, (run,): E|X - y| - E|X - X'| / 2.

    draws : (draw, run); one draw gives the absolute error.
    """
    ordered = np.sort(draws, axis=0)
    count = len(ordered)
    rank = 2 * np.arange(1, count + 1)[:, None] - count - 1
    return np.abs(draws - observed).mean(0) - (rank * ordered).sum(0) / count**2


def interval_score(lower: np.ndarray, upper: np.ndarray, observed: np.ndarray, prob: float) -> np.ndarray:
    """Width of a central interval, and 2 / (1 - prob) times how far the observation lies outside, (run,)."""
    miss = np.maximum(lower - observed, 0) + np.maximum(observed - upper, 0)
    return upper - lower + 2 / (1 - prob) * miss


def pit(draws: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Share of the draws below the observation, (run,): uniform where predictions are calibrated."""
    return (draws < observed).mean(0) + 0.5 * (draws == observed).mean(0)


def inside(pit_values: np.ndarray, prob: float) -> np.ndarray:
    """Whether each observation lies in the central interval of probability `prob`, from its PIT."""
    return np.abs(pit_values - 0.5) <= prob / 2


def clustered_error(values: np.ndarray, cluster: np.ndarray) -> float:
    """Standard error of the mean when runs of one cluster err together; NaN from a single cluster."""
    groups = np.unique(cluster, return_inverse=True)[1]
    if groups.max() == 0:
        return float("nan")
    sums = np.bincount(groups, values - values.mean())
    many = len(sums)
    return float(np.sqrt(many / (many - 1) * (sums**2).sum()) / len(values))


CLUSTER = 0.3  # held-out runs within this in ln compute err together


def _shared_error(values: np.ndarray, records: Mapping[str, np.ndarray]) -> float:
    """Standard error of a mean weighted by share, clustered by budget: a run in several splits errs with itself."""
    share, cluster = records["share"], np.round(np.log(records["flops"]) / CLUSTER).astype(int)
    return clustered_error(len(share) * share * (values - share @ values), cluster)
