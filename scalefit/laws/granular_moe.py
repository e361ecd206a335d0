"""Mixtures of experts: loss by active parameters and how the rest is divided."""

from dataclasses import dataclass
from math import log
from typing import Any, ClassVar, final

from scalefit.laws._law import Law, Losses, Published
from scalefit.laws._priors import Param, Prior, Values
from scalefit.laws._terms import EXPONENT, TERM, frontier_exponents, power, rescaled


@final
@dataclass(frozen=True)
class GranularMoE(Law):
    """Loss by size, data and granularity G, how many smaller experts take the place of one
    (Krajewski et al. 2024, arXiv 2402.07871)."""

    name: ClassVar[str] = "moe-granular"
    equation: ClassVar[str] = "L(N, D, G) = c + (g/G^gamma + a)/N^alpha + b/D^beta"
    inputs: ClassVar[tuple[str, ...]] = ("params", "tokens", "granularity")
    linear: ClassVar[tuple[str, ...]] = ("c", "a", "g", "b")
    pure: ClassVar[tuple[str, ...]] = ("granularity",)
    defaults: ClassVar[dict[str, float]] = {"granularity": 1.0}

    def params(self) -> tuple[Param, ...]:
        """c, a, g, b, alpha, beta, gamma. Exponents as shallow as published leave less below them than LEVEL expects:
        c a good third of the table's loss, or as little as a seventh."""
        level = Prior.of("LogNormal", loc=log(0.4), scale=0.6)
        smaller = Prior.of("LogNormal", loc=log(0.05), scale=1.0)
        return (
            Param("c", level, "irreducible loss", "nats"),
            Param("a", TERM, "size of the parameter term at great granularity", "nats params^alpha"),
            Param("g", smaller, "what granularity can take away of it", "nats params^alpha"),
            Param("b", TERM, "size of the data term", "nats tokens^beta"),
            Param("alpha", EXPONENT, "exponent of parameters"),
            Param("beta", EXPONENT, "exponent of tokens"),
            Param("gamma", Prior.of("LogNormal", loc=log(0.6), scale=0.5), "exponent of granularity"),
        )

    def loss(self, theta: Values, x: Values) -> Losses:
        """c + (g/G^gamma + a)/N^alpha + b/D^beta, in nats per token."""
        size = theta["g"] * power(x["granularity"], -theta["gamma"]) + theta["a"]
        by_size = size * power(x["params"], -theta["alpha"])
        return theta["c"] + by_size + theta["b"] * power(x["tokens"], -theta["beta"])

    def rescale(self, theta: Values, unit: Values) -> dict[str, Any]:
        """With N = n N0 and L = l L0: a and g times L0 N0^alpha, b times L0 D0^beta, c times L0."""
        by_size, by_data = ("params", theta["alpha"]), ("tokens", theta["beta"])
        return rescaled(theta, unit, "c", a=by_size, g=by_size, b=by_data)

    def derived(self, theta: Values) -> dict[str, Any]:
        """The exponents of the frontier at a fixed granularity."""
        return frontier_exponents(theta, ("a_opt", "b_opt"))

    def reference(self) -> tuple[Published, ...]:
        """Their fit, for an expansion rate of 64."""
        sizes = (("c", 0.47), ("a", 18.1), ("g", 2.1), ("b", 30.8))
        exponents = (("alpha", 0.115), ("beta", 0.147), ("gamma", 0.58))
        return (Published("Krajewski et al. 2024 (arXiv 2402.07871)", sizes + exponents),)
