"""Losses and least budgets draw by draw, for rooms that build on planning."""

from scalefit.planning._crossing import first_crossing
from scalefit.planning._envelope import LeastBudgets, Optima, optima_at
from scalefit.planning._loss_posterior import LossPosterior, costs_of, loss_posterior

__all__ = ["LeastBudgets", "LossPosterior", "Optima", "costs_of", "first_crossing", "loss_posterior", "optima_at"]
