"""Losses, least budgets and open questions draw by draw, for rooms that build on planning."""

from scalefit.planning._crossing import first_crossing
from scalefit.planning._envelope import LeastBudgets, Optima, optima_at
from scalefit.planning._loss_posterior import LossPosterior, costs_of, loss_posterior
from scalefit.planning._run_values import share_of_variance
from scalefit.planning._settle import LIKELY, Settle, SeveralFits, without_far

__all__ = [
    "LIKELY",
    "LeastBudgets",
    "LossPosterior",
    "Optima",
    "Settle",
    "SeveralFits",
    "costs_of",
    "first_crossing",
    "loss_posterior",
    "optima_at",
    "share_of_variance",
    "without_far",
]
