"""Repeated tokens and excess parameters count for less (Muennighoff et al. 2023, arXiv 2305.16264)."""

from dataclasses import dataclass
from math import exp, inf, log
from typing import Any, ClassVar, final

import jax.numpy as jnp

from scalefit.laws._law import Law, Losses, Published
from scalefit.laws._priors import Param, Prior, Values
from scalefit.laws._terms import frontier_exponents, two_term_params, two_terms, two_terms_rescaled


def _effective(count: Any, unique: Any, scale: Any) -> Any:
    """Effective count: the unique part, and what repetition adds; a half-life of `scale` repetitions (equation 5)."""
    repeats = jnp.maximum(count / unique - 1, 0.0)
    return unique * (1 - scale * jnp.expm1(-repeats / scale))


@final
@dataclass(frozen=True)
class DataConstrained(Law):
    """Chinchilla's law of effective parameters and tokens, N' and D'.

    Of D tokens, U are unique; repeated ones count for less and less, (1 + R_D) U in the limit. Parameters beyond the
    optimum for U unique tokens, U_N, likewise. Where D is at most U it is Chinchilla's law but for excess parameters.
    A plan takes unlimited unique tokens unless they are given.
    """

    name: ClassVar[str] = "data-constrained"
    equation: ClassVar[str] = (
        "L(N, D, U) = E + A/N'^alpha + B/D'^beta, D' = U + U R_D (1 - exp(-(D/U - 1)/R_D)), N' likewise of U_N"
    )
    inputs: ClassVar[tuple[str, ...]] = ("params", "tokens", "unique_tokens")
    linear: ClassVar[tuple[str, ...]] = ("E",)
    same_unit: ClassVar[dict[str, str]] = {"unique_tokens": "tokens"}
    defaults: ClassVar[dict[str, float]] = {"unique_tokens": inf}

    def params(self) -> tuple[Param, ...]:
        """E, A, B, alpha, beta, R_D, R_N. Narrower than Chinchilla's: the optimum for few unique tokens, U_N, is sharp
        in the exponents."""
        term = Prior.of("LogNormal", loc=log(0.2), scale=0.7)
        exponent = Prior.of("LogNormal", loc=log(0.35), scale=0.35)
        return (
            *two_term_params(term, exponent),
            Param("R_D", Prior.of("LogNormal", loc=log(15), scale=1.0), "repetitions whose value has decayed by 1/e"),
            Param("R_N", Prior.of("LogNormal", loc=log(5), scale=1.0), "excess of parameters that has decayed so"),
        )

    def loss(self, theta: Values, x: Values) -> Losses:
        """E + A/N'^alpha + B/D'^beta, in nats per token (their equations 5 and 6)."""
        unique = jnp.minimum(x["unique_tokens"], x["tokens"])
        enough = jnp.minimum(x["params"], self._optimal_params(theta, unique))
        n, d = _effective(x["params"], enough, theta["R_N"]), _effective(x["tokens"], unique, theta["R_D"])
        return two_terms(theta, n, d)

    @staticmethod
    def _optimal_params(theta: Values, unique: Any) -> Any:
        """The optimal N for U unique tokens: alpha A/N^alpha = beta B/U^beta."""
        log_ratio = jnp.log(theta["alpha"] * theta["A"]) - jnp.log(theta["beta"] * theta["B"])
        return jnp.exp((log_ratio + theta["beta"] * jnp.log(unique)) / theta["alpha"])

    def rescale(self, theta: Values, unit: Values) -> dict[str, Any]:
        """With N = n N0 and L = l L0: A = a L0 N0^alpha, B = b L0 D0^beta, E = e L0; repetitions have no unit."""
        return two_terms_rescaled(theta, unit)

    def derived(self, theta: Values) -> dict[str, Any]:
        """Exponents of the frontier of fresh data; the limit of D'/U as tokens are repeated."""
        return {**frontier_exponents(theta), "most_effective_data": 1 + theta["R_D"]}

    def reference(self) -> tuple[Published, ...]:
        """Their fit to C4, with the digits of its published code."""
        sizes = (("E", exp(0.6254804)), ("A", exp(6.255414)), ("B", exp(7.3049974)))
        exponents = (("alpha", 0.3526596), ("beta", 0.3526596), ("R_D", 15.387756), ("R_N", 5.309743))
        return (Published("Muennighoff et al. 2023 (arXiv 2305.16264), C4", sizes + exponents),)
