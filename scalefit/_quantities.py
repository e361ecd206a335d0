"""What the numbers of an answer mean: unit, meaning and symbol of each quantity, and how people write it."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from scalefit._digits import written
from scalefit.loss_units import NATS
from scalefit.units import format_count, format_flops, percent

GREEK = ("alpha", "beta", "gamma", "eta", "nu", "sigma")
SELF_EVIDENT = ("1", "share", "$", "parameters", "tokens", "tokens per parameter", "FLOP")  # written, or in the name


class Quantity(NamedTuple):
    """A quantity of an answer.

    Parameters
    ----------
    unit
        Its unit; "1" for a pure number, "share" for one that is written in percent.
    meaning
        Its name in words.
    symbol
        LaTeX.
    """

    unit: str
    meaning: str
    symbol: str


# The quantities that several rooms share; one that is not here is a pure number with its own name for a symbol.
KNOWN = {
    "params": Quantity("parameters", "parameters", "$N$"),
    "tokens": Quantity("tokens", "training tokens", "$D$"),
    "unique_tokens": Quantity("tokens", "unique training tokens", "$U$"),
    "tokens_per_param": Quantity("tokens per parameter", "training tokens per parameter", "$D/N$"),
    "flops": Quantity("FLOP", "training compute", "$C$"),
    "budget": Quantity("FLOP", "budget", "$C$"),
    "N_opt": Quantity("parameters", "compute-optimal parameters", r"$N_\mathrm{opt}$"),
    "D_opt": Quantity("tokens", "compute-optimal training tokens", r"$D_\mathrm{opt}$"),
    "E": Quantity(NATS, "irreducible loss", "$E$"),
    "a": Quantity("1", "exponent of the optimal parameters in compute", "$a$"),
    "b": Quantity("1", "exponent of the optimal tokens in compute", "$b$"),
    "loss": Quantity(NATS, "expected loss", "$L$"),
    "loss_one_run": Quantity(NATS, "loss of one run, noise included", "$L$, one run"),
    "loss_a": Quantity(NATS, "expected loss of A", "$L_A$"),
    "loss_b": Quantity(NATS, "expected loss of B", "$L_B$"),
    "difference": Quantity(NATS, "expected loss of A minus that of B", "$L_A - L_B$"),
    "difference_one_run": Quantity(NATS, "loss of one run of A minus that of B", "$L_A - L_B$, one run"),
    "speedup": Quantity("1", "compute of A's recipe for B's loss over that for A's", "speed-up"),
    "regret": Quantity(NATS, "loss above that of each draw's optimum", "regret"),
    "given_up": Quantity(NATS, "loss above that of the optimum of the same budget", "loss given up"),
    "wall_penalty": Quantity(NATS, "loss that the data wall costs", "data wall"),
    "wasted_compute": Quantity("share", "share of the budget that the optimum would save", "wasted"),
    "wasted_flops": Quantity("FLOP", "compute that the optimum would save", "wasted"),
    "wasted_money": Quantity("$", "money that the optimum would save", "wasted"),
    "training": Quantity("FLOP", "cost of training", "training"),
    "serving": Quantity("FLOP", "cost of inference", "inference"),
    "total": Quantity("FLOP", "cost of training and inference", "total"),
    "saved": Quantity("share", "share of the reference's total that is saved", "saved"),
    "wasted": Quantity("share", "share of the total that knowing the draw would save", "wasted"),
    "overtraining": Quantity("1", "tokens per parameter over those of the optimum", "over-training"),
    "token_ratio": Quantity("1", "tokens over those that make the size compute-optimal", "token ratio"),
    "served": Quantity("tokens", "inference tokens that justify the size", "inference tokens"),
    "seconds": Quantity("s", "wall time, compilation included", "time"),
    "health": Quantity("1", "verdict of the health checks", "health"),
}


def loss_units(unit: str) -> dict[str, str]:
    """Quantity -> unit, of every quantity that is a loss, where losses are in a unit."""
    return {name: unit for name, known in KNOWN.items() if known.unit == NATS}


def unit_in(units: Mapping[str, str], label: str) -> str | None:
    """The unit that is given for a quantity, by its own name or that of `at_budget`."""
    return units.get(label, units.get(label.partition("[")[0]))


def at_budget(name: str, label: str) -> str:
    """The label of a quantity at one budget, as in "N_opt[5.76e23]"; `quantity` knows it by the name."""
    return f"{name}[{label}]"


def quantity(label: str, unit: str | None = None) -> Quantity:
    """What is known of a quantity.

    Parameters
    ----------
    label
        Its name, or that of `at_budget`.
    unit
        Where the name does not settle the unit; a unit that is known of the name comes first unless this is given.

    Returns
    -------
    Quantity
        One with its own name as meaning where nothing is known.
    """
    name, _, budget = label.partition("[")
    known = KNOWN.get(name, Quantity("1", name.replace("_", " "), symbol(name)))
    known = known if unit is None else known._replace(unit=unit)
    if not budget:
        return known
    words = budget.removesuffix("]")
    return known._replace(
        meaning=f"{known.meaning} at {words} FLOP", symbol=f"{known.symbol} at {to_latex(words)} FLOP"
    )


def symbol(name: str) -> str:
    """A name in LaTeX: Greek letters, single letters and their subscripts as mathematics, the rest as text."""
    base, _, index = name.partition("_")
    if base not in GREEK and len(base) > 1:
        return to_latex(name)
    subscript = rf"_\mathrm{{{index}}}" if index.isalnum() else ""
    return f"${_letter(base)}{subscript}$" if bool(subscript) == bool(index) else to_latex(name)


def to_latex(text: str) -> str:
    """A text in which LaTeX sees no commands; numbers such as 5.76e23 and powers such as N^alpha are typeset."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "±": r"$\pm$"}
    escaped = "".join(special.get(c, rf"\{c}" if c in "&%$#_{}" else c) for c in text)
    numbers = re.sub(r"\b(\d+(?:\.\d+)?)e(-?\d+)\b", r"$\1\\times 10^{\2}$", escaped)
    powers = re.sub(r"\^([a-zA-Z]\w*)", lambda m: f"$^{{{_letter(m[1])}}}$", numbers)
    return re.sub(r"\^(?!\{)", r"\\textasciicircum{}", powers)


