"""How accuracy follows from the loss on a task: a sigmoid, or an exponential of the error."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Any, ClassVar, Self, final

import jax
import jax.numpy as jnp
from jax import Array

from scalefit.errors import OptionError
from scalefit.laws import Param, Prior

Values = Mapping[str, Any]
# Priors hold where the loss is measured in standard deviations from its mean over the table, so they carry no unit.
FLOOR = Param("floor", Prior.of("Beta", concentration1=1.0, concentration0=2.0), "accuracy of guessing", "share")
REACH = Param(
    "reach",
    Prior.of("Beta", concentration1=4.0, concentration0=1.0),
    "how much of the way from floor to 1 the ceiling lies",
)


class Form(ABC):
    """Accuracy as a function of task loss. A frozen dataclass; `floor` is a number, or None to be inferred."""

    name: ClassVar[str]
    equation: ClassVar[str]
    floor: float | None

    @property
    @abstractmethod
    def fixed(self) -> dict[str, float]:
        """What is not inferred, by name."""

    @property
    @abstractmethod
    def alike(self) -> Self:
        """One form for all that fix the same names, whatever the values: what programs are compiled for."""

    @abstractmethod
    def params(self) -> tuple[Param, ...]:
        """What is inferred, with priors for standardised loss."""

    @abstractmethod
    def filled(self, theta: Values) -> dict[str, Any]:
        """The curve's parameters from those inferred and the `fixed`; for standardised loss still."""

    @abstractmethod
    def rescale(self, theta: Values, mean: float, spread: float) -> dict[str, Any]:
        """The filled parameters for loss l where they hold for (l - mean) / spread."""

    @abstractmethod
    def curve(self, theta: Values, loss: Any) -> Array:
        """Accuracy, a share, at the filled parameters; elementwise. The same equation in both units."""


@final
@dataclass(frozen=True)
class Sigmoid(Form):
    """From a guessing floor up to a ceiling; the second stage of Bhagia et al. 2024 (arXiv 2412.04403).

    floor, ceiling : shares, None to be inferred. k is the steepness per unit of loss, L0 the loss half way up.
    Raises `OptionError` unless 0 <= floor < ceiling <= 1.
    """

    floor: float | None = 0.25
    ceiling: float | None = None

    name: ClassVar[str] = "sigmoid"
    equation: ClassVar[str] = "Acc(L) = floor + (ceiling - floor) / (1 + exp(k (L - L0)))"

    def __post_init__(self) -> None:
        check_floor(self.floor)
        if self.ceiling is not None and not (self.floor or 0.0) < self.ceiling <= 1:
            raise OptionError(f"the ceiling of accuracy lies above the floor and is at most 1; got {self.ceiling}.")
        if self.floor is None and self.ceiling is not None:
            raise OptionError("fix the floor where the ceiling is fixed, or leave both to be inferred.")

    @property
    def fixed(self) -> dict[str, float]:
        """Floor and ceiling, where given."""
        return given(floor=self.floor, ceiling=self.ceiling)

    @property
    def alike(self) -> Self:
        """From 0 to 1."""
        return type(self)(self.floor and 0.0, self.ceiling and 1.0)

    def params(self) -> tuple[Param, ...]:
        """k, k L0 (`start`), and the floor and the ceiling's reach where they are not fixed."""
        steepness = Param("k", Prior.of("LogNormal", loc=log(1.5), scale=1.0), "steepness", "1 / loss")
        # Not L0 itself: where the ceiling is far from reached, k, L0 and ceiling ride a long curved ridge.
        share = Param("start", Prior.of("Normal", loc=0.0, scale=2.5), "log odds of the way up at the mean loss")
        floor = (FLOOR,) if self.floor is None else ()
        return (steepness, share, *floor, *((REACH,) if self.ceiling is None else ()))

    def filled(self, theta: Values) -> dict[str, Any]:
        """floor, ceiling, k, L0."""
        floor = theta["floor"]
        ceiling = floor + theta["reach"] * (1 - floor) if self.ceiling is None else theta["ceiling"]
        ones = jnp.ones_like(theta["k"])
        return {"floor": floor * ones, "ceiling": ceiling * ones, "k": theta["k"], "L0": theta["start"] / theta["k"]}

    def rescale(self, theta: Values, mean: float, spread: float) -> dict[str, Any]:
        """k (l - L0) is without unit."""
        return {**theta, "k": theta["k"] / spread, "L0": theta["L0"] * spread + mean}

    def curve(self, theta: Values, loss: Any) -> Array:
        """Floor + (ceiling - floor) sigmoid(-k (L - L0))."""
        share = jax.nn.sigmoid(-theta["k"] * (loss - theta["L0"]))
        return theta["floor"] + (theta["ceiling"] - theta["floor"]) * share


@final
@dataclass(frozen=True)
class ExponentialError(Form):
    """Error falls away from eps exponentially in the loss (Gadre et al. 2024, arXiv 2403.08540, equation 5).

    floor : 1 - eps, the accuracy at high loss; None to be inferred, as they do for an average over tasks.

    It has no ceiling of its own: below a loss of ln(k / eps) / g the equation leaves 0..1, and is cut off at 1.
    Raises `OptionError` unless 0 <= floor < 1.
    """

    floor: float | None = None

    name: ClassVar[str] = "error"
    equation: ClassVar[str] = "1 - Acc(L) = eps - k exp(-g L)"

    def __post_init__(self) -> None:
        check_floor(self.floor)

    @property
    def fixed(self) -> dict[str, float]:
        """The floor, where given."""
        return given(floor=self.floor)

    @property
    def alike(self) -> Self:
        """With a floor of 0."""
        return type(self)(self.floor and 0.0)

    def params(self) -> tuple[Param, ...]:
        """k (for standardised loss: what is gained over the floor at the mean loss), g, and the floor if not fixed."""
        gain = Param("k", Prior.of("LogNormal", loc=log(0.1), scale=2.0), "gain over guessing at a loss of 0")
        rate = Param("g", Prior.of("LogNormal", loc=log(0.7), scale=1.0), "rate", "1 / loss")
        return (gain, rate, *((FLOOR,) if self.floor is None else ()))

    def filled(self, theta: Values) -> dict[str, Any]:
        """eps, k, g."""
        return {"eps": (1 - theta["floor"]) * jnp.ones_like(theta["k"]), "k": theta["k"], "g": theta["g"]}

    def rescale(self, theta: Values, mean: float, spread: float) -> dict[str, Any]:
        """k exp(-g l) is without unit."""
        rate = theta["g"] / spread
        return {"eps": theta["eps"], "k": theta["k"] * jnp.exp(rate * mean), "g": rate}

    def curve(self, theta: Values, loss: Any) -> Array:
        """1 - eps + k exp(-g L), at most 1."""
        return jnp.minimum(1 - theta["eps"] + theta["k"] * jnp.exp(-theta["g"] * loss), 1.0)


def given(**values: float | None) -> dict[str, float]:
    """Those that are numbers."""
    return {name: value for name, value in values.items() if value is not None}


def check_floor(floor: float | None) -> None:
    """Refuse with a `OptionError` a guessing floor that is no share below 1."""
    if floor is not None and not 0 <= floor < 1:
        raise OptionError(f"the guessing floor is a share from 0 to below 1, as in 0.25 for four choices; got {floor}.")


FORMS: dict[str, type[Sigmoid] | type[ExponentialError]] = {"sigmoid": Sigmoid, "error": ExponentialError}
