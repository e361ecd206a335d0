"""Small numerical tools shared by every floor: precision, a root finder, intervals."""

from typing import TypeVar

import numpy as np

from scalefit.errors import OptionError

T = TypeVar("T")


def check_prob(prob: float) -> float:
    """The probability of an interval, strictly between 0 and 1; raises `ScalefitError` otherwise."""
    if not 0 < prob < 1:
        raise OptionError(f"prob must lie between 0 and 1, as in 0.9; got {prob}")
    return prob


def interval(draws: np.ndarray, prob: float, axis: int | tuple[int, ...] = 0) -> np.ndarray:
    """Median, lower and upper end of the equal-tailed interval, stacked on a new first axis.

    One draw, a point estimate, has no interval: its ends are NaN.
    """
    tail = (1 - check_prob(prob)) / 2
    found = np.quantile(draws, [0.5, tail, 1 - tail], axis=axis)
    if np.prod(np.take(draws.shape, axis)) == 1:
        found[1:] = np.nan
    return found
