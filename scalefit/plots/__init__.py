"""Pictures, one file each: they take a fit and return matplotlib Axes."""

from scalefit.plots._audit import audit
from scalefit.plots._axes import check_ending, save
from scalefit.plots._coverage import coverage
from scalefit.plots._curve import curve
from scalefit.plots._emergence import emergence
from scalefit.plots._frontier import frontier
from scalefit.plots._isoflops import isoflops
from scalefit.plots._kaplan_chinchilla import reconcile
from scalefit.plots._loss_surface import surface
from scalefit.plots._next_runs import next_runs
from scalefit.plots._pairs import pairs
from scalefit.plots._pareto import pareto
from scalefit.plots._priors import priors
from scalefit.plots._recipes import recipe_residuals, recipes
from scalefit.plots._residuals import predictive, residuals
from scalefit.plots._sbc import sbc

__all__ = [
    "audit", "check_ending", "coverage", "curve", "emergence", "frontier", "isoflops", "next_runs", "pairs", "pareto",
    "predictive", "priors", "recipe_residuals", "recipes", "reconcile", "residuals", "save", "sbc", "surface",
]  # fmt: skip
