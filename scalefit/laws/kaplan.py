"""The laws of Kaplan et al. 2020 (arXiv 2001.08361): no irreducible loss, N without embeddings, compute in PF-days.

Their constants belong to their tokenizer, data and way of counting: N leaves embeddings out, and C_min is what training
would have cost at batches far below the critical size.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, final

from scalefit.laws._kaplan import SOURCE
from scalefit.laws._law import Law, Losses, Published
from scalefit.laws._priors import Param, Values
from scalefit.laws._terms import power
from scalefit.laws.kaplan_d import KaplanD
from scalefit.laws.kaplan_n import KaplanN


@final
@dataclass(frozen=True)
class Kaplan(Law):
    """Model size and data together (their equation 1.5), with a fit of its own.

    Under C = 6 N D it gives N_opt ~ C^(1/(1 + alpha_N/alpha_D)), about .575: the .73 of that paper comes from
    limited steps and the critical batch size, the law `kaplan-steps`.
    """

    name: ClassVar[str] = "kaplan"
    equation: ClassVar[str] = "L(N, D) = [(N_c/N)^(alpha_N/alpha_D) + D_c/D]^alpha_D"
    inputs: ClassVar[tuple[str, ...]] = ("params", "tokens")

    def params(self) -> tuple[Param, ...]:
        """N_c, D_c, alpha_N, alpha_D."""
        (n_c, alpha_n), (d_c, alpha_d) = KaplanN().params(), KaplanD().params()
        return (n_c, d_c, alpha_n, alpha_d)

    def loss(self, theta: Values, x: Values) -> Losses:
        """[(N_c/N)^(alpha_N/alpha_D) + D_c/D]^alpha_D, in nats per token."""
        by_size = power(theta["N_c"] / x["params"], theta["alpha_N"] / theta["alpha_D"])
        return power(by_size + theta["D_c"] / x["tokens"], theta["alpha_D"])

    def rescale(self, theta: Values, unit: Values) -> dict[str, Any]:
        """As for N and D alone."""
        return KaplanD().rescale(KaplanN().rescale(theta, unit), unit)

    def derived(self, theta: Values) -> dict[str, Any]:
        """The exponents of the optimum along C = 6 N D."""
        a = 1 / (1 + theta["alpha_N"] / theta["alpha_D"])
        return {"a": a, "b": 1 - a}

    def reference(self) -> tuple[Published, ...]:
        """Their table 2."""
        values = (("N_c", 6.4e13), ("D_c", 1.8e13), ("alpha_N", 0.076), ("alpha_D", 0.103))
        return (Published(SOURCE + "table 2; N without embeddings", values),)
