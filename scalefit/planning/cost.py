"""What a run costs, in FLOP or money: every cost here is linear in tokens, `per_token(N) D + serving(N)`.

A cost is a frozen, hashable dataclass of numbers, and a JAX pytree of the same: programs compiled once serve every
price and every volume of inference.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self, final

import jax
from jax.tree_util import register_dataclass

from scalefit.counting import FLOPS_PER_PARAM_TOKEN
from scalefit.planning.amount import Between, describe_amount, draws_of, expected
from scalefit.planning.machines import Machines

SERVED_FLOPS_PER_PARAM_TOKEN = 2.0
"""A forward pass alone: 2N FLOP a token (Kaplan et al. 2020, arXiv 2001.08361, section 2.1)."""


class Cost(ABC):
    """The contract. All methods are elementwise over floats and arrays, NumPy or JAX, and give `unit`s."""

    @property
    @abstractmethod
    def unit(self) -> str:
        """What it is counted in: "FLOP" or "$"."""

    @abstractmethod
    def per_token(self, params: Any) -> Any:
        """Cost of training `params` parameters on one token."""

    @abstractmethod
    def serving(self, params: Any) -> Any:
        """Cost of what `params` parameters do after training; 0 where that is nobody's business."""

    @abstractmethod
    def describe(self) -> str:
        """The rule in a few words, as in "C = 6 N D"."""

    def training(self, params: Any, tokens: Any) -> Any:
        """Cost of training alone."""
        return self.per_token(params) * tokens

    def total(self, params: Any, tokens: Any) -> Any:
        """Cost of training and of everything after it."""
        return self.training(params, tokens) + self.serving(params)

    def tokens_for(self, budget: Any, params: Any) -> Any:
        """Training tokens that a total of `budget` leaves room for; not positive where it leaves none."""
        return (budget - self.serving(params)) / self.per_token(params)

    def sampled(self, count: int, seed: int = 0) -> Self:
        """The same cost with every number as draws (count,): uncertain amounts sampled, known ones repeated."""
        return self._with(lambda value: draws_of(value, count, seed))

    def averaged(self) -> Self:
        """The same cost at the expectation of every uncertain amount: enough to decide, for it enters linearly."""
        return self._with(expected)

    def _with(self, change: Callable[[Any], Any]) -> Self:
        return jax.tree.map(change, self, is_leaf=lambda value: isinstance(value, Between))


@final
@register_dataclass
@dataclass(frozen=True)
class SixND(Cost):
    """Training alone: C = 6 N D FLOP (Kaplan et al. 2020, arXiv 2001.08361, section 2.1)."""

    unit: ClassVar[str] = "FLOP"

    def per_token(self, params: Any) -> Any:
        """6 N."""
        return FLOPS_PER_PARAM_TOKEN * params

    def serving(self, params: Any) -> Any:
        """0."""
        return 0.0 * params

    def describe(self) -> str:
        """The rule."""
        return "C = 6 N D"


@final
@partial(register_dataclass, data_fields=["tokens", "generated", "prices"], meta_fields=["unit"])
@dataclass(frozen=True)
class Lifetime(Cost):
    """Training and inference: 6 N D + 2 N T (Sardana et al. 2024, arXiv 2401.00448, equations 2 and 3).

    tokens : T, tokens processed in the model's life; a number, a `Between`, or draws. generated : further tokens,
        generated one by one, which machines do at another MFU. prices : of one FLOP of training, of processing and
        of generating, in `unit`s. `Lifetime.in_money` sets them from machines.
    """

    tokens: Any
    generated: Any = 0.0
    prices: tuple[float, float, float] = (1.0, 1.0, 1.0)
    unit: str = "FLOP"

    @classmethod
    def in_money(
        cls,
        tokens: Any,
        generated: Any = 0.0,
        *,
        training: Machines,
        serving: Machines | None = None,
        generating: Machines | None = None,
    ) -> Self:
        """The same in money, each kind of work on machines of its own; `training`'s where they are not given."""
        fleet = (training, serving or training, generating or serving or training)
        return cls(tokens, generated, tuple(machines.price_per_flop for machines in fleet), "$")  # type: ignore[arg-type]

    def per_token(self, params: Any) -> Any:
        """6 N, at the price of training."""
        return FLOPS_PER_PARAM_TOKEN * params * self.prices[0]

    def serving(self, params: Any) -> Any:
        """2 N for every token of inference, at its price."""
        worth = self.prices[1] * self.tokens + self.prices[2] * self.generated
        return SERVED_FLOPS_PER_PARAM_TOKEN * params * worth

    def describe(self) -> str:
        """The rule, and how many tokens are served."""
        served = describe_amount(self.tokens)
        served += f" processed and {describe_amount(self.generated)} generated" if expected(self.generated) else ""
        return f"C = 6 N D + 2 N T{' in money' if self.unit != 'FLOP' else ''}, T = {served} tokens served"
