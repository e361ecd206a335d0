"""Amounts that a planner knows, or knows only roughly: tokens to be served, unique tokens to be had."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from scalefit._intervals import check_prob
from scalefit.errors import OptionError
from scalefit.units import format_count, parse_quantity


@dataclass(frozen=True)
class Between:
    """An amount known only roughly: log-normal, between two ends with a probability, tails alike.

    Parameters
    ----------
    low, high
        The ends; "1T..10T" on the command line.
    prob
        Probability that the amount lies between them.

    Raises
    ------
    OptionError
        Not 0 < low < high, or `prob` is not between 0 and 1.
    """

    low: float
    high: float
    prob: float = 0.9

    def __post_init__(self) -> None:
        check_prob(self.prob)
        if not 0 < self.low < self.high < np.inf:
            raise OptionError(
                f"the range {self.low:g}..{self.high:g} does not go from low to high. "
                "Write it with positive ends, as in 1T..10T."
            )

    def __str__(self) -> str:
        return f"{format_count(self.low)}..{format_count(self.high)}"

    @property
    def log_sd(self) -> float:
        """Standard deviation of the logarithm of the amount."""
        from scipy.special import ndtri

        return float(np.log(self.high / self.low) / 2 / ndtri((1 + self.prob) / 2))

    @property
    def mean(self) -> float:
        """Expectation of the amount, above its median sqrt(low high)."""
        return float(np.sqrt(self.low * self.high) * np.exp(self.log_sd**2 / 2))

    def draws(self, count: int, seed: int = 0) -> Float[np.ndarray, " draw"]:
        """Draw the amount, one draw in every slice of equal probability.

        Parameters
        ----------
        count
            Number of draws.
        seed
            Of their order and of their places in the slices.

        Returns
        -------
        array (draw,)
            Draws in an order that is independent of anything else.
        """
        from scipy.special import ndtri

        rng = np.random.default_rng(seed)
        slices = rng.permutation((np.arange(count) + rng.random(count)) / count)
        return np.sqrt(self.low * self.high) * np.exp(self.log_sd * ndtri(slices))


Amount = Any
"""A number, a `Between`, or an array of draws."""


def read_amount(value: Any, what: str) -> Amount:
    """Read an amount that may be uncertain.

    Parameters
    ----------
    value
        2e12, "2T", "1T..10T", (1e12, 1e13), a `Between`, or an array of draws (draw,).
    what
        The noun for the error.

    Returns
    -------
    float, Between or array (draw,)
        The amount.

    Raises
    ------
    OptionError
        A text is not a quantity, or the amount is not positive and finite.
    """
    if isinstance(value, Between):
        return value
    if isinstance(value, str) and ".." in value:
        value = tuple(value.split("..", 1))
    if isinstance(value, tuple) and len(value) == 2:
        return Between(parse_quantity(value[0]), parse_quantity(value[1]))
    found = np.asarray(value, dtype=float) if np.ndim(value) else parse_quantity(value)
    if not (np.size(found) and np.all(np.isfinite(found)) and np.all(found > 0)):
        raise OptionError(f"{what} {value!r} is out of range. Give a positive number, as in 2T, or a range 1T..10T.")
    return found


def draws_of(amount: Amount, count: int, seed: int = 0) -> Float[np.ndarray, " draw"]:
    """Draw an amount.

    Parameters
    ----------
    amount
        A number, which is repeated; a `Between`; or draws (draw,), which are drawn from again unless there are `count`.
    count
        Number of draws.
    seed
        Of the draws.

    Returns
    -------
    array (draw,)
        `count` draws.
    """
    if isinstance(amount, Between):
        return amount.draws(count, seed)
    values = np.atleast_1d(np.asarray(amount, dtype=float))
    if len(values) in (1, count):
        return np.broadcast_to(values, (count,))
    return np.random.default_rng(seed).choice(values, count)


def expected(amount: Amount) -> float:
    """Expectation of an amount.

    Parameters
    ----------
    amount
        A number, a `Between`, or draws (draw,).

    Returns
    -------
    float
        The expectation, over draws their mean.
    """
    return amount.mean if isinstance(amount, Between) else float(np.mean(amount))


def describe_amount(amount: Amount) -> str:
    """An amount in words.

    Parameters
    ----------
    amount
        A number, a `Between`, or draws (draw,).

    Returns
    -------
    str
        "2T", "1T..10T (90%)", or the mean of the draws.
    """
    if isinstance(amount, Between):
        return f"{amount} ({100 * amount.prob:g}%)"
    return format_count(expected(amount)) + (" on average" if np.size(amount) > 1 else "")
