"""L(x) = E + A/x^alpha in one variable, whichever it is."""

from dataclasses import dataclass
from typing import Any, ClassVar, final

from scalefit.laws._law import Losses, Published
from scalefit.laws._priors import Param, Values
from scalefit.laws._terms import EXPONENT, LEVEL, TERM, OneColumn, power, rescaled


@final
@dataclass(frozen=True)
class PowerLaw(OneColumn):
    """Irreducible loss plus a power law in one column: params, tokens, flops or any other.

    Parameters
    ----------
    input
        The column, as in `PowerLaw(input="tokens")` or, on the command line, "power-law(input=tokens)".
    """

    input: str = "params"

    name: ClassVar[str] = "power-law"
    equation: ClassVar[str] = "L(x) = E + A/x^alpha"
    linear: ClassVar[tuple[str, ...]] = ("E", "A")

    def params(self) -> tuple[Param, ...]:
        """E, A, alpha."""
        return (
            Param("E", LEVEL, "irreducible loss", "nats"),
            Param("A", TERM, "size of the term that falls", "nats x^alpha"),
            Param("alpha", EXPONENT, "exponent"),
        )

    def loss(self, theta: Values, x: Values) -> Losses:
        """E + A/x^alpha, in nats per token."""
        return theta["E"] + theta["A"] * power(x[self.input], -theta["alpha"])

    def rescale(self, theta: Values, unit: Values) -> dict[str, Any]:
        """With x = u x0 and L = l L0: A = a L0 x0^alpha, E = e L0."""
        return rescaled(theta, unit, A=(self.input, theta["alpha"]))

    def derived(self, theta: Values) -> dict[str, Any]:
        """What a doubling of x takes off the reducible loss, as a factor."""
        return {"doubling": 2.0 ** -theta["alpha"]}

    def reference(self) -> tuple[Published, ...]:
        """The limit of unlimited data of a law of N and D."""
        values = (("E", 1.8172), ("A", 482.01), ("alpha", 0.3478))
        return (Published("Besiroglu et al. 2024 (arXiv 2404.10102), in N at unlimited data", values),)
