"""The contract of a law, and the registry that finds it by name."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, final

from scalefit._registry import lookup
from scalefit.errors import OptionError
from scalefit.laws._priors import Param, Values


@dataclass(frozen=True)
class Published:
    """Constants that a paper reports for a law, in raw units, and where they stand."""

    source: str
    values: tuple[tuple[str, float], ...]

    @property
    def theta(self) -> dict[str, float]:
        """The constants by parameter name."""
        return dict(self.values)


Losses = Any
"""Losses, of the shape of the inputs: JAX arrays from JAX arrays, NumPy's from NumPy's."""


class Law(ABC):
    """A scaling law: how the loss of **one** run follows from its inputs.

    A law is a frozen dataclass without arrays, so it can be hashed, compared and compiled against. Its file
    under `scalefit/laws/` is all there is to it: defining the class registers it under `name`.
    """

    name: ClassVar[str]
    equation: ClassVar[str]
    linear: ClassVar[tuple[str, ...]] = ()  # parameters in which the loss is linear, all positive
    parts: ClassVar[tuple[str, ...]] = ()  # those that about add up to the loss in the middle of a table, if not linear
    same_unit: ClassVar[Mapping[str, str]] = {}  # input -> the input whose unit it shares
    pure: ClassVar[tuple[str, ...]] = ()  # inputs that are pure numbers, never rescaled
    defaults: ClassVar[Mapping[str, float]] = {}  # inputs beyond params and tokens, where a plan leaves them open
    registry: ClassVar[dict[str, type["Law"]]] = {}

    def __init_subclass__(cls, listed: bool = True, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if listed:
            Law.registry[cls.name] = cls

    @property
    @abstractmethod
    def inputs(self) -> tuple[str, ...]:
        """Columns of a table that the loss depends on."""

    @abstractmethod
    def params(self) -> tuple[Param, ...]:
        """The law's parameters, in the order they are reported."""

    @abstractmethod
    def loss(self, theta: Values, x: Values) -> Losses:
        """Loss of one run.

        Parameters
        ----------
        theta
            Parameters by name.
        x
            `inputs` by name.

        Returns
        -------
        Array
            In the unit of its parameters; elementwise, so that arrays broadcast.
        """

    def floor(self, theta: Values) -> Any:
        """The part of the loss that nothing takes away: E where the law adds it to its other terms, else zero."""
        return theta["E"] if "E" in (*self.linear, *self.parts) else 0.0 * theta[self.params()[0].name]

    @abstractmethod
    def rescale(self, theta: Values, unit: Values) -> dict[str, Any]:
        """The same law for inputs and loss measured in other units.

        Sampling with the units at the table's geometric means is what centres the coordinates and frees the priors of
        units.

        Parameters
        ----------
        theta
            Parameters where every input is a multiple of `unit[input]` and the loss of `unit["loss"]`.
        unit
            Of every input and of the loss.

        Returns
        -------
        dict
            The parameters for raw inputs. The reciprocal units lead back.
        """

    @final
    def units(self, means: Mapping[str, float]) -> dict[str, float]:
        """The unit of each input and of the loss, from their geometric means: all that may be rescaled are."""
        return {name: 1.0 if name in self.pure else means[self.same_unit.get(name, name)] for name in means}

    @abstractmethod
    def derived(self, theta: Values) -> dict[str, Any]:
        """Further numbers that readers of this law ask for, by name; may be empty."""

    @abstractmethod
    def reference(self) -> tuple[Published, ...]:
        """Published constants, the ones to simulate from first; raw units.

        A law without any gives constants of its own to simulate from, and its source says so.
        """


def find_law(name: str, **options: Any) -> Law:
    """The law of that name.

    Parameters
    ----------
    name
        May carry options, as in "power-law(input=tokens)".
    **options
        More of them.

    Raises
    ------
    OptionError
        There is no such law, or it has no such option; the sentence lists those there are.
    """
    plain, written = _read_options(name)
    law = lookup(plain, dict(sorted(Law.registry.items())), "law")
    try:
        return law(**written, **options)
    except TypeError:
        known = ", ".join(f.name for f in fields(law)) or "none"  # type: ignore[arg-type]
        raise OptionError(f"cannot make a law of {name!r}: the options of {plain} are: {known}.") from None


def _read_options(text: str) -> tuple[str, dict[str, Any]]:
    """A name and its options: "broken(breaks=2)" gives "broken" and {"breaks": 2}."""
    match = re.fullmatch(r"([\w-]+)\((.*)\)", text.strip())
    if not match:
        return text, {}
    pairs = [[part.strip() for part in pair.partition("=")] for pair in match[2].split(",") if pair.strip()]
    number = re.compile(r"[+-]?\d+")
    return match[1], {key: int(value) if number.fullmatch(value) else value for key, _, value in pairs}
