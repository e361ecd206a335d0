"""Mixtures of experts: loss by active parameters and how the rest is divided."""

from dataclasses import dataclass
from math import log
from typing import Any, ClassVar, final

import jax.numpy as jnp

from scalefit.laws._law import Law, Losses, Published
from scalefit.laws._priors import Param, Prior, Values
from scalefit.laws._terms import ln, power


@final
@dataclass(frozen=True)
class RoutedMoE(Law):
    """Loss of routed models at a fixed amount of data (Clark et al. 2022, arXiv 2202.01169, equations 2 and 7).

    N counts what a token passes through, `experts` is the number of experts; one expert is a dense model. Experts
    saturate: E_hat starts at E_start and never exceeds E_max. Logarithms are decimal, as in the paper.
    """

    name: ClassVar[str] = "moe"
    equation: ClassVar[str] = (
        "log10 L(N, E) = a log10 N + b log10 E_hat + c log10 N log10 E_hat + d, "
        "1/E_hat = 1/(E - 1 + 1/(1/E_start - 1/E_max)) + 1/E_max"
    )
    inputs: ClassVar[tuple[str, ...]] = ("params", "experts")
    pure: ClassVar[tuple[str, ...]] = ("experts",)

    def params(self) -> tuple[Param, ...]:
        """a, b, c, d, E_start, E_max."""
        return (
            Param("a", Prior.of("Normal", loc=-0.08, scale=0.05), "slope in log10 active parameters"),
            Param("b", Prior.of("Normal", loc=0.0, scale=0.1), "slope in log10 experts, at one parameter"),
            Param("c", Prior.of("Normal", loc=0.0, scale=0.02), "how that slope changes with size"),
            Param("d", Prior.of("Normal", loc=0.0, scale=0.1), "log10 loss at one parameter and E_hat = 1"),
            Param("E_start", Prior.of("LogNormal", loc=log(2), scale=0.4), "effective experts of a dense model"),
            Param("E_max", Prior.of("LogNormal", loc=log(300), scale=0.8), "effective experts of very many"),
        )

    def loss(self, theta: Values, x: Values) -> Losses:
        """10^(a log10 N + b log10 E_hat + c log10 N log10 E_hat + d), in nats per token."""
        n, e = jnp.log10(x["params"]), jnp.log10(self.effective_experts(theta, x["experts"]))
        return power(10.0, theta["a"] * n + theta["b"] * e + theta["c"] * n * e + theta["d"])

    @staticmethod
    def effective_experts(theta: Values, experts: Any) -> Any:
        """E_hat: E_start for a dense model, towards E_max for very many (their equation 7)."""
        most = 1 / theta["E_max"]
        return 1 / (1 / (experts - 1 + 1 / (1 / theta["E_start"] - most)) + most)

    def rescale(self, theta: Values, unit: Values) -> dict[str, Any]:
        """With N = n N0: b loses c log10 N0, d loses a log10 N0 and gains log10 L0."""
        size, level = ln(unit["params"]) / log(10), ln(unit["loss"]) / log(10)
        b, d = theta["b"] - theta["c"] * size, theta["d"] - theta["a"] * size + level
        return {**theta, "b": b, "d": d}

    def derived(self, theta: Values) -> dict[str, Any]:
        """log10 N at which more experts stop helping: where b + c log10 N = 0."""
        return {"log10_N_cutoff": -theta["b"] / theta["c"]}

    def reference(self) -> tuple[Published, ...]:
        """Their S-BASE routing."""
        slopes = (("a", -0.082), ("b", -0.108), ("c", 0.009), ("d", 1.104))
        source = "Clark et al. 2022 (arXiv 2202.01169), S-BASE"
        return (Published(source, (*slopes, ("E_start", 1.847), ("E_max", 314.478))),)
