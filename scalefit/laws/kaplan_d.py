"""The laws of Kaplan et al. 2020 (arXiv 2001.08361): no irreducible loss, N without embeddings, compute in PF-days.

Their constants belong to their tokenizer, data and way of counting: N leaves embeddings out, and C_min is what training
would have cost at batches far below the critical size.
"""

from dataclasses import dataclass
from typing import ClassVar, final

from scalefit.laws._kaplan import SOURCE, OneInputPowerLaw
from scalefit.laws._law import Published


@final
@dataclass(frozen=True)
class KaplanD(OneInputPowerLaw):
    """Loss of large models stopped early on limited data (their equation 1.2)."""

    name: ClassVar[str] = "kaplan-d"
    equation: ClassVar[str] = "L(D) = (D_c/D)^alpha_D"
    inputs: ClassVar[tuple[str, ...]] = ("tokens",)
    x_c: ClassVar[str] = "D_c"
    alpha_x: ClassVar[str] = "alpha_D"
    meaning: ClassVar[str] = "tokens"

    def reference(self) -> tuple[Published, ...]:
        """Their equation 1.2."""
        return (Published(SOURCE + "equation 1.2", (("D_c", 5.4e13), ("alpha_D", 0.095))),)
