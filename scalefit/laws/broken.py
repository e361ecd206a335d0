"""Broken power laws (Caballero et al. 2023, arXiv 2210.14891, equation 1)."""

from dataclasses import dataclass
from math import log
from typing import Any, ClassVar, final

import jax.numpy as jnp

from scalefit.errors import OptionError
from scalefit.laws._law import Losses, Published
from scalefit.laws._priors import Param, Prior, Values
from scalefit.laws._terms import EXPONENT, LEVEL, TERM, OneColumn, power, rescaled


@final
@dataclass(frozen=True)
class Broken(OneColumn):
    """A power law in one column whose exponent changes smoothly at each of `breaks` places.

    The exponent is c0 at first and c0 + c1 + ... + ci after break i, at x = d_i; f_i is the width of the change in
    ln x.

    Parameters
    ----------
    breaks
        How many, at least 1.
    input
        The column.

    Raises
    ------
    OptionError
        There is less than one break.
    """

    breaks: int = 1
    input: str = "params"

    name: ClassVar[str] = "broken"
    equation: ClassVar[str] = "L(x) = E + A x^-c0 prod_i (1 + (x/d_i)^(1/f_i))^(-c_i f_i)"
    linear: ClassVar[tuple[str, ...]] = ("E", "A")

    def __post_init__(self) -> None:
        if self.breaks < 1:
            raise OptionError(f"a broken law has at least one break, not {self.breaks}; use power-law for none.")

    def params(self) -> tuple[Param, ...]:
        """E, A, c0, then c, d and f of each break."""
        return (
            Param("E", LEVEL, "irreducible loss", "nats"),
            Param("A", TERM, "size of the term that falls", "nats x^c0"),
            Param("c0", EXPONENT, "exponent before the first break"),
            *(param for i in self._numbers for param in self._break(i)),
        )

    def _break(self, i: int) -> tuple[Param, ...]:
        place = Prior.of("LogNormal", loc=3.0 * (i - (self.breaks + 1) / 2), scale=1.5)
        return (
            Param(f"c{i}", Prior.of("Normal", loc=0.0, scale=0.3), f"change of the exponent at break {i}"),
            Param(f"d{i}", place, f"where break {i} is", "x"),
            Param(f"f{i}", Prior.of("LogNormal", loc=log(0.5), scale=0.5), f"width of break {i} in ln x"),
        )

    @property
    def _numbers(self) -> range:
        return range(1, self.breaks + 1)

    def loss(self, theta: Values, x: Values) -> Losses:
        """E + A x^-c0 prod_i (1 + (x/d_i)^(1/f_i))^(-c_i f_i), in nats per token."""
        log_x = jnp.log(x[self.input])
        log_breaks = sum(
            theta[f"c{i}"] * theta[f"f{i}"] * jnp.logaddexp(0.0, (log_x - jnp.log(theta[f"d{i}"])) / theta[f"f{i}"])
            for i in self._numbers
        )
        return theta["E"] + theta["A"] * power(x[self.input], -theta["c0"]) * jnp.exp(-log_breaks)

    def rescale(self, theta: Values, unit: Values) -> dict[str, Any]:
        """With x = u x0 and L = l L0: A = a L0 x0^c0, E = e L0, and breaks move with x."""
        moved = {f"d{i}": theta[f"d{i}"] * unit[self.input] for i in self._numbers}
        return {**rescaled(theta, unit, A=(self.input, theta["c0"])), **moved}

    def derived(self, theta: Values) -> dict[str, Any]:
        """The exponent after the last break."""
        return {"last_exponent": theta["c0"] + sum(theta[f"c{i}"] for i in self._numbers)}

    def reference(self) -> tuple[Published, ...]:
        """No constants for language-model loss are published in this form."""
        breaks = {
            f"{key}{i}": value for i in self._numbers for key, value in (("c", 0.2), ("d", 1e8 * 10**i), ("f", 0.5))
        }
        values = {"E": 1.8, "A": 20.0, "c0": 0.2, **breaks}
        return (Published("made up, to simulate from", tuple(values.items())),)
