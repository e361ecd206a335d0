"""The cheapest further run of a recipe that is likely to settle whether it is better."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from scalefit.fits.fit import Fit
from scalefit.recipes._gains import Side, losses_at

LEVELS = 6  # budgets of a further run, from the recipe's smallest run to its share of the target
LARGEST = 1 / 3  # of the target's compute: more than that is the run itself
LIKELY = 0.5
WIDEST = 30.0  # ln gains beyond are cut


class NextRun(NamedTuple):
    """A further run of a recipe.

    Attributes
    ----------
    params, tokens, flops
        The run.
    settles
        Probability that the verdict after it is promote or hold.
    """

    params: float
    tokens: float
    flops: float
    settles: float


def settling_run(
    fit: Fit,
    side: Side,
    log_budgets: Float[np.ndarray, " budget"],
    log_gain: Float[np.ndarray, " draw"],
    bar: float,
    sure: float,
) -> NextRun | None:
    """The cheapest run, each at the recipe's own optimum, that settles the verdict with even odds; else the likeliest.

    Gain and loss of a run are taken as normal together, as their paired draws have it.

    Parameters
    ----------
    fit, side, log_budgets
        The recipe, and its optima at budgets.
    log_gain
        ln gain at the target, less than infinite.
    bar, sure
        ln of the gain to exceed, and how surely.
    """
    from scipy.special import ndtr, ndtri

    low = float(np.log(fit.runs.flops.min()))
    high = max(low, float(log_budgets[-1]) + float(np.log(LARGEST)))
    levels = np.linspace(low, high, LEVELS)
    log_n = np.interp(levels, log_budgets, np.median(side.optima.log_n, axis=0))
    tokens = np.asarray(
        [float(side.shown.tokens_for(c, n)) for c, n in zip(np.exp(levels), np.exp(log_n), strict=True)]
    )
    if not (tokens > 1).all():
        return None
    expected = np.asarray(losses_at(side.posterior, jnp.asarray(log_n, float), jnp.asarray(np.log(tokens), float)))
    seen = np.log(fit.add_noise(expected, discrepancy=None if fit.has_discrepancy else False))
    gain = np.clip(log_gain, -WIDEST, WIDEST) - bar
    # Ranks, as a far draw of a heavy tail would hide what the run says.
    z = ndtri((np.argsort(np.argsort(seen, axis=0), axis=0) + 0.5) / len(seen))
    middle, spread = float(np.median(gain)), float((np.quantile(gain, 0.84) - np.quantile(gain, 0.16)) / 2)
    g = ndtri((np.argsort(np.argsort(gain)) + 0.5) / len(gain))
    correlation = np.clip((z * g[:, None]).mean(axis=0), -0.999, 0.999)
    moved, left = spread * np.abs(correlation), spread * np.sqrt(1 - correlation**2) * float(ndtri(sure))
    chance = ndtr((middle - left) / np.maximum(moved, 1e-9)) + ndtr((-middle - left) / np.maximum(moved, 1e-9))
    likely = np.flatnonzero(chance >= LIKELY)
    i = int(likely[0] if likely.size else chance.argmax())
    return NextRun(float(np.exp(log_n[i])), float(tokens[i]), float(np.exp(levels[i])), float(min(chance[i], 1.0)))
