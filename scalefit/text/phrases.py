"""Phrases that sentences share: factors, intervals, money."""

import numpy as np

from scalefit._digits import written
from scalefit._quantities import ranged, ratio, write
from scalefit.units import format_count

__all__ = ["at_least_none", "in_brackets", "money", "ranged", "ratio"]


def in_brackets(values: np.ndarray) -> str:
    """Lower and upper end of a loss's interval, as "[1.83, 1.96]", to the digits that are certain."""
    _, lower, upper = written(values, write)
    return f"[{lower}, {upper}]"


def money(value: float) -> str:
    """$ with a suffix, as people write it: "$809K"."""
    return write(value, "$")


def at_least_none(value: float) -> str:
    """A count that a negative number makes none."""
    return "none" if value <= 0 else format_count(value)
