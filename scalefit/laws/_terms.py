"""What laws share: priors, the two-term form of N and D, sums of power laws in other units."""

from math import log
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from scalefit.laws._law import Law
from scalefit.laws._priors import Param, Prior, Values

# Where inputs and loss are measured in the table's geometric means.
LEVEL = Prior.of("LogNormal", loc=log(0.6), scale=0.4)  # irreducible loss: a good half of it all
TERM = Prior.of("LogNormal", loc=log(0.2), scale=1.0)  # what one more input would take away: about a fifth
EXPONENT = Prior.of("LogNormal", loc=log(0.3), scale=0.5)  # published ones are .08 to .7


def power(x: Any, exponent: Any) -> Any:
    """x^exponent for x > 0, as exp(exponent ln x); NumPy in, NumPy out.

    Tables are stored as logarithms: the compiler then cancels ln exp and is left with one exponential, four times
    as fast as its own power, and simpler to differentiate.
    """
    xp: Any = jnp if isinstance(x, Array) or isinstance(exponent, Array) else np
    return xp.exp(exponent * xp.log(x))


def ln(x: Any) -> Any:
    """Natural logarithm; NumPy in, NumPy out."""
    return jnp.log(x) if isinstance(x, Array) else np.log(x)


class OneColumn(Law, listed=False):
    """A law of a single column, which its option `input` names."""

    input: str

    @property
    def inputs(self) -> tuple[str, ...]:
        """The one column."""
        return (self.input,)


def two_terms(theta: Values, n: Any, d: Any) -> Any:
    """E + A/n^alpha + B/d^beta, in nats per token: the two-term form, of N and D or what they count for."""
    return theta["E"] + theta["A"] * power(n, -theta["alpha"]) + theta["B"] * power(d, -theta["beta"])


def two_term_params(term: Prior = TERM, exponent: Prior = EXPONENT) -> tuple[Param, ...]:
    """E, A, B, alpha, beta. Weak priors: E a good half of the table's loss, each term about a fifth of it."""
    return (
        Param("E", LEVEL, "irreducible loss", "nats"),
        Param("A", term, "size of the parameter term", "nats params^alpha"),
        Param("B", term, "size of the data term", "nats tokens^beta"),
        Param("alpha", exponent, "exponent of parameters"),
        Param("beta", exponent, "exponent of tokens"),
    )


def rescaled(theta: Values, unit: Values, level: str = "E", **terms: tuple[str, Any]) -> dict[str, Any]:
    """A level plus terms A/x^alpha, each A given as A=(x, alpha): with x = u x0 and L = l L0, A = a L0 x0^alpha."""
    sizes = {size: theta[size] * unit["loss"] * unit[x] ** alpha for size, (x, alpha) in terms.items()}
    return {**theta, level: theta[level] * unit["loss"], **sizes}


def two_terms_rescaled(theta: Values, unit: Values) -> dict[str, Any]:
    """With N = n N0 and L = l L0: A = a L0 N0^alpha, B = b L0 D0^beta, E = e L0."""
    return rescaled(theta, unit, A=("params", theta["alpha"]), B=("tokens", theta["beta"]))


def frontier_exponents(theta: Values, names: tuple[str, str] = ("a", "b")) -> dict[str, Any]:
    """a and b of N_opt ~ C^a and D_opt ~ C^b along C = 6 N D (Hoffmann et al. 2022, equation 4)."""
    a = theta["beta"] / (theta["alpha"] + theta["beta"])
    return {names[0]: a, names[1]: 1 - a}
