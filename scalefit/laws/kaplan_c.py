"""The laws of Kaplan et al. 2020 (arXiv 2001.08361): no irreducible loss, N without embeddings, compute in PF-days.

Their constants belong to their tokenizer, data and way of counting: N leaves embeddings out, and C_min is what training
would have cost at batches far below the critical size.
"""

from dataclasses import dataclass
from math import log
from typing import Any, ClassVar, final

from scalefit.counting import PF_DAY
from scalefit.laws._kaplan import SOURCE
from scalefit.laws._law import Law, Losses, Published
from scalefit.laws._priors import Param, Prior, Values
from scalefit.laws._terms import power


@final
@dataclass(frozen=True)
class KaplanC(Law):
    """Loss of the best model for a compute budget (their equation 1.3). C_c is in PF-days, not FLOP."""

    name: ClassVar[str] = "kaplan-c"
    equation: ClassVar[str] = "L(C) = (C_c/C)^alpha_C, C in PF-days"
    inputs: ClassVar[tuple[str, ...]] = ("flops",)

    def params(self) -> tuple[Param, ...]:
        """C_c, alpha_C. The prior of C_c is that of N_c and D_c, per PF-day instead of FLOP."""
        constant = Prior.of("LogNormal", loc=-log(PF_DAY), scale=2.5)
        exponent = Prior.of("LogNormal", loc=log(0.05), scale=0.6)
        return (
            Param("C_c", constant, "compute at which the loss would be 1 nat", "PF-days"),
            Param("alpha_C", exponent, "exponent of compute"),
        )

    def loss(self, theta: Values, x: Values) -> Losses:
        """(C_c/C)^alpha_C, in nats per token; C comes in FLOP."""
        return power(theta["C_c"] / (x["flops"] / PF_DAY), theta["alpha_C"])

    def rescale(self, theta: Values, unit: Values) -> dict[str, Any]:
        """With C = u C0 and L = l L0: C_c = u_c C0 L0^(1/alpha_C)."""
        return {**theta, "C_c": theta["C_c"] * unit["flops"] * unit["loss"] ** (1 / theta["alpha_C"])}

    def derived(self, theta: Values) -> dict[str, Any]:
        """What a tenfold budget takes off the loss, as a factor."""
        return {"tenfold": 10.0 ** -theta["alpha_C"]}

    def reference(self) -> tuple[Published, ...]:
        """Their equation 1.3."""
        return (Published(SOURCE + "equation 1.3; C_min", (("C_c", 3.1e8), ("alpha_C", 0.050))),)
