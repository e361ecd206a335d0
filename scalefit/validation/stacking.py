"""Stacking: the weights under which a mixture of predictive densities scores best on runs that none was fitted to."""

import numpy as np
from jaxtyping import Float, Int

TOLERANCE = 1e-7  # nats per run by which the weights may fall short of the best
STEPS = 50_000


def stacking_weights(
    log_density: Float[np.ndarray, "law run"], share: Float[np.ndarray, " run"] | None = None
) -> Float[np.ndarray, " law"]:
    """Weights on the simplex that maximise sum_i share_i ln sum_k w_k p_ik.

    Parameters
    ----------
    log_density
        ln p of each run.
    share
        Weight of each run in the objective; all alike by default.

    Returns
    -------
    array (law,)
        The objective is concave, and EM's fixed point is its maximum; laws that predict alike share their weight.

    References
    ----------
    Yao, Vehtari, Simpson and Gelman 2018 (Bayesian Analysis 13, 917), equation 6.
    """
    density = np.exp(log_density - log_density.max(axis=0))
    count, runs = density.shape
    share = np.full(runs, 1 / runs) if share is None else share / share.sum()
    weights = np.full(count, 1 / count)
    for _ in range(STEPS):
        gain = _gain(weights, density, share)
        # By concavity no weights are better by more than this (Frank and Wolfe's gap).
        if gain.max() - 1 < TOLERANCE:
            break
        weights = weights * gain
    return weights / weights.sum()


def _gain(
    weights: Float[np.ndarray, " law"], density: Float[np.ndarray, "law run"], share: Float[np.ndarray, " run"]
) -> Float[np.ndarray, " law"]:
    """The objective's slope along each law's weight: 1 where a law is in use, at most 1 where it is not."""
    return (density / (weights @ density)) @ share


def mixture_log_density(
    weights: Float[np.ndarray, " law"], log_density: Float[np.ndarray, "law run"]
) -> Float[np.ndarray, " run"]:
    """ln sum_k w_k p_ik of each run."""
    top = log_density.max(axis=0)
    return top + np.log(weights @ np.exp(log_density - top))


def allocated(weights: Float[np.ndarray, " law"], total: int, seed: int) -> Int[np.ndarray, " law"]:
    """How many of `total` draws come from each law: systematic sampling, within one of weight times total."""
    start = np.random.default_rng(seed).uniform()
    ends = np.ceil(np.cumsum(weights) / weights.sum() * total - start).clip(0, total)
    ends[-1] = total
    return np.diff(ends, prepend=0).astype(int)


def evenly(count: int, available: int) -> Int[np.ndarray, " count"]:
    """Indices of `count` of the available draws, evenly spread over them; some twice where there are too few."""
    return np.arange(count) * available // max(count, 1)
