"""What a run costs, in FLOP or money: every cost here is linear in tokens, `per_token(N) D + serving(N)`.

A cost is a frozen, hashable dataclass of numbers, and a JAX pytree of the same: programs compiled once serve every
price and every volume of inference.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from math import log
from typing import Any, ClassVar, Self, final

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass

from scalefit.costs.machines import Machines
from scalefit.costs.uncertain import Between, describe_amount, draws_of, expected
from scalefit.counting import FLOPS_PER_PARAM_TOKEN, Shape, family_shapes, flops_per_token
from scalefit.errors import OptionError
from scalefit.units import percent

FORWARD = 1 / 3
"""Of a training step's FLOP: 2N of 6N a token (Kaplan et al. 2020, arXiv 2001.08361, section 2.1)."""


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

    @abstractmethod
    def flops(self, params: Any, tokens: Any) -> Any:
        """Compute of training, in FLOP whatever the `unit`."""

    def training(self, params: Any, tokens: Any) -> Any:
        """Cost of training alone."""
        return self.per_token(params) * tokens

    def total(self, params: Any, tokens: Any) -> Any:
        """Cost of training and of everything after it."""
        return self.training(params, tokens) + self.serving(params)

    def tokens_for(self, budget: Any, params: Any) -> Any:
        """Training tokens that a total of `budget` leaves room for; not positive where it leaves none."""
        return (budget - self.serving(params)) / self.per_token(params)

    def log_tokens_for(self, log_budget: jax.Array, log_params: jax.Array) -> jax.Array:
        """ln of those tokens by JAX, of one where there is no room: float32 does not hold the slope of the quotient."""
        params = jnp.exp(log_params)
        left = 1.0 - self.serving(params) * jnp.exp(-log_budget)
        log_tokens = log_budget + jnp.log(jnp.where(left > 0, left, 1.0)) - jnp.log(self.per_token(params))
        return jnp.where((left > 0) & (log_tokens > 0), log_tokens, 0.0)

    def sampled(self, count: int, seed: int = 0) -> Self:
        """The same cost with every number as draws (count,): uncertain amounts sampled, known ones repeated."""
        return self._with(lambda value: draws_of(value, count, seed))

    def averaged(self) -> Self:
        """The same cost at the expectation of every uncertain amount: enough to decide, for it enters linearly."""
        return self._with(expected)

    def _with(self, change: Callable[[Any], Any]) -> Self:
        return jax.tree.map(change, self, is_leaf=lambda value: isinstance(value, Between))


class Compute(Cost):
    """Training alone, in FLOP."""

    unit: ClassVar[str] = "FLOP"

    def serving(self, params: Any) -> Any:
        """0."""
        return 0.0 * params

    def flops(self, params: Any, tokens: Any) -> Any:
        """The cost itself."""
        return self.training(params, tokens)


@final
@register_dataclass
@dataclass(frozen=True)
class SixND(Compute):
    """C = 6 N D FLOP (Kaplan et al. 2020, arXiv 2001.08361, section 2.1).

    active : the share of the N parameters that a token meets, of a mixture of experts whose N counts them all.
    """

    active: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.active, float | int) and not 0 < self.active <= 1:
            raise OptionError(f"active is a share of the parameters, above 0 and at most 1; got {self.active:g}.")

    def per_token(self, params: Any) -> Any:
        """6 N, of the active parameters."""
        return FLOPS_PER_PARAM_TOKEN * self.active * params

    def describe(self) -> str:
        """The rule."""
        return "C = 6 N D" if self.active == 1.0 else f"C = 6 N D of the {percent(self.active)} of N that are active"


