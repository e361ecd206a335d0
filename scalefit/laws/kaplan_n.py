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
class KaplanN(OneInputPowerLaw):
    """Loss of models trained to convergence on unlimited data (their equation 1.1)."""

    name: ClassVar[str] = "kaplan-n"
    equation: ClassVar[str] = "L(N) = (N_c/N)^alpha_N"
    inputs: ClassVar[tuple[str, ...]] = ("params",)
    x_c: ClassVar[str] = "N_c"
    alpha_x: ClassVar[str] = "alpha_N"
    meaning: ClassVar[str] = "parameters"

    def reference(self) -> tuple[Published, ...]:
        """Their equation 1.1."""
        return (Published(SOURCE + "equation 1.1; N without embeddings", (("N_c", 8.8e13), ("alpha_N", 0.076))),)
