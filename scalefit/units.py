"""Quantities as people write them: "70B", "1.4T", "5.76e23" to float and back."""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Float

from scalefit.errors import OptionError

_SUFFIX = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
_WORDS = {"thousand": "k", "mn": "m", "mio": "m", "million": "m", "bn": "b", "billion": "b", "tn": "t", "trillion": "t"}
_DIGITS = r"(?:[1-9]\d{0,2}(?:[,_]\d{3})+|\d+)"  # separators only between thousands: 1,5 may be meant as 1.5
_POWER = r"(?:\s*[x×*]\s*10(?:\^|\*\*)[+-]?\d+)"  # 1.5 x 10^18
_QUANTITY = re.compile(
    rf"(?:(?P<number>[+-]?(?:{_DIGITS}\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?P<times>{_POWER}?)|10(?:\^|\*\*)(?P<power>[+-]?\d+))"
    rf"\s*(?P<suffix>[kmbt]|(?:{'|'.join(_WORDS)})s?)?(?:\s+(?:tokens?|params?|parameters?|flops?))?",
    re.IGNORECASE,
)
_TWO_WAYS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}\s*[a-z]+", re.IGNORECASE)
_LEADING_ZERO = re.compile(r"^([+-]?0),(?=\d)")
MOST_BUDGETS = 10_000  # of a grid: a slip of the keyboard would fill the memory
FLOP_EXAMPLE = "a positive number of FLOP, as in 5.76e23"
LONGEST_QUANTITY = 80  # characters; a longer text is none


def parse_quantity(text: object) -> float:
    """Read a count such as 7e9, "7e9", "7B", "1.4 T", "1,000" or "1_000".

    Parameters
    ----------
    text
        A number, or its text with an optional suffix in either case: K for 1e3, M for 1e6, B for 1e9, T for 1e12, or
        the word: "1.4 trillion", "6.7bn". Powers may be written 10^18. A comma after a leading zero is a decimal point.

    Returns
    -------
    float
        The number.

    Raises
    ------
    OptionError
        The text is not a quantity, or its comma could be a decimal point or a separator: "3,154B".
    """
    if isinstance(text, (float, np.floating, np.integer)) and not isinstance(text, np.timedelta64):
        return float(text)
    written = _LEADING_ZERO.sub(r"\1.", str(text)[: LONGEST_QUANTITY + 1].strip())
    match = _QUANTITY.fullmatch(written)
    if match is None or len(written) > LONGEST_QUANTITY:
        raise OptionError(f"{written[:40]!r} is not a quantity. Write it like 70B, 1.4T or 5.76e23.")
    if _TWO_WAYS.fullmatch(written):
        raise OptionError(
            f"{written!r} can be {written.replace(',', '.')} or {written.replace(',', '')}. Write it without a comma."
        )
    suffix = (match["suffix"] or "").lower()
    factor = _SUFFIX[suffix if suffix in _SUFFIX else _WORDS[suffix.removesuffix("s")]]
    if match["power"]:
        return _power(match["power"]) * factor
    power = re.search(r"[+-]?\d+$", match["times"] or "")
    return float(re.sub("[,_]", "", match["number"])) * (_power(power[0]) if power else 1.0) * factor


def _power(exponent: str) -> float:
    return float(f"1e{exponent}")


def is_quantity(text: str) -> bool:
    """Whether `parse_quantity` can read a text.

    Parameters
    ----------
    text
        The text.

    Returns
    -------
    bool
        True where it can.
    """
    return len(text) <= LONGEST_QUANTITY and _QUANTITY.fullmatch(text.strip()) is not None


def parse_budgets(text: str, what: str = "budget", example: str = FLOP_EXAMPLE) -> Float[np.ndarray, " budget"]:
    """Read budgets from "5.76e23", a list "1e21,1e22", or a grid "1e21:1e25:9" even in log compute.

    Parameters
    ----------
    text
        FLOP, as `parse_quantity` reads them. A grid is its lowest budget, its highest, and how many there are.
    what, example
        As for `positive_quantities`, where these are other quantities than budgets.

    Returns
    -------
    array (budget,)
        FLOP.

    Raises
    ------
    OptionError
        The text is not a budget, a list or a grid, or a budget is not positive.
    """
    if ":" not in text:
        return positive_quantities(text.split(","), what, example)
    parts = text.split(":")
    if len(parts) != 3 or not re.fullmatch(r"\s*0*[1-9]\d*\s*", parts[2]):
        raise OptionError(f"{text!r} is not a grid of budgets. Write lowest:highest:how_many, as in 1e21:1e25:9.")
    if len(parts[2]) > 20 or int(parts[2]) > MOST_BUDGETS:
        raise OptionError(f"the grid {text!r} is too long. Ask for at most {MOST_BUDGETS:,} budgets.")
    low, high = positive_quantities(parts[:2], what, example)
    return np.geomspace(low, high, int(parts[2]))


