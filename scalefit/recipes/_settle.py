"""The gain of a recipe as a question to settle, and the cheapest further run that is likely to settle it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from scalefit._precision import precision
from scalefit.costs.cost import Cost
from scalefit.errors import OptionError, QuestionError
from scalefit.fits.fit import Fit
from scalefit.planning.least_budgets import Settle, share_of_variance, without_far
from scalefit.recipes._gains import Gains, Side, losses_at

LEVELS = 6  # budgets of a further run, from the recipe's smallest run to its share of the target
LARGEST = 1 / 3  # of the target's compute: more than that is the run itself


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
    fit: Fit, side: Side, log_budgets: Float[np.ndarray, " budget"], settle: Settle, discrepancy: bool
) -> NextRun | None:
    """The cheapest run, each at the recipe's own optimum, that settles the verdict with even odds; else the likeliest.

    Parameters
    ----------
    fit, side, log_budgets
        The recipe, and its optima at budgets.
    settle
        The question.
    discrepancy
        Whether the gain includes it.
    """
    low = float(np.log(fit.runs.flops.min()))
    high = max(low, float(log_budgets[-1]) + float(np.log(LARGEST)))
    levels = np.linspace(low, high, LEVELS)
    log_n = np.interp(levels, log_budgets, np.median(side.optima.log_n, axis=0))
    flops, params = np.exp(levels), np.exp(log_n)
    tokens = np.asarray([float(side.shown.tokens_for(c, n)) for c, n in zip(flops, params, strict=True)])
    if not (tokens > 1).all():
        return None
    expected = np.asarray(losses_at(side.posterior, jnp.asarray(log_n, float), jnp.asarray(np.log(tokens), float)))
    theta, _ = fit.joint_draws(discrepancy)
    share = share_of_variance(settle.scores, without_far(np.log(expected)), theta)
    i = settle.cheapest(share, flops)
    return NextRun(float(params[i]), float(tokens[i]), float(flops[i]), float(settle.chance(share)[i]))


def gain_to_settle(
    fits: Mapping[str, Fit],
    recipe: str | None,
    flops: float,
    rule: tuple[float, float],
    cost: Cost | None,
    discrepancy: bool | None,
    fixed: Mapping[str, Any],
) -> tuple[Fit, Settle]:
    """`RecipeFits.to_settle`; the baseline is the first of the fits.

    Raises
    ------
    OptionError
        The recipe is none that is beside the baseline, or it is left open which one.
    QuestionError
        The baseline's or the recipe's optimum is not found at the budget.
    """
    baseline, *others = fits
    name = others[0] if recipe is None and len(others) == 1 else recipe
    if name not in others:
        which = "the recipe whose gain to settle is open" if name is None else f"{name!r} is no recipe to settle"
        raise OptionError(f"{which}. Choose from {', '.join(others)}, as in aim={others[0]!r}.")
    log_budgets, asked = np.log([flops]), (fits[baseline].resolve(discrepancy), cost, fixed)
    with precision():
        gains = Gains(Side.of(fits[baseline], log_budgets, *asked), log_budgets, 0)
        gain = gains.compute(Side.of(fits[name], log_budgets, *asked))[:, 0]
    return fits[name], Settle.of(name, baseline, gain, *rule)


def refuse_free_floors(draws: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Raise `QuestionError` where floors of recipes are free."""
    if "level" in next(iter(draws.values())):
        raise QuestionError(
            "losses whose floors are free are on different data, and none is better than another. Compare within "
            "each fit, or use floor='pooled'."
        )
