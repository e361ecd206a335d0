"""Lifetime: the cost of training a model and of serving it, in FLOP or money."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Self, final

from jax.tree_util import register_dataclass

from scalefit.costs.cost import Compute, Cost, SixND
from scalefit.costs.machines import Machines
from scalefit.costs.uncertain import Amount, describe_amount, expected

FORWARD = 1 / 3
"""A forward pass over the FLOP of a training step: 2 N of 6 N a token (Kaplan et al. 2020, section 2.1)."""


@final
@partial(register_dataclass, data_fields=["tokens", "generated", "prices", "compute"], meta_fields=["unit"])
@dataclass(frozen=True)
class Lifetime(Cost):
    """Training and inference: 6 N D + 2 N T.

    Parameters
    ----------
    tokens
        T, tokens processed in the model's life: a number, a `Between`, or draws (draw,).
    generated
        Further tokens, generated one by one, which machines do at another MFU.
    prices
        Of one FLOP of training, of processing and of generating, in `unit`s; `Lifetime.in_money` takes them from
        machines.
    unit
        "FLOP" or "$".
    compute
        Compute of training, of which a forward pass takes a third; None is 6 N D, and in an answer from a fit the
        compute that its table shows.

    References
    ----------
    Sardana et al. 2024 (arXiv 2401.00448), equations 2 and 3.
    """

    tokens: Amount
    generated: Amount = 0.0
    prices: tuple[Any, Any, Any] = (1.0, 1.0, 1.0)
    unit: str = "FLOP"
    compute: Compute | None = None

    @property
    def of_training(self) -> Compute:
        """Compute of training, 6 N D where none is given."""
        return SixND() if self.compute is None else self.compute

    @property
    def growth(self) -> tuple[Any, Any]:
        """That of the compute."""
        return self.of_training.growth

    @classmethod
    def in_money(
        cls,
        tokens: Amount,
        generated: Amount = 0.0,
        *,
        training: Machines,
        serving: Machines | None = None,
        generating: Machines | None = None,
        compute: Compute | None = None,
    ) -> Self:
        """The lifetime cost in money, each kind of work on machines of its own.

        Parameters
        ----------
        tokens, generated, compute
            As `Lifetime` has them.
        training
            What the model is trained on.
        serving
            What processes tokens; the machines of training by default.
        generating
            What generates tokens; the machines of serving by default.

        Returns
        -------
        Lifetime
            The cost, in "$".
        """
        serving = serving or training
        generating = generating or serving
        prices = (training.price_per_flop, serving.price_per_flop, generating.price_per_flop)
        return cls(tokens, generated, prices, "$", compute)

    def per_token(self, params: Any) -> Any:
        """Cost of training on one token: its FLOP at the price of training."""
        return self.of_training.per_token(params) * self.prices[0]

    def serving(self, params: Any) -> Any:
        """Cost of inference: a forward pass for every token, at the price of processing or of generating."""
        priced_tokens = self.prices[1] * self.tokens + self.prices[2] * self.generated
        return FORWARD * self.of_training.per_token(params) * priced_tokens

    def flops(self, params: Any, tokens: Any) -> Any:
        """Compute of training in FLOP, whatever its price."""
        return self.of_training.flops(params, tokens)

    def describe(self) -> str:
        """The formula, and how many tokens are served."""
        served = describe_amount(self.tokens)
        served += f" processed and {describe_amount(self.generated)} generated" if expected(self.generated) else ""
        plain = self.of_training == SixND()
        formula = "C = 6 N D + 2 N T" if plain else f"{self.of_training.describe()}, and forward passes for T"
        return f"{formula}{' in money' if self.unit != 'FLOP' else ''}, T = {served} tokens served"
