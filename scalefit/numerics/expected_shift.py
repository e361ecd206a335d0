"""How far posterior means will move when outcomes come in: the distribution of the shift before they do."""

import numpy as np
from jaxtyping import Float, Int

LEAST_ESS = 0.5  # of the draws, of the median outcome's weights; below it a Gaussian step is more precise
TAIL = 0.005  # of the noise on each side that teaches no more than its ends


def expected_shifts(
    quantities: Float[np.ndarray, "draw quantity"],
    expected: Float[np.ndarray, "draw run"],
    outcomes: Float[np.ndarray, "draw run"],
    log_likelihood: Float[np.ndarray, "outcome draw"],
    truth: Int[np.ndarray, " outcome"],
) -> Float[np.ndarray, "some quantity"]:
    """Shifts of posterior means under the predictive distribution of outcomes.

    Parameters
    ----------
    quantities
        Draws of what may move.
    expected, outcomes
        Of the same draws: what the runs give without noise, and with it.
    log_likelihood
        Of some of the outcomes, under each draw.
    truth
        Which draw each of these outcomes is of.

    Returns
    -------
    array (some, quantity)
        Draws of the shift. Their mean square is that of the quantity less what is expected to remain, as far as the
        draws resolve it: an estimate of nothing is not an expectation of nothing. The outcomes reweigh the draws; where
        that leaves too few of them, quantities and outcomes are taken as jointly Gaussian.

    References
    ----------
    Jalal & Alarid-Escudero 2018 (Med. Decis. Making 38, 174), for the Gaussian step.
    """
    own = log_likelihood.copy()
    own[np.arange(len(truth)), truth] = -np.inf  # the draw that made the outcome would favour itself
    weight = np.exp(own - own.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    if np.median(1 / (weight**2).sum(axis=1)) >= LEAST_ESS * len(quantities):
        return _by_reweighing(quantities, weight)
    return _by_gaussian_step(quantities, expected, outcomes)


def _by_reweighing(
    quantities: Float[np.ndarray, "draw quantity"], weight: Float[np.ndarray, "outcome draw"]
) -> Float[np.ndarray, "outcome quantity"]:
    centred = quantities - quantities.mean(axis=0)
    shifts = weight @ centred
    # The mean before is of the same draws: only what weights differ from even ones moves it by chance.
    apart = (weight - 1 / len(quantities)) ** 2
    chance = (apart @ centred**2).mean(axis=0)
    spread = np.maximum(shifts.var(axis=0), np.finfo(float).tiny)
    square = _expected_square(spread - chance, np.sqrt(4 * chance * spread + 2 * chance**2))
    return shifts * np.sqrt(square / spread)


def _expected_square(
    estimate: Float[np.ndarray, " quantity"], error: Float[np.ndarray, " quantity"]
) -> Float[np.ndarray, " quantity"]:
    """A square given an unbiased estimate of it, which may be below zero: the mean of a normal above zero."""
    from scipy.special import log_ndtr

    z = estimate / np.maximum(error, np.finfo(float).tiny)
    return estimate + error * np.exp(-0.5 * z**2 - log_ndtr(z)) / np.sqrt(2 * np.pi)


def _by_gaussian_step(
    quantities: Float[np.ndarray, "draw quantity"],
    expected: Float[np.ndarray, "draw run"],
    outcomes: Float[np.ndarray, "draw run"],
) -> Float[np.ndarray, "draw quantity"]:
    count, noise = len(outcomes), outcomes - expected
    noise = np.clip(noise, *np.quantile(noise, [TAIL, 1 - TAIL], axis=0))
    scale = np.maximum(noise.std(axis=0), 1e-300)
    signal = (expected - expected.mean(axis=0)) / scale
    variance, directions = np.linalg.eigh(signal.T @ signal / count)
    variance = np.maximum(variance, 0)
    reduced = variance / (variance + 1)  # of each direction's variance
    centred = quantities - quantities.mean(axis=0)
    total = np.maximum(centred.var(axis=0), np.finfo(float).tiny)
    cross = (signal @ directions).T @ centred / count
    shifts = (signal + (noise - noise.mean(axis=0)) / scale) @ directions @ (cross / (variance + 1)[:, None])
    each = cross**2 / (variance + 1)[:, None] / total  # shares of the quantities' variance
    by_chance = reduced[:, None] * np.maximum(1 - each.sum(axis=0), 0) / count
    error = np.sqrt((4 * each * by_chance + 2 * by_chance**2).sum(axis=0))
    square = _expected_square((each - by_chance).sum(axis=0), error)
    return shifts * np.sqrt(np.minimum(square, 1) * total / np.maximum(shifts.var(axis=0), np.finfo(float).tiny))
