"""Phrases that sentences share: factors, intervals, money."""

import numpy as np

from scalefit._quantities import ranged, ratio, write
from scalefit.units import format_count

__all__ = ["at_least_none", "in_brackets", "interval_ends", "money", "ranged", "ratio"]


def in_brackets(values: np.ndarray) -> str:
    """Lower and upper end of a loss's interval, as "[1.827, 1.957]"."""
    return f"[{values[1]:.3f}, {values[2]:.3f}]"


def money(value: float) -> str:
    """$ with a suffix, as people write it: "$809K"."""
    return write(value, "$")


def interval_ends(values: np.ndarray) -> str:
    """Lower and upper end of a share, as "[1.2%, 3.4%]"; empty where there is no interval."""
    return "" if np.isnan(values[1]) else f"[{values[1]:.1%}, {values[2]:.1%}]"


def at_least_none(value: float) -> str:
    """A count that a negative number makes none."""
    return "none" if value <= 0 else format_count(value)
