"""Training in few bits acts as a smaller model (Kumar et al. 2024, arXiv 2411.04330)."""

from dataclasses import dataclass
from math import e, log
from typing import Any, ClassVar, final

import jax.numpy as jnp

from scalefit.laws._law import Law, Losses, Published
from scalefit.laws._priors import Param, Prior, Values
from scalefit.laws._terms import frontier_exponents, power, two_term_params, two_terms, two_terms_rescaled


@final
@dataclass(frozen=True)
class Precision(Law):
    """Chinchilla's law of the effective parameters N (1 - exp(-P/g)), P being the bits of the weights.

    A plan takes 16 bits unless they are given. Their loss from quantising after training is not in it.
    """

    name: ClassVar[str] = "precision"
    equation: ClassVar[str] = "L(N, D, P) = E + A/[N (1 - exp(-P/g))]^alpha + B/D^beta"
    inputs: ClassVar[tuple[str, ...]] = ("params", "tokens", "bits")
    linear: ClassVar[tuple[str, ...]] = ("E", "A", "B")
    pure: ClassVar[tuple[str, ...]] = ("bits",)
    defaults: ClassVar[dict[str, float]] = {"bits": 16.0}

    def params(self) -> tuple[Param, ...]:
        """E, A, B, alpha, beta, g."""
        return (
            *two_term_params(),
            Param("g", Prior.of("LogNormal", loc=log(3), scale=0.5), "bits at which 63% of parameters count", "bits"),
        )

    def loss(self, theta: Values, x: Values) -> Losses:
        """E + A/N_eff^alpha + B/D^beta with N_eff = N (1 - exp(-P/g)), in nats per token."""
        effective = x["params"] * -jnp.expm1(-x["bits"] / theta["g"])
        return two_terms(theta, effective, x["tokens"])

    def rescale(self, theta: Values, unit: Values) -> dict[str, Any]:
        """With N = n N0 and L = l L0: A = a L0 N0^alpha, B = b L0 D0^beta, E = e L0; bits have no other unit."""
        return two_terms_rescaled(theta, unit)

    def derived(self, theta: Values) -> dict[str, Any]:
        """Exponents of the frontier at fixed bits; what part of the parameters 8 bits leave."""
        return {**frontier_exponents(theta), "share_at_8_bits": 1 - power(e, -8 / theta["g"])}

    def reference(self) -> tuple[Published, ...]:
        """Their constants could not be verified; these are Chinchilla's with a g of their order."""
        values = (("E", 1.8172), ("A", 482.01), ("B", 2085.43), ("alpha", 0.3478), ("beta", 0.3658), ("g", 2.7))
        return (Published("Besiroglu et al. 2024 (arXiv 2404.10102); g made up, to simulate from", values),)