def positive_budgets(budgets: Any) -> Float[np.ndarray, " budget"]:
    """Read budgets that are each a positive number of FLOP.

    Parameters
    ----------
    budgets
        A number, a text, or a list or array of either.

    Returns
    -------
    array (budget,)
        FLOP.

    Raises
    ------
    OptionError
        A budget is not a positive, finite number, or there are no budgets.
    """
    return positive_quantities(budgets, "budget", FLOP_EXAMPLE)


def positive_quantities(values: Any, what: str, example: str = "a positive number") -> Float[np.ndarray, " value"]:
    """Read quantities that are each positive and finite.

    Parameters
    ----------
    values
        A number, a text, or a list or array of either.
    what
        The noun for the error: "number of days".
    example
        What a good value is, for the error.

    Returns
    -------
    array (value,)
        The numbers, in their order.

    Raises
    ------
    OptionError
        A value is not a positive, finite number, or there are no values.
    """
    items = np.atleast_1d(np.asarray(values, dtype=object))
    numbers = np.array([parse_quantity(item) for item in items.tolist()], dtype=float)
    if numbers.size == 0:
        raise OptionError(f"there is no {what}. Give {example}.")
    if (wrong := numbers[~(np.isfinite(numbers) & (numbers > 0))]).size:
        raise OptionError(f"the {what} {wrong[0]:g} is out of range. Give {example}.")
    return numbers


def format_count(value: float) -> str:
    """Write a count with three digits and a suffix.

    Parameters
    ----------
    value
        A count such as 7.12e10.

    Returns
    -------
    str
        The count as in "71.2B"; beyond 1e15 as a power of ten.
    """
    if not np.isfinite(value):
        return str(value)
    value = float(f"{value:.3g}")  # round first, so that 999.9e6 becomes 1B and not 1000M
    for suffix in "tbmk":
        if 1e15 > abs(value) >= _SUFFIX[suffix]:
            return f"{value / _SUFFIX[suffix]:.3g}{suffix.upper()}"
    return format_flops(value) if abs(value) >= 1e15 else f"{value:.3g}"


def format_flops(value: float, digits: int = 3) -> str:
    """Write compute as people do.

    Parameters
    ----------
    value
        FLOP.
    digits
        Significant digits.

    Returns
    -------
    str
        The number as in "5.76e23", without a plus sign or trailing zeros.
    """
    mantissa, exponent = f"{value:.{digits}g}".partition("e")[::2]
    if not exponent:
        return mantissa
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{int(exponent)}"


def distinct_labels(budgets: Iterable[float]) -> list[str]:
    """Write budgets so that different ones read differently.

    Parameters
    ----------
    budgets
        FLOP.

    Returns
    -------
    list of str
        Each as `format_flops` writes it, with as many digits as that takes.
    """
    values = [float(budget) for budget in budgets]
    for digits in range(3, 18):
        labels = [format_flops(value, digits) for value in values]
        if len(set(labels)) == len(set(values)):
            break
    return labels


def chance(value: float) -> str:
    """Write a probability in percent, never rounded to certainty.

    Parameters
    ----------
    value
        The probability.

    Returns
    -------
    str
        0.42 as "42%", 0.995 and more as "above 99%".
    """
    rounded = f"{value:.0%}"
    return {"100%": "above 99%", "0%": "below 1%"}.get(rounded, rounded)


def percent(prob: float) -> str:
    """Write a probability in percent with all its digits.

    Parameters
    ----------
    prob
        The probability.

    Returns
    -------
    str
        0.9 as "90%", 0.995 as "99.5%".
    """
    return f"{100 * prob:.10g}%"
