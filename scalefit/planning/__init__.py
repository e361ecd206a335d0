"""From a fit to a decision: costs, plans under limits, the price of being wrong, comparisons, and the loss surface."""

from scalefit.planning.amount import Between
from scalefit.planning.audit import Audit, audit
from scalefit.planning.decide import Plan, plan
from scalefit.planning.lifetime import Life, lifetime
from scalefit.planning.machines import Machines
from scalefit.planning.rules import Rules, rules_of_thumb
from scalefit.planning.surface import Surface, loss_surface
from scalefit.planning.target import Target, target
from scalefit.planning.versus import Versus, versus

__all__ = [
    "Audit",
    "Between",
    "Life",
    "Machines",
    "Plan",
    "Rules",
    "Surface",
    "Target",
    "Versus",
    "audit",
    "lifetime",
    "loss_surface",
    "plan",
    "rules_of_thumb",
    "target",
    "versus",
]
