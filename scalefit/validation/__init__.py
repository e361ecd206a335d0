"""Is it true? Scores on held-out runs, methods side by side, and SBC on tables whose truth is known."""

from scalefit.validation.backtest import Backtest, backtest
from scalefit.validation.compare_laws import LawComparison, compare_laws
from scalefit.validation.compare_methods import Comparison, compare_methods
from scalefit.validation.forecast import Forecast, read_forecast, register
from scalefit.validation.holdout import above_compute, by_group, random_folds, rolling_origin
from scalefit.validation.learn_discrepancy import LearnedDiscrepancy, learn_discrepancy
from scalefit.validation.sbc import SBC, sbc
from scalefit.validation.score import ForecastScore, score

__all__ = [
    "SBC",
    "Backtest",
    "Comparison",
    "Forecast",
    "ForecastScore",
    "LawComparison",
    "LearnedDiscrepancy",
    "above_compute",
    "backtest",
    "by_group",
    "compare_laws",
    "compare_methods",
    "learn_discrepancy",
    "random_folds",
    "read_forecast",
    "register",
    "rolling_origin",
    "sbc",
    "score",
]
