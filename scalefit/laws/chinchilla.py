"""L(N, D) = E + A/N^alpha + B/D^beta (Hoffmann et al. 2022, arXiv 2203.15556, equation 2)."""

from dataclasses import dataclass
from typing import Any, ClassVar, final

from scalefit.laws._law import Law, Losses, Published
from scalefit.laws._priors import Param, Values
from scalefit.laws._terms import frontier_exponents, two_term_params, two_terms, two_terms_rescaled


@final
@dataclass(frozen=True)
class Chinchilla(Law):
    """Irreducible loss plus one power law each in parameters N and tokens D.

    Along C = 6 N D the optimum grows as N_opt ~ C^a and D_opt ~ C^b, with a = beta/(alpha + beta) and
    b = alpha/(alpha + beta) (Hoffmann et al. 2022, equation 4).
    """

    name: ClassVar[str] = "chinchilla"
    equation: ClassVar[str] = "L(N, D) = E + A/N^alpha + B/D^beta"
    inputs: ClassVar[tuple[str, ...]] = ("params", "tokens")
    linear: ClassVar[tuple[str, ...]] = ("E", "A", "B")

    def params(self) -> tuple[Param, ...]:
        """E, A, B, alpha, beta. Weak priors: E a good half of the table's loss, each term about a fifth of it."""
        return two_term_params()

    def loss(self, theta: Values, x: Values) -> Losses:
        """E + A/N^alpha + B/D^beta, in nats per token."""
        return two_terms(theta, x["params"], x["tokens"])

    def rescale(self, theta: Values, unit: Values) -> dict[str, Any]:
        """With N = n N0 and L = l L0: A = a L0 N0^alpha, B = b L0 D0^beta, E = e L0."""
        return two_terms_rescaled(theta, unit)

    def derived(self, theta: Values) -> dict[str, Any]:
        """The exponents of the compute-optimal frontier: N_opt ~ C^a, D_opt ~ C^b."""
        return frontier_exponents(theta)

    def reference(self) -> tuple[Published, ...]:
        """Besiroglu et al.'s refit, and Hoffmann et al.'s own fit with the digits of its TeX source."""
        return (
            Published(
                "Besiroglu et al. 2024 (arXiv 2404.10102), Huber fit to 240 runs",
                (("E", 1.8172), ("A", 482.01), ("B", 2085.43), ("alpha", 0.3478), ("beta", 0.3658)),
            ),
            Published(
                "Hoffmann et al. 2022 (arXiv 2203.15556), Approach 3, TeX source",
                (("E", 1.6934), ("A", 406.4), ("B", 410.7), ("alpha", 0.33917084), ("beta", 0.2849083)),
            ),
        )
