"""Intervals of draws."""

import numpy as np
from jaxtyping import Float, Num

from scalefit.errors import OptionError


def check_prob(prob: float) -> float:
    """The probability of an interval.

    Parameters
    ----------
    prob
        Strictly between 0 and 1.

    Returns
    -------
    float
        The same.

    Raises
    ------
    OptionError
        It is not.
    """
    if not 0 < prob < 1:
        raise OptionError(f"prob must lie between 0 and 1, as in 0.9; got {prob}.")
    return prob


def interval(draws: Num[np.ndarray, "..."], prob: float, axis: int | tuple[int, ...] = 0) -> Float[np.ndarray, "3 ..."]:
    """Median, lower and upper end of the equal-tailed interval.

    Parameters
    ----------
    draws
        An array.
    prob
        Probability of the interval.
    axis
        Along which draws lie, one or several.

    Returns
    -------
    numpy.ndarray
        The three on a new first axis, over the other axes of `draws`. One draw, a point estimate, has no interval:
        its ends are NaN.

    Raises
    ------
    OptionError
        The probability is not between 0 and 1.
    """
    tail = (1 - check_prob(prob)) / 2
    with np.errstate(invalid="ignore"):  # between two infinite draws
        found = np.quantile(draws, [0.5, tail, 1 - tail], axis=axis)
    if np.prod(np.take(draws.shape, axis)) == 1:
        found[1:] = np.nan
    return found
