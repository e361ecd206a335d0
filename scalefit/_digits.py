"""How many digits of an answer are written: those that are larger than its Monte Carlo error."""

import re
from collections.abc import Callable
from math import ceil, floor, isfinite, log10, sqrt

import numpy as np
from jaxtyping import Float

DRAWS = 2500  # about as many independent draws stand behind an answer
DRAWS_OF_WASTE = 1000  # and behind what a decision wastes, where few draws make most of a mean
# Standard errors of the quantiles of normal draws, of which a 90 % interval is 3.29 standard deviations wide.
OF_MIDDLE = 1.2533 / 3.2897 / sqrt(DRAWS)  # of the median, in widths of the interval
OF_END = 2.1132 / 1.6449 / sqrt(DRAWS)  # of an end, in distances from the median
WIDE = 3.0  # times the lower end: beyond, each number has digits of its own
_DECIMAL = re.compile(r"(-?\d+)(\.\d*)?(\D*)")


def written(ends: Float[np.ndarray, "3"], form: Callable[[float], str]) -> list[str]:
    """Median (or mean), lower and upper in words, each with the digits that are larger than its Monte Carlo error.

    Parameters
    ----------
    ends
        Of a 90 % interval; of others the error is about right. NaN for ends that there are not.
    form
        How a number is written.
    """
    texts = list(map(form, rounded(ends)))
    parts = [_DECIMAL.fullmatch(text) for text in texts]
    if not _is_wide(ends) and all(parts) and len({part[3] for part in parts if part}) == 1:
        longest = max(len(part[2] or "") for part in parts if part)
        texts = [f"{part[1]}{(part[2] or '.' * (longest > 0)).ljust(longest, '0')}{part[3]}" for part in parts if part]
    return texts


def rounded(ends: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """Median, lower and upper to the digits that are larger than their Monte Carlo errors; ends may be NaN."""
    errors = monte_carlo_errors(ends)
    errors = errors if _is_wide(ends) else np.full(3, errors.max())
    return np.array([to_error(float(value), float(error)) for value, error in zip(ends, errors, strict=True)])


def rounded_like(value: float, ends: Float[np.ndarray, "3"], power: float = 1.0) -> float:
    """A power of a size, such as that of a plan, to the digits that an interval of such sizes leaves it."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return to_error(value, float(value * power * monte_carlo_errors(ends)[0] / ends[0]))


def rounded_mean(draws: Float[np.ndarray, " draw"]) -> float:
    """The mean of draws to the digits that are larger than its Monte Carlo error."""
    return to_error(float(draws.mean()), float(draws.std()) / sqrt(DRAWS_OF_WASTE))


def rounded_quantile(draws: Float[np.ndarray, " draw"], level: float) -> float:
    """A quantile of draws to the digits above its Monte Carlo error: half the step between those beside it."""
    apart = sqrt(level * (1 - level) / DRAWS_OF_WASTE)
    low, middle, high = np.quantile(draws, np.clip([level - apart, level, level + apart], 0.0, 1.0))
    return to_error(float(middle), float(high - low) / 2)


def monte_carlo_errors(ends: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """About the Monte Carlo errors of median, lower and upper; NaN where there is no interval.

    They are those of quantiles of normal draws; of their logarithms where all three are positive, because sizes and
    budgets are uncertain by factors.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        by_factors = bool(np.all(np.asarray(ends) > 0))
        middle, lower, upper = np.log(ends) if by_factors else np.asarray(ends, dtype=float)
        errors = np.array([OF_MIDDLE * (upper - lower), OF_END * (middle - lower), OF_END * (upper - middle)])
        return errors * ends if by_factors else errors


def to_error(value: float, error: float) -> float:
    """A number to the digits that are worth more than its error, but to one digit at least."""
    if not isfinite(value) or not isfinite(error) or error <= 0 or value == 0:
        return value
    return round(value, max(-ceil(log10(error)), -floor(log10(abs(value)))))


def _is_wide(ends: Float[np.ndarray, "3"]) -> bool:
    _, lower, upper = ends
    return not 0 < upper / lower < WIDE if lower else True
