"""Budgets as planners have them: FLOP, accelerators for some days, or money."""

import re
from dataclasses import dataclass, replace
from typing import Any

from scalefit.costs.cost import Cost
from scalefit.costs.machines import Machines, parse_money, parse_share
from scalefit.errors import OptionError
from scalefit.units import is_quantity, positive_budgets, positive_quantities

DAYS = {"h": 1 / 24, "d": 1.0, "w": 7.0}
_RESERVED = re.compile(
    r"(?P<devices>.+?)\s*[x×*]\s*(?P<time>[\d.]+)\s*(?P<unit>h|d|w)(?:ours?|rs?|ays?|eeks?)?"
    r"(?:\s*(?:@|at)\s*(?P<mfu>[\d.]+\s*%?)(?:\s*mfu)?)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Budget:
    """A budget, and the machines that turn it into hours, days and money.

    Parameters
    ----------
    flops
        FLOP.
    machines
        What the FLOP run on.
    """

    flops: float
    machines: Machines

    def amount(self, cost: Cost) -> float:
        """The budget in the unit of a cost.

        Parameters
        ----------
        cost
            The cost.

        Returns
        -------
        float
            FLOP or money.
        """
        return self.flops if cost.unit == "FLOP" else float(self.machines.money(self.flops))


def read_budget(value: Any, machines: Machines | None = None) -> Budget:
    """Read one budget.

    Parameters
    ----------
    value
        FLOP (5.76e23), machines and time ("512 H100 x 30 days @ 40%"), or money ("$2M").
    machines
        What money buys and FLOP run on, `Machines()` by default; devices or an MFU in the text take precedence.

    Returns
    -------
    Budget
        Its FLOP and machines.

    Raises
    ------
    OptionError
        The text is none of these, the budget is not positive, or there is more than one.
    """
    machines = machines or Machines()
    if isinstance(value, Budget):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if "$" in text:
        (money,) = positive_quantities(parse_money(text), "budget", "a positive amount of money, as in $2M")
        return Budget(float(money) / machines.price_per_flop, machines)
    if found := _RESERVED.fullmatch(text):
        return _reserved(found, machines)
    if isinstance(value, str) and not is_quantity(text):
        raise OptionError(f"{text!r} is not a budget. Write 5.76e23, '512 H100 x 30 days @ 40%' or '$2M'.")
    flops = positive_budgets(value)
    if flops.size != 1:
        raise OptionError(f"{flops.size} budgets are given where one is meant. Use `fit.frontier` for several.")
    return Budget(float(flops[0]), machines)


def _reserved(found: re.Match[str], machines: Machines) -> Budget:
    """The budget of devices for some time."""
    share = parse_share(found["mfu"]) if found["mfu"] else machines.mfu
    machines = replace(machines.with_devices(found["devices"]), mfu=share)
    (time,) = positive_quantities(found["time"], "time")
    return Budget(machines.flops(float(time) * DAYS[found["unit"].lower()]), machines)
