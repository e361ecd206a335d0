"""The laws of Kaplan et al. 2020 (arXiv 2001.08361): no irreducible loss, N without embeddings, compute in PF-days.

Their constants belong to their tokenizer, data and way of counting: N leaves embeddings out, and C_min is what training
would have cost at batches far below the critical size.
"""

from dataclasses import dataclass, replace
from math import log
from typing import Any, ClassVar, final

from jax import Array

from scalefit.counting import PF_DAY
from scalefit.laws._kaplan import _SOURCE, _Alone
from scalefit.laws._law import Published
from scalefit.laws._priors import Param, Prior, Values


@final
@dataclass(frozen=True)
class KaplanC(_Alone):
    """Loss of the best model for a compute budget (their equation 1.3). C_c is in PF-days, not FLOP."""

    name: ClassVar[str] = "kaplan-c"
    equation: ClassVar[str] = "L(C) = (C_c/C)^alpha_C, C in PF-days"
    inputs: ClassVar[tuple[str, ...]] = ("flops",)
    x_c: ClassVar[str] = "C_c"
    alpha_x: ClassVar[str] = "alpha_C"
    meaning: ClassVar[str] = "compute"

    def params(self) -> tuple[Param, ...]:
        """C_c, alpha_C. The prior of C_c is that of the others, per PF-day instead of FLOP."""
        constant, exponent = super().params()
        return (
            replace(constant, prior=Prior.of("LogNormal", loc=-log(PF_DAY), scale=2.5), unit="PF-days"),
            replace(exponent, prior=Prior.of("LogNormal", loc=log(0.05), scale=0.6)),
        )

    def loss(self, theta: Values, x: Values) -> Array:
        """(C_c/C)^alpha_C, in nats per token; C comes in FLOP."""
        return super().loss(theta, {"flops": x["flops"] / PF_DAY})

    def derived(self, theta: Values) -> dict[str, Any]:
        """What a tenfold budget takes off the loss, as a factor."""
        return {"tenfold": 10.0 ** -theta["alpha_C"]}

    def reference(self) -> tuple[Published, ...]:
        """Their equation 1.3."""
        return (Published(_SOURCE + "equation 1.3; C_min", (("C_c", 3.1e8), ("alpha_C", 0.050))),)
