"""Budgets as planners have them: FLOP, accelerators for some days, or money."""

import re
from dataclasses import dataclass, replace
from typing import Any

from scalefit.costs.cost import Cost
from scalefit.costs.machines import Machines, parse_money, parse_share
from scalefit.errors import DataError, OptionError
from scalefit.units import is_quantity, positive_budgets

DAYS = {"h": 1 / 24, "d": 1.0, "w": 7.0}
_RESERVED = re.compile(
    r"(?P<devices>.+?)\s*[x×*]\s*(?P<time>[\d.]+)\s*(?P<unit>h|d|w)(?:ours?|rs?|ays?|eeks?)?"
    r"(?:\s*(?:@|at)\s*(?P<mfu>[\d.]+\s*%?)(?:\s*mfu)?)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Budget:
    """A budget in FLOP, and the machines that turn it into hours, days and money."""

    flops: float
    machines: Machines

    def amount(self, cost: Cost) -> float:
        """The budget in the units of a cost."""
        return self.flops if cost.unit == "FLOP" else float(self.machines.money(self.flops))


def read_budget(value: Any, machines: Machines | None = None) -> Budget:
    """A budget from FLOP (5.76e23), machines and time ("512 H100 x 30 days @ 40%"), or money ("$2M").

    machines : what money buys and FLOP run on, `Machines()` by default; a text that names devices or an MFU wins.
    Raises `DataError` where a text is none of these, `OptionError` for more than one budget.
    """
    machines = machines or Machines()
    if isinstance(value, Budget):
        return value
    text = str(value).strip() if isinstance(value, str) else ""
    if "$" in text:
        money = float(positive_budgets(parse_money(text))[0])
        return Budget(money / machines.price_per_flop, machines)
    if found := _RESERVED.fullmatch(text):
        return _reserved(found, machines)
    if isinstance(value, str) and not is_quantity(text):
        raise DataError(f"cannot read {text!r} as a budget; write 5.76e23, '512 H100 x 30 days @ 40%' or '$2M'.")
    flops = positive_budgets(value)
    if flops.size != 1:
        raise OptionError("a plan is for one budget; ask `fit.frontier` for several.")
    return Budget(float(flops[0]), machines)


def _reserved(found: re.Match[str], machines: Machines) -> Budget:
    share = parse_share(found["mfu"]) if found["mfu"] else machines.mfu
    machines = replace(machines._devices(found["devices"]), mfu=share)
    days = float(positive_budgets(found["time"])[0]) * DAYS[found["unit"].lower()]
    return Budget(machines.flops(days), machines)
