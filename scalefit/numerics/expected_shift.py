"""How far posterior means will move when outcomes come in: the distribution of the shift before they do."""

import numpy as np
from jaxtyping import Float, Int

LEAST_ESS = 25.0  # of the median outcome's weights; below it the regression knows more
MOST = 8  # directions of the outcomes
LEAST_SHARE = 1e-4  # of the leading direction's variance that a further one has
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
        Draws of the shift. Their variance is that of the quantity less what is expected to remain. The outcomes
        reweigh the draws; where that leaves too few of them, the posterior mean is the quantity's regression on the
        outcomes.

    References
    ----------
    Strong, Oakley, Brennan and Breeze 2015 (Med. Decis. Making 35, 570), for the regression.
    """
    own = log_likelihood.copy()
    own[np.arange(len(truth)), truth] = -np.inf  # the draw that made the outcome would favour itself
    weight = np.exp(own - own.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    if np.median(1 / (weight**2).sum(axis=1)) >= LEAST_ESS:
        return _by_reweighing(quantities, weight)
    return _by_regression(quantities, expected, outcomes)


def _by_reweighing(
    quantities: Float[np.ndarray, "draw quantity"], weight: Float[np.ndarray, "outcome draw"]
) -> Float[np.ndarray, "outcome quantity"]:
    centred = quantities - quantities.mean(axis=0)
    shifts = weight @ centred
    chance = ((weight**2) @ centred**2 - (weight**2).sum(axis=1)[:, None] * shifts**2).mean(axis=0)
    spread = shifts.var(axis=0)
    return shifts * np.sqrt(np.clip(1 - chance / np.maximum(spread, 1e-300), 0, 1))


def _by_regression(
    quantities: Float[np.ndarray, "draw quantity"],
    expected: Float[np.ndarray, "draw run"],
    outcomes: Float[np.ndarray, "draw run"],
) -> Float[np.ndarray, "draw quantity"]:
    noise = outcomes - expected
    noise = np.clip(noise, *np.quantile(noise, [TAIL, 1 - TAIL], axis=0))
    scale = np.maximum(noise.std(axis=0), 1e-300)
    signal = (expected - expected.mean(axis=0)) / scale
    variance, directions = np.linalg.eigh(signal.T @ signal / len(signal))
    keep = np.argsort(-variance)[:MOST]
    keep = keep[variance[keep] > LEAST_SHARE * max(variance.max(), 1e-300)]
    seen = (signal + (noise - noise.mean(axis=0)) / scale) @ directions[:, keep]
    centred = quantities - quantities.mean(axis=0)
    fitted = seen @ np.linalg.lstsq(seen, centred, rcond=None)[0]
    total, freedom = (centred**2).sum(axis=0), max(len(seen) - len(keep) - 1, 1)
    share = (fitted**2).sum(axis=0) / np.maximum(total, 1e-300)
    honest = np.clip(1 - (1 - share) * (len(seen) - 1) / freedom, 0, 1)  # less what chance alone explains
    return fitted * np.sqrt(honest / np.maximum(share, 1e-300))
