"""What a run costs: FLOP or money, machines, budgets, uncertain amounts. Nothing here knows a fit."""

from scalefit.costs.cost import Compute, Cost, SixND
from scalefit.costs.counted import Counted
from scalefit.costs.lifetime import Lifetime
from scalefit.costs.machines import Machines
from scalefit.costs.measured import Measured
from scalefit.costs.uncertain import Between

__all__ = ["Between", "Compute", "Cost", "Counted", "Lifetime", "Machines", "Measured", "SixND"]
