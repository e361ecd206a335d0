"""Is it true? Scores on held-out runs, and methods side by side."""

from scalefit.check.backtest import Backtest, backtest
from scalefit.check.holdout import above_compute, by_group, random_folds, rolling_origin
from scalefit.check.methods import Comparison, compare_methods

__all__ = [
    "Backtest",
    "Comparison",
    "above_compute",
    "backtest",
    "by_group",
    "compare_methods",
    "random_folds",
    "rolling_origin",
]
