"""L(N, D) = E + [(A/N^alpha)^(1/q) + (B/D^beta)^(1/q)]^q: one family around Chinchilla and Kaplan."""

from dataclasses import dataclass
from typing import Any, ClassVar, final

import jax.numpy as jnp

from scalefit.laws._law import Law, Losses, Published
from scalefit.laws._priors import Param, Prior, Values
from scalefit.laws._terms import frontier_exponents, two_term_params, two_terms_rescaled


@final
@dataclass(frozen=True)
class ChinchillaOuter(Law):
    """How the two terms combine is a parameter too: the outer exponent q.

    q = 1 is the form of Hoffmann et al. 2022 (arXiv 2203.15556); E = 0 and q = alpha_D that of Kaplan et al. 2020
    (arXiv 2001.08361, equation 1.5), with A = N_c^alpha_N and B = D_c^alpha_D. q does not move the allocation.
    """

    name: ClassVar[str] = "chinchilla-outer"
    equation: ClassVar[str] = "L(N, D) = E + [(A/N^alpha)^(1/q) + (B/D^beta)^(1/q)]^q"
    inputs: ClassVar[tuple[str, ...]] = ("params", "tokens")
    linear: ClassVar[tuple[str, ...]] = ("E",)
    parts: ClassVar[tuple[str, ...]] = ("E", "A", "B")

    def params(self) -> tuple[Param, ...]:
        """E, A, B, alpha, beta, q."""
        return (
            *two_term_params(),
            Param("q", Prior.of("LogNormal", loc=0.0, scale=0.5), "outer exponent: 1 adds the terms"),
        )

    def loss(self, theta: Values, x: Values) -> Losses:
        """E + [(A/N^alpha)^(1/q) + (B/D^beta)^(1/q)]^q, by logarithms: small powers would underflow."""
        log_n = jnp.log(theta["A"]) - theta["alpha"] * jnp.log(x["params"])
        log_d = jnp.log(theta["B"]) - theta["beta"] * jnp.log(x["tokens"])
        return theta["E"] + jnp.exp(theta["q"] * jnp.logaddexp(log_n / theta["q"], log_d / theta["q"]))

    def rescale(self, theta: Values, unit: Values) -> dict[str, Any]:
        """With N = n N0 and L = l L0: A = a L0 N0^alpha, B = b L0 D0^beta, E = e L0."""
        return two_terms_rescaled(theta, unit)

    def derived(self, theta: Values) -> dict[str, Any]:
        """The exponents of the compute-optimal frontier, those of Chinchilla whatever q is."""
        return frontier_exponents(theta)

    def reference(self) -> tuple[Published, ...]:
        """The member of the family that Besiroglu et al. fitted."""
        values = (("E", 1.8172), ("A", 482.01), ("B", 2085.43), ("alpha", 0.3478), ("beta", 0.3658), ("q", 1.0))
        return (Published("Besiroglu et al. 2024 (arXiv 2404.10102), as the member with q = 1", values),)
