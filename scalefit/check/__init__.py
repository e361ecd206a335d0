"""Is it true? Scores on held-out runs, methods side by side, and calibration on tables whose truth is known."""

from scalefit.check.backtest import Backtest, backtest
from scalefit.check.calibration import Calibration, sbc
from scalefit.check.compare_laws import LawComparison, compare_laws
from scalefit.check.holdout import above_compute, by_group, random_folds, rolling_origin
from scalefit.check.learn import Learned, learn_discrepancy
from scalefit.check.methods import Comparison, compare_methods

__all__ = [
    "Backtest",
    "Calibration",
    "Comparison",
    "LawComparison",
    "Learned",
    "above_compute",
    "backtest",
    "by_group",
    "compare_laws",
    "compare_methods",
    "learn_discrepancy",
    "random_folds",
    "rolling_origin",
    "sbc",
]
