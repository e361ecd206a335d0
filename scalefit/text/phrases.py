"""Phrases that sentences share: factors, intervals, money."""

from collections.abc import Callable

import numpy as np

from scalefit.costs.cost import Cost
from scalefit.units import format_count, format_flops


def ratio(value: float) -> str:
    """A factor with two digits and no exponent: 44.5 -> "44", 1234 -> "1200"; with three near one: "1.01"."""
    digits = 3 if 0.95 < value < 1.05 else 2
    return f"{float(f'{value:.{digits}g}'):.10g}"


def ranged(values: np.ndarray, form: Callable[[float], str]) -> str:
    """Median, lower and upper as "2 [1, 3]"; a point says that it has no interval."""
    if np.isnan(values[1]):
        return f"{form(values[0])} [no interval]"
    return f"{form(values[0])} [{form(values[1])}, {form(values[2])}]"


def in_brackets(values: np.ndarray) -> str:
    """Lower and upper end of a loss's interval, as "[1.827, 1.957]"."""
    return f"[{values[1]:.3f}, {values[2]:.3f}]"


def money(value: float) -> str:
    """$ with a suffix, as people write it: "$809K"."""
    return f"${format_count(value)}"


def in_unit(value: float, cost: Cost) -> str:
    """A cost with its unit."""
    return money(value) if cost.unit == "$" else f"{format_flops(value)} FLOP"


def interval_ends(values: np.ndarray) -> str:
    """Lower and upper end of a share, as "[1.2%, 3.4%]"; empty where there is no interval."""
    return "" if np.isnan(values[1]) else f"[{values[1]:.1%}, {values[2]:.1%}]"


def at_least_none(value: float) -> str:
    """A count that a negative number makes none."""
    return "none" if value <= 0 else format_count(value)
