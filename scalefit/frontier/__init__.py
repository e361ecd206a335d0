"""Compute-optimal allocations: the optimum of a loss along a budget, frontiers, and approaches without a law."""

from scalefit.frontier import approaches
from scalefit.frontier.frontier import Frontier, frontier

__all__ = ["Frontier", "approaches", "frontier"]
