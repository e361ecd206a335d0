"""L = E + (a M^eta + b M^-eta) C^-eta with M = D/N and C = 6 N D (Gadre et al. 2024, arXiv 2403.08540)."""

from dataclasses import dataclass
from math import log
from typing import Any, ClassVar, final

from scalefit.counting import FLOPS_PER_PARAM_TOKEN
from scalefit.laws._law import Law, Losses, Published
from scalefit.laws._priors import Param, Prior, Values
from scalefit.laws._terms import LEVEL, power, rescaled


@final
@dataclass(frozen=True)
class OverTraining(Law):
    """Loss by compute and tokens per parameter; Chinchilla's law with equal exponents alpha = beta = 2 eta.

    a and b are Gadre et al.'s coefficients, with A = a 6^-eta and B = b 6^-eta; the optimum has
    M_star = (b/a)^(1/(2 eta)) tokens per parameter at every budget.
    """

    name: ClassVar[str] = "over-training"
    equation: ClassVar[str] = "L(C, M) = E + (a M^eta + b M^-eta) C^-eta, M = D/N, C = 6 N D"
    inputs: ClassVar[tuple[str, ...]] = ("params", "tokens")
    linear: ClassVar[tuple[str, ...]] = ("E", "a", "b")

    def params(self) -> tuple[Param, ...]:
        """E, a, b, eta."""
        term = Prior.of("LogNormal", loc=log(0.25), scale=1.0)
        return (
            Param("E", LEVEL, "irreducible loss", "nats"),
            Param("a", term, "size of the term that over-training leaves", "nats FLOP^eta"),
            Param("b", term, "size of the term that over-training takes away", "nats FLOP^eta"),
            Param("eta", Prior.of("LogNormal", loc=log(0.15), scale=0.5), "exponent of compute"),
        )

    def loss(self, theta: Values, x: Values) -> Losses:
        """E + (a M^eta + b M^-eta) C^-eta, in nats per token."""
        ratio, flops = x["tokens"] / x["params"], FLOPS_PER_PARAM_TOKEN * x["params"] * x["tokens"]
        by_ratio = theta["a"] * power(ratio, theta["eta"]) + theta["b"] * power(ratio, -theta["eta"])
        return theta["E"] + by_ratio * power(flops, -theta["eta"])

    def rescale(self, theta: Values, unit: Values) -> dict[str, Any]:
        """The first term falls as N^(-2 eta), the second as D^(-2 eta)."""
        return rescaled(theta, unit, a=("params", 2 * theta["eta"]), b=("tokens", 2 * theta["eta"]))

    def derived(self, theta: Values) -> dict[str, Any]:
        """Tokens per parameter of the optimum, at every budget."""
        return {"M_star": (theta["b"] / theta["a"]) ** (1 / (2 * theta["eta"]))}

    def reference(self) -> tuple[Published, ...]:
        """Their three corpora. Each is a fit to five runs: good for losses, not for allocations."""
        corpora = {
            "C4": (1.51, 141.0, 190.0, 0.121),
            "RedPajama": (1.84, 212.0, 367.0, 0.136),
            "RefinedWeb": (1.73, 157.0, 246.0, 0.127),
        }
        return tuple(
            Published(
                f"Gadre et al. 2024 (arXiv 2403.08540), {corpus}",
                tuple(zip(("E", "a", "b", "eta"), values, strict=True)),
            )
            for corpus, values in corpora.items()
        )
