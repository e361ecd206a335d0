"""From a fit to a decision: costs, plans under limits, the price of being wrong, comparisons, and the loss surface."""

from scalefit.costs.machines import Machines
from scalefit.costs.uncertain import Between
from scalefit.planning.audit import Audit, audit
from scalefit.planning.compare_runs import RunComparison, compare_runs
from scalefit.planning.least_input import LeastInput, least_input
from scalefit.planning.lifetime import LifetimePlan, lifetime
from scalefit.planning.loss_surface import Surface, loss_surface
from scalefit.planning.next_runs import NextRuns, next_runs
from scalefit.planning.plan import Plan, plan
from scalefit.planning.rules_of_thumb import RulesOfThumb, rules_of_thumb
from scalefit.planning.target import Target, target

__all__ = [
    "Audit",
    "Between",
    "LeastInput",
    "LifetimePlan",
    "Machines",
    "NextRuns",
    "Plan",
    "RulesOfThumb",
    "RunComparison",
    "Surface",
    "Target",
    "audit",
    "compare_runs",
    "least_input",
    "lifetime",
    "loss_surface",
    "next_runs",
    "plan",
    "rules_of_thumb",
    "target",
]
