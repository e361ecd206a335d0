"""Training in few bits acts as a smaller model (Kumar et al. 2024, arXiv 2411.04330)."""

from dataclasses import dataclass
from math import e, log
from typing import Any, ClassVar, final

import jax.numpy as jnp
from jax import Array

from scalefit.laws._forms import EXPONENT, LEVEL, TERM, power
from scalefit.laws._law import Law, Param, Prior, Published, Values


@final
@dataclass(frozen=True)
class Precision(Law):
    """Chinchilla's law of the effective parameters N (1 - exp(-P/g)), P being the bits of the weights.

    A plan takes 16 bits unless told. Their loss from quantising after training is not in it.
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
            Param("E", LEVEL, "irreducible loss", "nats"),
            Param("A", TERM, "size of the parameter term", "nats params^alpha"),
            Param("B", TERM, "size of the data term", "nats tokens^beta"),
            Param("alpha", EXPONENT, "exponent of parameters"),
            Param("beta", EXPONENT, "exponent of tokens"),
            Param("g", Prior.of("LogNormal", loc=log(3), scale=0.5), "bits at which 63% of parameters count", "bits"),
        )

    def loss(self, theta: Values, x: Values) -> Array:
        """E + A/N_eff^alpha + B/D^beta with N_eff = N (1 - exp(-P/g)), in nats per token."""
        effective = x["params"] * -jnp.expm1(-x["bits"] / theta["g"])
        by_size = theta["A"] * power(effective, -theta["alpha"])
        return theta["E"] + by_size + theta["B"] * power(x["tokens"], -theta["beta"])

    def rescale(self, theta: Values, unit: Values) -> dict[str, Any]:
        """With N = n N0 and L = l L0: A = a L0 N0^alpha, B = b L0 D0^beta, E = e L0; bits have no other unit."""
        return {
            **theta,
            "E": theta["E"] * unit["loss"],
            "A": theta["A"] * unit["loss"] * unit["params"] ** theta["alpha"],
            "B": theta["B"] * unit["loss"] * unit["tokens"] ** theta["beta"],
        }

    def derived(self, theta: Values) -> dict[str, Any]:
        """Exponents of the frontier at fixed bits; what part of the parameters 8 bits leave."""
        a = theta["beta"] / (theta["alpha"] + theta["beta"])
        return {"a": a, "b": 1 - a, "share_at_8_bits": 1 - power(e, -8 / theta["g"])}

    def reference(self) -> tuple[Published, ...]:
        """Their constants could not be verified; these are Chinchilla's with a g of their order."""
        values = (("E", 1.8172), ("A", 482.01), ("B", 2085.43), ("alpha", 0.3478), ("beta", 0.3658), ("g", 2.7))
        return (Published("Besiroglu et al. 2024 (arXiv 2404.10102); g made up, to simulate from", values),)
