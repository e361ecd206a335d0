"""The laws of Kaplan et al. 2020 (arXiv 2001.08361): no irreducible loss, N without embeddings, compute in PF-days.

Their constants belong to their tokenizer, data and way of counting: N leaves embeddings out, and C_min is what training
would have cost at batches far below the critical size.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import log
from typing import Any, ClassVar, final

import jax
import jax.numpy as jnp
from jax import Array

from scalefit.counting import PF_DAY
from scalefit.laws._forms import power
from scalefit.laws._law import Law, Param, Prior, Published, Values

_SOURCE = "Kaplan et al. 2020 (arXiv 2001.08361), "
_CONSTANT = Prior.of("LogNormal", loc=0.0, scale=2.5)
_EXPONENT = Prior.of("LogNormal", loc=log(0.1), scale=0.6)


class _Alone(Law, listed=False):
    """L(x) = (x_c/x)^alpha_x: what the loss would be if nothing but x limited it."""

    x_c: ClassVar[str]
    alpha_x: ClassVar[str]
    meaning: ClassVar[str]  # of x

    @property
    def x(self) -> str:
        """The column."""
        return self.inputs[0]

    def params(self) -> tuple[Param, ...]:
        """x_c and alpha_x."""
        return (
            Param(self.x_c, _CONSTANT, f"{self.meaning} at which the loss would be 1 nat", self.x),
            Param(self.alpha_x, _EXPONENT, f"exponent of {self.meaning}"),
        )

    def loss(self, theta: Values, x: Values) -> Array:
        """(x_c/x)^alpha_x, in nats per token."""
        return power(theta[self.x_c] / x[self.x], theta[self.alpha_x])

    def rescale(self, theta: Values, unit: Values) -> dict[str, Any]:
        """With x = u x0 and L = l L0: x_c = u_c x0 L0^(1/alpha_x)."""
        return {**theta, self.x_c: theta[self.x_c] * unit[self.x] * unit["loss"] ** (1 / theta[self.alpha_x])}

    def derived(self, theta: Values) -> dict[str, Any]:
        """What a doubling of x takes off the loss, as a factor."""
        return {"doubling": 2.0 ** -theta[self.alpha_x]}


@final
@dataclass(frozen=True)
class KaplanN(_Alone):
    """Loss of models trained to convergence on unlimited data (their equation 1.1)."""

    name: ClassVar[str] = "kaplan-n"
    equation: ClassVar[str] = "L(N) = (N_c/N)^alpha_N"
    inputs: ClassVar[tuple[str, ...]] = ("params",)
    x_c: ClassVar[str] = "N_c"
    alpha_x: ClassVar[str] = "alpha_N"
    meaning: ClassVar[str] = "parameters"

    def reference(self) -> tuple[Published, ...]:
        """Their equation 1.1."""
        return (Published(_SOURCE + "equation 1.1; N without embeddings", (("N_c", 8.8e13), ("alpha_N", 0.076))),)


@final
@dataclass(frozen=True)
class KaplanD(_Alone):
    """Loss of large models stopped early on limited data (their equation 1.2)."""

    name: ClassVar[str] = "kaplan-d"
    equation: ClassVar[str] = "L(D) = (D_c/D)^alpha_D"
    inputs: ClassVar[tuple[str, ...]] = ("tokens",)
    x_c: ClassVar[str] = "D_c"
    alpha_x: ClassVar[str] = "alpha_D"
    meaning: ClassVar[str] = "tokens"

    def reference(self) -> tuple[Published, ...]:
        """Their equation 1.2."""
        return (Published(_SOURCE + "equation 1.2", (("D_c", 5.4e13), ("alpha_D", 0.095))),)


@final
@dataclass(frozen=True)
class KaplanC(_Alone):
    """Loss of the best model for a compute budget (their equation 1.3). C_c is in PF-days, not FLOP."""

    name: ClassVar[str] = "kaplan-c"
    equation: ClassVar[str] = "L(C) = (C_c/C)^alpha_C, C in PF-days"
    inputs: ClassVar[tuple[str, ...]] = ("flops",)
    x_c: ClassVar[str] = "C_c"
    alpha_x: ClassVar[str] = "alpha_C"
    meaning: ClassVar[str] = "compute"

    def params(self) -> tuple[Param, ...]:
        """C_c, alpha_C. The prior of C_c is that of the others, per PF-day instead of FLOP."""
        constant, exponent = super().params()
        return (
            replace(constant, prior=Prior.of("LogNormal", loc=-log(PF_DAY), scale=2.5), unit="PF-days"),
            replace(exponent, prior=Prior.of("LogNormal", loc=log(0.05), scale=0.6)),
        )

    def loss(self, theta: Values, x: Values) -> Array:
        """(C_c/C)^alpha_C, in nats per token; C comes in FLOP."""
        return super().loss(theta, {"flops": x["flops"] / PF_DAY})

    def derived(self, theta: Values) -> dict[str, Any]:
        """What a tenfold budget takes off the loss, as a factor."""
        return {"tenfold": 10.0 ** -theta["alpha_C"]}

    def reference(self) -> tuple[Published, ...]:
        """Their equation 1.3."""
        return (Published(_SOURCE + "equation 1.3; C_min", (("C_c", 3.1e8), ("alpha_C", 0.050))),)


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

    def loss(self, theta: Values, x: Values) -> Array:
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
        return (Published(_SOURCE + "table 2; N without embeddings", values),)


NEWTON_STEPS = 12  # for ln L: the equation is smooth and monotone, and rounding is reached after six or seven


@final
@dataclass(frozen=True)
class KaplanSteps(Law):
    """Model size and training steps, with the critical batch size (their equations 1.6 and 5.4).

    Training at a batch of B tokens takes S = D/B steps; at batches far above the critical one it would take
    S_min = S/(1 + B_crit/B) = D/(B + B_crit). B_crit depends on the loss reached, so the loss solves an equation.
    At B = 0, where a plan leaves it, compute is C_min, and N_opt ~ C^(alpha_C/alpha_N) with
    1/alpha_C = 1/alpha_S + 1/alpha_B + 1/alpha_N (their appendix B.1).
    """

    name: ClassVar[str] = "kaplan-steps"
    equation: ClassVar[str] = (
        "L(N, S_min) = (N_c/N)^alpha_N + (S_c/S_min)^alpha_S, S_min = D/(B + B_crit), B_crit = B_star/L^(1/alpha_B)"
    )
    inputs: ClassVar[tuple[str, ...]] = ("params", "tokens", "batch")
    same_unit: ClassVar[dict[str, str]] = {"batch": "tokens"}
    defaults: ClassVar[dict[str, float]] = {"batch": 0.0}

    def params(self) -> tuple[Param, ...]:
        """N_c, S_c, B_star, alpha_N, alpha_S, alpha_B."""
        n_c, alpha_n = KaplanN().params()
        return (
            n_c,
            Param("S_c", Prior.of("LogNormal", loc=log(300), scale=1.0), "size of the term of steps", "steps"),
            Param("B_star", Prior.of("LogNormal", loc=log(1e-4), scale=1.5), "critical batch at 1 nat", "tokens"),
            alpha_n,
            Param("alpha_S", Prior.of("LogNormal", loc=log(0.7), scale=0.4), "exponent of steps"),
            Param("alpha_B", Prior.of("LogNormal", loc=log(0.2), scale=0.3), "exponent of the critical batch"),
        )

    def loss(self, theta: Values, x: Values) -> Array:
        """The L at which (N_c/N)^alpha_N + (S_c/S_min(L))^alpha_S = L, in nats per token; Newton's method in ln L."""
        by_size = power(theta["N_c"] / x["params"], theta["alpha_N"])
        steps = theta["S_c"] / x["tokens"]  # times B + B_crit is S_c/S_min

        start = jnp.log(by_size) + 0.0 * steps

        def gap(log_loss: Array) -> Array:
            critical = theta["B_star"] * jnp.exp(-log_loss / theta["alpha_B"])
            return jnp.log(by_size + power(steps * (x["batch"] + critical), theta["alpha_S"])) - log_loss

        def newton(f: Callable[[Array], Array], start: Array) -> Array:
            def step(_: int, at: Array) -> Array:
                value, slope = jax.jvp(f, (at,), (jnp.ones_like(at),))
                return at - value / slope

            return jax.lax.fori_loop(0, NEWTON_STEPS, step, start)

        # Differentiated as the root that it is, not through the steps that found it.
        log_loss = jax.lax.custom_root(gap, start, newton, lambda slope, y: y / slope(jnp.ones_like(y)))
        return jnp.exp(log_loss)

    def rescale(self, theta: Values, unit: Values) -> dict[str, Any]:
        """S_c = s_c L0^(1/alpha_S), B_star = b D0 L0^(1/alpha_B); steps have no unit."""
        return {
            **KaplanN().rescale(theta, unit),
            "S_c": theta["S_c"] * unit["loss"] ** (1 / theta["alpha_S"]),
            "B_star": theta["B_star"] * unit["tokens"] * unit["loss"] ** (1 / theta["alpha_B"]),
        }

    def derived(self, theta: Values) -> dict[str, Any]:
        """Exponents along the frontier of C_min: L ~ C^-alpha_C and N_opt ~ C^a."""
        alpha_c = 1 / (1 / theta["alpha_S"] + 1 / theta["alpha_B"] + 1 / theta["alpha_N"])
        return {"alpha_C": alpha_c, "a": alpha_c / theta["alpha_N"], "b": 1 - alpha_c / theta["alpha_N"]}

    def reference(self) -> tuple[Published, ...]:
        """Their table 3 and equation 1.4."""
        sizes = (("N_c", 6.5e13), ("S_c", 2.1e3), ("B_star", 2e8))
        exponents = (("alpha_N", 0.077), ("alpha_S", 0.76), ("alpha_B", 0.21))
        return (Published(_SOURCE + "table 3 and equation 1.4; N without embeddings", sizes + exponents),)
