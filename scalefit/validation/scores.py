"""Proper scores of predictive draws. All are losses: smaller is better."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from scalefit.counting.compute import CLUSTER_WIDTH
from scalefit.loss_units import NATS, largest_plausible

FAR = 1e6


def log_losses(draws: Float[np.ndarray, "draw run"], unit: str = NATS) -> Float[np.ndarray, "draw run"]:
    """ln of predicted losses, cut at the loss of a model that knows nothing; far from any where the unit has none.

    A few runs can leave noise so heavy-tailed that some draws leave the range of numbers, and every mean with them.
    """
    largest = min(largest_plausible(unit), FAR)
    return np.log(np.clip(draws, 1 / largest, largest))


def crps(draws: Float[np.ndarray, "draw run"], observed: Float[np.ndarray, " run"]) -> Float[np.ndarray, " run"]:
    """Continuous ranked probability score, E|X - y| - E|X - X'| / 2.

    Parameters
    ----------
    draws
        Predicted; one draw gives the absolute error.
    observed
        What was predicted.

    Returns
    -------
    array (run,)
        In the unit of the draws.

    References
    ----------
    Gneiting and Raftery 2007 (J. Am. Stat. Assoc. 102, 359), equation 21.
    """
    ordered = np.sort(draws, axis=0)
    count = len(ordered)
    rank = 2 * np.arange(1, count + 1)[:, None] - count - 1
    return np.abs(draws - observed).mean(0) - (rank * ordered).sum(0) / count**2


def crps_of_quantiles(
    quantiles: Float[np.ndarray, " level"], levels: Float[np.ndarray, " level"], observed: float
) -> float:
    """`crps` of a distribution that is known by its quantiles: each of them has the mass about its level.

    Parameters
    ----------
    quantiles, levels
        Ascending.
    observed
        What was predicted.

    Returns
    -------
    float
        In the unit of the quantiles.
    """
    edges = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
    mass, rank = np.diff(edges), (edges[1:] + edges[:-1]) / 2
    return float(mass @ np.abs(quantiles - observed) - (mass * quantiles) @ (2 * rank - 1))


def interval_score(
    lower: Float[np.ndarray, " run"], upper: Float[np.ndarray, " run"], observed: Float[np.ndarray, " run"], prob: float
) -> Float[np.ndarray, " run"]:
    """Interval score: the width, and 2 / (1 - prob) times how far the observation lies outside.

    Parameters
    ----------
    lower, upper
        Ends of central intervals.
    observed
        What was predicted.
    prob
        Probability of the intervals.

    Returns
    -------
    array (run,)
        In the unit of the draws.

    References
    ----------
    Gneiting and Raftery 2007 (J. Am. Stat. Assoc. 102, 359), equation 43.
    """
    miss = np.maximum(lower - observed, 0) + np.maximum(observed - upper, 0)
    return upper - lower + 2 / (1 - prob) * miss


def pit(draws: Float[np.ndarray, "draw run"], observed: Float[np.ndarray, " run"]) -> Float[np.ndarray, " run"]:
    """Probability integral transform, the share of the draws below the observation: uniform if calibrated."""
    return (draws < observed).mean(0) + 0.5 * (draws == observed).mean(0)


def inside(pit_values: Float[np.ndarray, " run"], prob: float) -> Bool[np.ndarray, " run"]:
    """Whether each observation lies in the central interval of probability `prob`, from its PIT."""
    return np.abs(pit_values - 0.5) <= prob / 2


def clustered_error(values: Shaped[np.ndarray, " run"], cluster: Int[np.ndarray, " run"]) -> float:
    """Standard error of the mean when runs of one cluster err together.

    Parameters
    ----------
    values
        Of every run.
    cluster
        A label of every run.

    Returns
    -------
    float
        NaN from a single cluster.
    """
    groups = np.unique(cluster, return_inverse=True)[1]
    if groups.max() == 0:
        return float("nan")
    sums = np.bincount(groups, values - values.mean())
    many = len(sums)
    return float(np.sqrt(many / (many - 1) * (sums**2).sum()) / len(values))


def clustered_mean_error(values: Float[np.ndarray, " record"], records: Mapping[str, np.ndarray]) -> float:
    """Standard error of a mean weighted by share, clustered by budget: a run in several splits errs with itself.

    Parameters
    ----------
    values
        Of every record.
    records
        "share", the weights of the mean, and "flops", each (record,).

    Returns
    -------
    float
        NaN from a single budget.
    """
    share, cluster = records["share"], np.round(np.log(records["flops"]) / CLUSTER_WIDTH).astype(int)
    return clustered_error(len(share) * share * (values - share @ values), cluster)
