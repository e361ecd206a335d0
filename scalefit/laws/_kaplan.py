"""The laws of Kaplan et al. 2020 (arXiv 2001.08361): no irreducible loss, N without embeddings, compute in PF-days.

Their constants belong to their tokenizer, data and way of counting: N leaves embeddings out, and C_min is what training
would have cost at batches far below the critical size.
"""

from math import log
from typing import Any, ClassVar, final

from scalefit.laws._law import Law, Losses
from scalefit.laws._priors import Param, Prior, Values
from scalefit.laws._terms import power

SOURCE = "Kaplan et al. 2020 (arXiv 2001.08361), "
CONSTANT = Prior.of("LogNormal", loc=0.0, scale=2.5)
EXPONENT = Prior.of("LogNormal", loc=log(0.1), scale=0.6)


class OneInputPowerLaw(Law, listed=False):
    """L(x) = (x_c/x)^alpha_x: what the loss would be if nothing but x limited it."""

    x_c: ClassVar[str]
    alpha_x: ClassVar[str]
    meaning: ClassVar[str]  # of x

    @final
    @property
    def x(self) -> str:
        """The column."""
        return self.inputs[0]

    @final
    def params(self) -> tuple[Param, ...]:
        """x_c and alpha_x."""
        return (
            Param(self.x_c, CONSTANT, f"{self.meaning} at which the loss would be 1 nat", self.x),
            Param(self.alpha_x, EXPONENT, f"exponent of {self.meaning}"),
        )

    @final
    def loss(self, theta: Values, x: Values) -> Losses:
        """(x_c/x)^alpha_x, in nats per token."""
        return power(theta[self.x_c] / x[self.x], theta[self.alpha_x])

    @final
    def rescale(self, theta: Values, unit: Values) -> dict[str, Any]:
        """With x = u x0 and L = l L0: x_c = u_c x0 L0^(1/alpha_x)."""
        return {**theta, self.x_c: theta[self.x_c] * unit[self.x] * unit["loss"] ** (1 / theta[self.alpha_x])}

    @final
    def derived(self, theta: Values) -> dict[str, Any]:
        """What a doubling of x takes off the loss, as a factor."""
        return {"doubling": 2.0 ** -theta[self.alpha_x]}
