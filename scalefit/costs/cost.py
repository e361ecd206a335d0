"""What a run costs, in FLOP or money: `per_token(N) D (D/D_0)^r + serving(N)`, nearly always with r = 0.

A cost is a frozen, hashable dataclass of numbers, and a JAX pytree of the same: programs compiled once serve every
price and every volume of inference.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import jax
import jax.numpy as jnp
from jax.tree_util import register_dataclass

from scalefit.costs.uncertain import Between, draws_of, expected
from scalefit.counting import FLOPS_PER_PARAM_TOKEN
from scalefit.errors import OptionError
from scalefit.units import percent

STEPS = 30


class Cost(ABC):
    """The contract. All methods are elementwise over floats and arrays, NumPy or JAX, and give `unit`s."""

    @property
    @abstractmethod
    def unit(self) -> str:
        """What the cost is counted in: "FLOP" or "$"."""

    @abstractmethod
    def per_token(self, params: Any) -> Any:
        """Cost of training on one token, of D_0 where that matters.

        Parameters
        ----------
        params
            Parameters N; a float or an array.

        Returns
        -------
        float or array
            The cost, in `unit`s.
        """

    @property
    @abstractmethod
    def growth(self) -> tuple[Any, Any]:
        """r and D_0: the cost of a token grows by (D/D_0)^r with the tokens trained on. (0, 1): it does not."""

    @abstractmethod
    def serving(self, params: Any) -> Any:
        """Cost of what a model does after training.

        Parameters
        ----------
        params
            Parameters N; a float or an array.

        Returns
        -------
        float or array
            The cost, in `unit`s; 0 where the cost is that of training.
        """

    @abstractmethod
    def describe(self) -> str:
        """The cost in a few words, as in "C = 6 N D"."""

    @abstractmethod
    def flops(self, params: Any, tokens: Any) -> Any:
        """Compute of training, whatever the `unit`.

        Parameters
        ----------
        params, tokens
            N and D; floats or arrays.

        Returns
        -------
        float or array
            FLOP.
        """

    @final
    def training(self, params: Any, tokens: Any) -> Any:
        """Cost of training alone.

        Parameters
        ----------
        params, tokens
            N and D; floats or arrays.

        Returns
        -------
        float or array
            The cost, in `unit`s.
        """
        power, middle = self.growth
        if _is_zero(power):
            return self.per_token(params) * tokens
        return self.per_token(params) * middle * (tokens / middle) ** (1 + power)  # endless tokens cost without end

    @final
    def total(self, params: Any, tokens: Any) -> Any:
        """Cost of training and of everything after it.

        Parameters
        ----------
        params, tokens
            N and D; floats or arrays.

        Returns
        -------
        float or array
            The cost, in `unit`s.
        """
        return self.training(params, tokens) + self.serving(params)

    @final
    def tokens_for(self, budget: Any, params: Any) -> Any:
        """Training tokens that a total cost leaves room for.

        Parameters
        ----------
        budget
            The total, in `unit`s; a float or an array.
        params
            Parameters N; a float or an array.

        Returns
        -------
        float or array
            Tokens D, not positive where the budget leaves no room.
        """
        straight = (budget - self.serving(params)) / self.per_token(params)
        power, middle = self.growth
        if _is_zero(power):
            return straight
        return (2.0 * (straight > 0) - 1.0) * (abs(straight) * middle**power) ** (1 / (1 + power))

    @final
    def params_for(self, budget: Any, tokens: Any) -> Any:
        """Parameters that a cost of training leaves room for.

        Parameters
        ----------
        budget
            Of training, in `unit`s; a float or an array.
        tokens
            Tokens D; a float or an array.

        Returns
        -------
        float or array
            Parameters N.
        """
        params = budget / self.training(1.0, tokens)
        for _ in range(STEPS):  # a cost is about linear in N
            params = params * budget / self.training(params, tokens)
        return params

    @final
    def log_tokens_for(self, log_budget: Any, log_params: Any) -> Any:
        """ln of `tokens_for` by JAX: float32 does not resolve the slope of the quotient.

        Parameters
        ----------
        log_budget
            ln of the total, in `unit`s.
        log_params
            ln N.

        Returns
        -------
        array
            ln D, elementwise, 0 where the budget leaves no room for one token.
        """
        params = jnp.exp(log_params)
        left = 1.0 - self.serving(params) * jnp.exp(-log_budget)
        log_tokens = log_budget + jnp.log(jnp.where(left > 0, left, 1.0)) - jnp.log(self.per_token(params))
        power, middle = self.growth
        if not _is_zero(power):
            log_tokens = (log_tokens + power * jnp.log(middle)) / (1 + power)
        return jnp.where((left > 0) & (log_tokens > 0), log_tokens, 0.0)

    @final
    def sampled(self, count: int, seed: int = 0) -> Self:
        """The same cost with every number as draws.

        Parameters
        ----------
        count
            Number of draws.
        seed
            Of the draws.

        Returns
        -------
        Cost
            Uncertain amounts sampled and known ones repeated, (count,).
        """
        return self._with(lambda value: draws_of(value, count, seed))

    @final
    def averaged(self) -> Self:
        """The same cost at the expectation of every uncertain amount."""
        return self._with(expected)

    @final
    @property
    def axes(self) -> int | None:
        """The axis of draws for `jax.vmap`: 0 of a cost that is `sampled`, None of one of numbers."""
        return 0 if any(jnp.ndim(leaf) for leaf in jax.tree.leaves(self)) else None

    @final
    def _with(self, change: Callable[[Any], Any]) -> Self:
        return jax.tree.map(change, self, is_leaf=lambda value: isinstance(value, Between))


def _is_zero(power: Any) -> bool:
    return isinstance(power, float | int) and power == 0


class Compute(Cost):
    """The cost of training alone, in FLOP."""

    unit: ClassVar[str] = "FLOP"

    @final
    def serving(self, params: Any) -> Any:
        """Zero for every model, in the shape of `params`."""
        return 0.0 * params

    @final
    def flops(self, params: Any, tokens: Any) -> Any:
        """Compute of training, which is the cost."""
        return self.training(params, tokens)


@final
@register_dataclass
@dataclass(frozen=True)
class SixND(Compute):
    """C = 6 N D FLOP.

    Parameters
    ----------
    active
        The share of the N parameters that a token passes through, for a mixture of experts whose N counts all.
    measured
        Compute over 6 N D, where runs measured it to be the same in all.

    Raises
    ------
    OptionError
        The share is not above 0 and at most 1.

    References
    ----------
    Kaplan et al. 2020 (arXiv 2001.08361), section 2.1.
    """

    active: Any = 1.0
    measured: Any = 1.0
    growth: ClassVar[tuple[float, float]] = (0.0, 1.0)

    @property
    def times(self) -> Any:
        """Compute over 6 N D."""
        return self.active * self.measured

    def __post_init__(self) -> None:
        # JAX builds trees of placeholders with this class too.
        if isinstance(self.active, float | int) and not 0 < self.active <= 1:
            raise OptionError(f"an active share of {self.active:g} is out of range. Give a share, as in 28%.")

    def per_token(self, params: Any) -> Any:
        """FLOP of training on one token: 6 N of the active parameters, times what was measured."""
        return FLOPS_PER_PARAM_TOKEN * self.times * params

    def describe(self) -> str:
        """The formula, the active share where it is not 1, and what was measured."""
        times = "" if self.measured == 1.0 else f"{self.measured:.3g} x "
        share = "" if self.active == 1.0 else f" of the {percent(self.active)} of N that are active"
        return f"C = {times}6 N D{share}{', as measured in its runs' if times else ''}"


SIX_ND = SixND()