@final
@partial(register_dataclass, data_fields=[], meta_fields=["log_params", "log_per_param", "about"])
@dataclass(frozen=True)
class Counted(Compute):
    """FLOP as a counting rule finds them for shapes of a family: exact there, in between interpolated in logarithms.

    Below the smallest and above the largest shape, FLOP a parameter and token are as there. log_params,
    log_per_param : ln N of the shapes, rising, and ln of their FLOP a token and parameter. `Counted.of` makes them.
    """

    log_params: tuple[float, ...]
    log_per_param: tuple[float, ...]
    about: str

    @classmethod
    def of(
        cls,
        family: str | Iterable[Shape],
        rule: str = "palm-causal",
        convention: str = "total",
        context: int | None = None,
    ) -> Self:
        """Of a family by name, or of shapes of one's own; N by `convention`, in sequences of `context` tokens.

        Raises `OptionError` on an unknown family or none, `DataError` on an unknown rule or convention.
        """
        shapes = family_shapes(family) if isinstance(family, str) else tuple(family)
        if not shapes:
            raise OptionError("compute is counted over shapes: give one at least.")
        flops = {shape.count(convention): flops_per_token(shape, rule, context) for shape in shapes}
        knots = sorted((log(n), log(f / n)) for n, f in flops.items())
        name = family if isinstance(family, str) else f"{len(knots)} shapes"
        return cls(tuple(x for x, _ in knots), tuple(y for _, y in knots), f"{name}, {rule}")

    def per_token(self, params: Any) -> Any:
        """FLOP of one token, forward and backward."""
        xp: Any = jnp if isinstance(params, jax.Array) else np
        return params * xp.exp(xp.interp(xp.log(params), xp.array(self.log_params), xp.array(self.log_per_param)))

    def describe(self) -> str:
        """The rule and the family."""
        return f"C counted over shapes ({self.about})"


@final
@partial(register_dataclass, data_fields=["tokens", "generated", "prices", "compute"], meta_fields=["unit"])
@dataclass(frozen=True)
class Lifetime(Cost):
    """Training and inference: 6 N D + 2 N T (Sardana et al. 2024, arXiv 2401.00448, equations 2 and 3).

    tokens : T, tokens processed in the model's life; a number, a `Between`, or draws. generated : further tokens,
        generated one by one, which machines do at another MFU. prices : of one FLOP of training, of processing and
        of generating, in `unit`s. `Lifetime.in_money` sets them from machines. compute : of training, of which a
        forward pass takes a third.
    """

    tokens: Any
    generated: Any = 0.0
    prices: tuple[float, float, float] = (1.0, 1.0, 1.0)
    unit: str = "FLOP"
    compute: Compute = field(default_factory=SixND)

    @classmethod
    def in_money(
        cls,
        tokens: Any,
        generated: Any = 0.0,
        *,
        training: Machines,
        serving: Machines | None = None,
        generating: Machines | None = None,
        compute: Compute | None = None,
    ) -> Self:
        """The same in money, each kind of work on machines of its own; `training`'s where they are not given."""
        fleet = (training, serving or training, generating or serving or training)
        training_price, price, generating_price = (machines.price_per_flop for machines in fleet)
        return cls(tokens, generated, (training_price, price, generating_price), "$", compute or SixND())

    def per_token(self, params: Any) -> Any:
        """That of training, 6 N, at its price."""
        return self.compute.per_token(params) * self.prices[0]

    def serving(self, params: Any) -> Any:
        """A forward pass, 2 N, for every token of inference, at its price."""
        worth = self.prices[1] * self.tokens + self.prices[2] * self.generated
        return FORWARD * self.compute.per_token(params) * worth

    def flops(self, params: Any, tokens: Any) -> Any:
        """Of training, whatever its price."""
        return self.compute.flops(params, tokens)

    def describe(self) -> str:
        """The rule, and how many tokens are served."""
        served = describe_amount(self.tokens)
        served += f" processed and {describe_amount(self.generated)} generated" if expected(self.generated) else ""
        rule = (
            "C = 6 N D + 2 N T" if self.compute == SixND() else f"{self.compute.describe()}, and forward passes for T"
        )
        return f"{rule}{' in money' if self.unit != 'FLOP' else ''}, T = {served} tokens served"
