"""The laws of Kaplan et al. 2020 (arXiv 2001.08361): no irreducible loss, N without embeddings, compute in PF-days.

Their constants belong to their tokenizer, data and way of counting: N leaves embeddings out, and C_min is what training
would have cost at batches far below the critical size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import Any, ClassVar, final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from scalefit.laws._kaplan import SOURCE
from scalefit.laws._law import Law, Losses, Published
from scalefit.laws._priors import Param, Prior, Values
from scalefit.laws._terms import power
from scalefit.laws.kaplan_n import KaplanN

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

    def loss(self, theta: Values, x: Values) -> Losses:
        """The L at which (N_c/N)^alpha_N + (S_c/S_min(L))^alpha_S = L, in nats per token; Newton's method in ln L."""
        by_size = power(theta["N_c"] / x["params"], theta["alpha_N"])
        steps = theta["S_c"] / x["tokens"]  # times B + B_crit is S_c/S_min

        start = jnp.log(by_size) + 0.0 * steps

        def gap(log_loss: Float[Array, "*run"]) -> Float[Array, "*run"]:
            critical = theta["B_star"] * jnp.exp(-log_loss / theta["alpha_B"])
            return jnp.log(by_size + power(steps * (x["batch"] + critical), theta["alpha_S"])) - log_loss

        def newton(f: Callable[[Array], Array], start: Float[Array, "*run"]) -> Float[Array, "*run"]:
            def step(_: Any, log_loss: Float[Array, "*run"]) -> Float[Array, "*run"]:
                value, slope = jax.jvp(f, (log_loss,), (jnp.ones_like(log_loss),))
                return log_loss - value / slope

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
        return (Published(SOURCE + "table 3 and equation 1.4; N without embeddings", sizes + exponents),)
