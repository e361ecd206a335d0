"""What a planner is not free to choose: a size, a number of tokens, a cap on memory or latency, over-training."""

from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from scalefit.costs.cost import Cost
from scalefit.errors import OptionError, QuestionError
from scalefit.planning._solve import LARGEST
from scalefit.units import format_count, parse_quantity


@dataclass(frozen=True)
class Constraints:
    """params, tokens : fixed. max_params : at most so many, for memory or latency. overtrain : so many times the
    tokens per parameter of the free plan. Raises `QuestionError` where they are not positive or contradict each other.
    """

    params: float | None = None
    tokens: float | None = None
    max_params: float | None = None
    overtrain: float | None = None

    def __post_init__(self) -> None:
        given = [value for value in astuple(self) if value is not None]
        if not all(np.isfinite(value) and value > 0 for value in given):
            raise OptionError("a limit must be a positive number, as in max_params=7e9.")
        if sum(value is not None for value in (self.params, self.tokens, self.overtrain)) > 1:
            raise OptionError("a budget fixes one of params, tokens and overtrain given another; give one of them.")
        if self.params is not None and self.max_params is not None and self.params > self.max_params:
            raise OptionError(f"{format_count(self.params)} parameters are more than the cap.")

    @classmethod
    def read(cls, **given: Any) -> "Constraints":
        """Constraints from numbers or texts such as "7B"."""
        return cls(**{name: None if value is None else parse_quantity(value) for name, value in given.items()})

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return self != Constraints()

    def hold(self, free: float, cost: Cost, budget: float) -> tuple[float, float]:
        """The ln N from smallest to largest that the limits allow at this budget; `free` is where none would go.

        Raises `QuestionError` where the budget does not reach.
        """
        if cost.tokens_for(budget, np.exp(LARGEST)) > 1:
            raise QuestionError("the budget is more than the largest conceivable run costs; ask for less.")
        low, high = 0.0, _where(lambda log_n: cost.tokens_for(budget, np.exp(log_n)) - 1.0, LARGEST)
        if self.params is not None:
            low = high = float(np.log(self.params))
        elif self.tokens is not None:
            wanted = self.tokens
            low = high = _where(lambda log_n: cost.tokens_for(budget, np.exp(log_n)) - wanted, high)
        elif self.overtrain is not None:
            ratio = self.overtrain * cost.tokens_for(budget, np.exp(free)) / np.exp(free)
            low = high = _where(lambda log_n: cost.tokens_for(budget, np.exp(log_n)) - ratio * np.exp(log_n), high)
        if self.max_params is not None:
            high = min(high, float(np.log(self.max_params)))
        if low > high or cost.tokens_for(budget, np.exp(low)) < 1:
            raise QuestionError(
                "the budget and the limits leave no room for a run; raise the one or loosen the others."
            )
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


def _where(falling: Any, high: float) -> float:
    """Where a falling function of ln N crosses zero; the end of the range where it does not."""
    from scipy.optimize import brentq

    if falling(0.0) <= 0 or falling(high) >= 0:
        raise QuestionError("the budget and the limits leave no room for a run; raise the one or loosen the others.")
    return float(brentq(falling, 0.0, high, xtol=1e-12))