def _letter(name: str) -> str:
    return rf"\{name}" if name in GREEK else name


def write(value: float, unit: str = "1") -> str:
    """A number as people write this unit: counts with suffixes, shares in percent, the rest to four digits."""
    if not np.isfinite(value):
        return "-" if np.isnan(value) else f"{value:.0f}"
    if unit in ("parameters", "tokens"):
        return format_count(value)
    if unit == "FLOP":
        return format_flops(value)
    if unit == "$":
        return f"${format_count(value)}"
    return f"{100 * value:.3g}%" if unit == "share" else format_flops(value, 4)


def posterior_name(discrepancy: bool) -> str:
    """How tables and sentences call the draws of an answer."""
    return "with discrepancy" if discrepancy else "law only"


def said(value: float, unit: str) -> str:
    """A number with its unit: "5.76e23 FLOP", "$809K"."""
    return write(value, unit) if unit in ("1", "share", "$") else f"{write(value, unit)} {unit}"


def provenance(discrepancy: bool, ends: np.ndarray, prob: float) -> str:
    """Of an interval, for a parenthesis: "with discrepancy, 90% interval"; without the interval where there is none."""
    name = posterior_name(discrepancy)
    return name if np.isnan(ends[1]) else f"{name}, {percent(prob)} interval"


def ranged(values: np.ndarray, form: Callable[[float], str]) -> str:
    """Median, lower and upper as "2 [1, 3]", to the digits that are certain; the value alone without an interval."""
    if np.isnan(values[1]):
        return form(values[0])
    middle, lower, upper = written(values, form)
    return f"{middle} [{lower}, {upper}]"


def ratio(value: float) -> str:
    """A factor with two digits and no exponent: 44.5 -> "44", 1234 -> "1200"; with three near one: "1.01"."""
    digits = 3 if 0.95 < value < 1.05 else 2
    return f"{float(f'{value:.{digits}g}'):.10g}"
