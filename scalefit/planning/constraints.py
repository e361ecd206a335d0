"""Constraints of a plan: a size, a number of tokens, a cap for memory or latency, over-training."""

from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from scalefit.costs.cost import Cost
from scalefit.errors import OptionError, QuestionError
from scalefit.planning._solve import LARGEST
from scalefit.units import format_count, parse_quantity

TOO_SMALL = "the budget is too small for a run under the constraints. Raise the budget or loosen a constraint."


@dataclass(frozen=True)
class Constraints:
    """What is not free to choose.

    Parameters
    ----------
    params, tokens
        Fixed numbers.
    max_params
        A cap, for memory or latency.
    overtrain
        Tokens per parameter over those of the plan without constraints.

    Raises
    ------
    OptionError
        A constraint is not positive, or two contradict each other.
    """

    params: float | None = None
    tokens: float | None = None
    max_params: float | None = None
    overtrain: float | None = None

    def __post_init__(self) -> None:
        given = [value for value in astuple(self) if value is not None]
        if not all(np.isfinite(value) and value > 0 for value in given):
            raise OptionError("a constraint is not a positive number. Write it as in max_params=7e9.")
        if sum(value is not None for value in (self.params, self.tokens, self.overtrain)) > 1:
            raise OptionError("params, tokens and overtrain fix each other at a budget. Give one of them.")
        if self.params is not None and self.max_params is not None and self.params > self.max_params:
            raise OptionError(f"{format_count(self.params)} parameters are above the cap. Raise max_params.")

    @classmethod
    def read(cls, **given: Any) -> "Constraints":
        """Constraints from numbers or texts such as "7B"."""
        return cls(**{name: None if value is None else parse_quantity(value) for name, value in given.items()})

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return self != Constraints()

    def bounds(self, free: float, cost: Cost, budget: float) -> tuple[float, float]:
        """The smallest and the largest ln N that the constraints allow at a budget.

        Parameters
        ----------
        free
            ln N of the plan without constraints.
        cost, budget
            The budget in the unit of the cost.

        Raises
        ------
        QuestionError
            The budget is too small for the constraints, or larger than any run costs.
        """
        if cost.tokens_for(budget, np.exp(LARGEST)) > 1:
            raise QuestionError("the budget is larger than any run costs. Use a smaller budget.")
        low, high = 0.0, _crossing(lambda log_n: cost.tokens_for(budget, np.exp(log_n)) - 1.0, LARGEST)
        if self.params is not None:
            low = high = float(np.log(self.params))
        elif self.tokens is not None:
            wanted = self.tokens
            low = high = _crossing(lambda log_n: cost.tokens_for(budget, np.exp(log_n)) - wanted, high)
        elif self.overtrain is not None:
            ratio = self.overtrain * cost.tokens_for(budget, np.exp(free)) / np.exp(free)
            low = high = _crossing(lambda log_n: cost.tokens_for(budget, np.exp(log_n)) - ratio * np.exp(log_n), high)
        if self.max_params is not None:
            high = min(high, float(np.log(self.max_params)))
        if low > high or cost.tokens_for(budget, np.exp(low)) < 1:
            raise QuestionError(TOO_SMALL)
        return low, high

    def describe(self) -> str:
        """In words, as in "at most 7B parameters"."""
        words = {
            "params": "{} parameters exactly",
            "tokens": "{} tokens exactly",
            "max_params": "at most {} parameters",
            "overtrain": "{} times the tokens per parameter",
        }
        given = {name: getattr(self, name) for name in words}
        return ", ".join(words[name].format(format_count(v)) for name, v in given.items() if v is not None)


def _crossing(falling: Callable[[float], float], high: float) -> float:
    """The ln N from 0 to `high` at which a falling function crosses zero."""
    from scipy.optimize import brentq

    if falling(0.0) <= 0 or falling(high) >= 0:
        raise QuestionError(TOO_SMALL)
    return float(brentq(falling, 0.0, high, xtol=1e-12))
