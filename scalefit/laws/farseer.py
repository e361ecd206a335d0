"""Farseer: the exponent of data depends on the model's size (Li et al. 2025, arXiv 2506.10972)."""

from dataclasses import dataclass
from math import log
from typing import Any, ClassVar, final

import jax.numpy as jnp

from scalefit.laws._law import Law, Losses, Published
from scalefit.laws._priors import Param, Prior, Values
from scalefit.laws._terms import ln, power


@final
@dataclass(frozen=True)
class Farseer(Law):
    """A term of N, and a power law in D whose size and exponent are themselves functions of N.

    No change of the unit of D leaves the form as it is, so D is counted in tokens throughout. Published losses are
    in bits, not nats.
    """

    name: ClassVar[str] = "farseer"
    equation: ClassVar[str] = "L(N, D) = exp(s N^q + S) + exp(B N^b + Q) D^(-exp(A N^a + E))"
    inputs: ClassVar[tuple[str, ...]] = ("params", "tokens")
    pure: ClassVar[tuple[str, ...]] = ("tokens",)

    def params(self) -> tuple[Param, ...]:
        """s, q, S, B, b, Q, A, a, E; priors lie around the published fit, whose form is too free for weaker ones."""
        normal = lambda loc, scale: Prior.of("Normal", loc=loc, scale=scale)
        positive = lambda median, scale: Prior.of("LogNormal", loc=log(median), scale=scale)
        return (
            Param("s", normal(-0.9, 0.3), "how the term of N falls", "params^-q"),
            Param("q", positive(0.13, 0.3), "exponent of N in it"),
            Param("S", normal(0.6, 0.3), "ln of its size at small N", "ln nats"),
            Param("B", positive(6.4, 0.08), "how the size of the data term falls with N", "params^-b"),
            Param("b", normal(-0.17, 0.02), "exponent of N in it"),
            Param("Q", normal(-0.8, 0.5), "ln of its size at large N", "ln nats"),
            Param("A", normal(-4.3, 0.1), "how the data exponent falls with N", "params^-a"),
            Param("a", positive(0.046, 0.15), "exponent of N in it"),
            Param("E", normal(3.13, 0.1), "ln of the data exponent at small N"),
        )

    def loss(self, theta: Values, x: Values) -> Losses:
        """exp(s N^q + S) + exp(B N^b + Q) D^(-exp(A N^a + E)), in nats per token (bits in the published fit)."""
        n = x["params"]
        exponent = jnp.exp(theta["A"] * power(n, theta["a"]) + theta["E"])
        log_size = theta["B"] * power(n, theta["b"]) + theta["Q"]
        by_data = jnp.exp(log_size - exponent * jnp.log(x["tokens"]))
        return jnp.exp(theta["s"] * power(n, theta["q"]) + theta["S"]) + by_data

    def rescale(self, theta: Values, unit: Values) -> dict[str, Any]:
        """With N = n N0 and L = l L0: s, B, A divided by N0 to their exponents, ln L0 added to S and Q."""
        size, level = unit["params"], ln(unit["loss"])
        terms = {name: theta[name] * size ** -theta[by] for name, by in (("s", "q"), ("B", "b"), ("A", "a"))}
        return {**theta, **terms, "S": theta["S"] + level, "Q": theta["Q"] + level}

    def derived(self, theta: Values) -> dict[str, Any]:
        """None: the exponents are functions of N."""
        return {}

    def reference(self) -> tuple[Published, ...]:
        """Their fit; losses in bits."""
        values = {
            "s": -0.062465473, "q": 0.13, "S": 0.12848807, "B": 230.73437, "b": -0.1729, "Q": -1.5442096,
            "A": -1.6656308, "a": 0.0459, "E": 3.1333472,
        }  # fmt: skip
        return (Published("Li et al. 2025 (arXiv 2506.10972), loss in bits", tuple(values.items())),)
