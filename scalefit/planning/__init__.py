"""From a fit to a decision: the plan at a budget, the surface around it."""

from scalefit.planning.decide import Plan, plan
from scalefit.planning.surface import Surface, loss_surface

__all__ = ["Plan", "Surface", "loss_surface", "plan"]
