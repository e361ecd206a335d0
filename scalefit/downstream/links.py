"""Link functions from the loss on a task to accuracy: a sigmoid, or an exponential of the error."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Any, ClassVar, final

import jax
import jax.numpy as jnp
from jax import Array

from scalefit._registry import lookup
from scalefit.errors import OptionError
from scalefit.laws import Param, Prior

Values = Mapping[str, Any]
# Priors are for a loss in standard deviations from its mean over the table, so they carry no unit.
FLOOR = Param("floor", Prior.of("Beta", concentration1=1.0, concentration0=2.0), "accuracy of guessing", "share")
REACH = Param(
    "reach",
    Prior.of("Beta", concentration1=4.0, concentration0=1.0),
    "how much of the way from floor to 1 the ceiling lies",
)


class Link(ABC):
    """Accuracy as a function of task loss: a frozen dataclass of numbers, each None where it is inferred."""

    name: ClassVar[str]
    equation: ClassVar[str]

    @final
    @property
    def fixed(self) -> dict[str, float]:
        """The numbers that are not inferred, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}

    @property
    @abstractmethod
    def structure(self) -> "Link":
        """One link for all that fix the same numbers, whatever their values: what programs are compiled for."""

    @abstractmethod
    def params(self) -> tuple[Param, ...]:
        """The parameters that are inferred, with priors for standardised loss."""

    @abstractmethod
    def curve_params(self, theta: Values) -> dict[str, Any]:
        """The parameters of the equation, for standardised loss.

        Parameters
        ----------
        theta
            `params` and `fixed` by name, numbers or arrays of one shape.

        Returns
        -------
        dict
            Name -> values of that shape.
        """

    @abstractmethod
    def rescale(self, theta: Values, mean: float, spread: float) -> dict[str, Any]:
        """The parameters of the equation for a loss l, from those for (l - mean) / spread.

        Parameters
        ----------
        theta
            What `curve_params` returns.
        mean, spread
            Of the loss.

        Returns
        -------
        dict
            Name -> values of the same shape.
        """

    @abstractmethod
    def accuracy(self, theta: Values, loss: Any) -> Array:
        """Accuracy by the equation, the same for a loss in either unit.

        Parameters
        ----------
        theta
            The parameters of the equation, numbers or arrays.
        loss
            In the unit of the parameters, a number or an array.

        Returns
        -------
        array
            Shares, elementwise.
        """


@final
@dataclass(frozen=True)
class Sigmoid(Link):
    """From a guessing floor up to a ceiling: Acc(L) = floor + (ceiling - floor) / (1 + exp(k (L - L0))).

    Parameters
    ----------
    floor
        Accuracy of guessing, a share; None to be inferred.
    ceiling
        Best accuracy, a share; None to be inferred.

    Raises
    ------
    OptionError
        Not 0 <= floor < ceiling <= 1, or a ceiling without a floor.

    References
    ----------
    The second stage of Bhagia et al. 2024 (arXiv 2412.04403).
    """

    floor: float | None = 0.25
    ceiling: float | None = None

    name: ClassVar[str] = "sigmoid"
    equation: ClassVar[str] = "Acc(L) = floor + (ceiling - floor) / (1 + exp(k (L - L0)))"

    def __post_init__(self) -> None:
        _check_floor(self.floor)
        if self.ceiling is None:
            return
        if self.floor is None:
            raise OptionError("the ceiling is fixed and the floor is not. Fix both, or leave both to be inferred.")
        if not self.floor < self.ceiling <= 1:
            raise OptionError(
                f"a ceiling of {self.ceiling:g} is out of range. Give a share above the floor and at most 1."
            )

    @property
    def structure(self) -> "Sigmoid":
        """The sigmoid from 0 to 1 that fixes the same of floor and ceiling."""
        return Sigmoid(None if self.floor is None else 0.0, None if self.ceiling is None else 1.0)

    def params(self) -> tuple[Param, ...]:
        """The steepness k, `start` = k L0, and the floor and the ceiling's reach where they are not fixed."""
        steepness = Param("k", Prior.of("LogNormal", loc=log(1.5), scale=1.0), "steepness", "1 / loss")
        # Not L0 itself: where the ceiling is far from reached, k, L0 and ceiling ride a long curved ridge.
        share = Param("start", Prior.of("Normal", loc=0.0, scale=2.5), "log odds of the way up at the mean loss")
        floor = (FLOOR,) if self.floor is None else ()
        return (steepness, share, *floor, *((REACH,) if self.ceiling is None else ()))

    def curve_params(self, theta: Values) -> dict[str, Any]:
        """floor, ceiling, steepness k, and L0, the loss half way up."""
        floor = theta["floor"]
        ceiling = floor + theta["reach"] * (1 - floor) if self.ceiling is None else theta["ceiling"]
        ones = jnp.ones_like(theta["k"])
        return {"floor": floor * ones, "ceiling": ceiling * ones, "k": theta["k"], "L0": theta["start"] / theta["k"]}

    def rescale(self, theta: Values, mean: float, spread: float) -> dict[str, Any]:
        """k in units of 1 / loss and L0 in those of the loss: k (l - L0) is a pure number."""
        return {**theta, "k": theta["k"] / spread, "L0": theta["L0"] * spread + mean}

    def accuracy(self, theta: Values, loss: Any) -> Array:
        """Accuracy by the sigmoid, floor + (ceiling - floor) sigmoid(-k (L - L0))."""
        share = jax.nn.sigmoid(-theta["k"] * (loss - theta["L0"]))
        return theta["floor"] + (theta["ceiling"] - theta["floor"]) * share


@final
@dataclass(frozen=True)
class ExponentialError(Link):
    """Error falls away from eps exponentially in the loss: 1 - Acc(L) = eps - k exp(-g L).

    Below a loss of ln(k / eps) / g the equation leaves 0..1, and is cut off at 1.

    Parameters
    ----------
    floor
        1 - eps, the accuracy at high loss; None to be inferred, as the paper does for an average over tasks.

    Raises
    ------
    OptionError
        Not 0 <= floor < 1.

    References
    ----------
    Gadre et al. 2024 (arXiv 2403.08540), equation 5.
    """

    floor: float | None = None

    name: ClassVar[str] = "exponential-error"
    equation: ClassVar[str] = "1 - Acc(L) = eps - k exp(-g L)"

    def __post_init__(self) -> None:
        _check_floor(self.floor)

    @property
    def structure(self) -> "ExponentialError":
        """The exponential with a floor of 0 where the floor is fixed."""
        return ExponentialError(None if self.floor is None else 0.0)

    def params(self) -> tuple[Param, ...]:
        """The gain k over the floor at the mean loss, the rate g, and the floor where it is not fixed."""
        gain = Param("k", Prior.of("LogNormal", loc=log(0.1), scale=2.0), "gain over guessing at a loss of 0")
        rate = Param("g", Prior.of("LogNormal", loc=log(0.7), scale=1.0), "rate", "1 / loss")
        return (gain, rate, *((FLOOR,) if self.floor is None else ()))

    def curve_params(self, theta: Values) -> dict[str, Any]:
        """eps, gain k and rate g."""
        return {"eps": (1 - theta["floor"]) * jnp.ones_like(theta["k"]), "k": theta["k"], "g": theta["g"]}

    def rescale(self, theta: Values, mean: float, spread: float) -> dict[str, Any]:
        """g in units of 1 / loss and k at a loss of 0: k exp(-g l) is a share."""
        rate = theta["g"] / spread
        return {"eps": theta["eps"], "k": theta["k"] * jnp.exp(rate * mean), "g": rate}

    def accuracy(self, theta: Values, loss: Any) -> Array:
        """Accuracy by the exponential, 1 - eps + k exp(-g L), at most 1."""
        return jnp.minimum(1 - theta["eps"] + theta["k"] * jnp.exp(-theta["g"] * loss), 1.0)


def _check_floor(floor: float | None) -> None:
    if floor is not None and not 0 <= floor < 1:
        raise OptionError(f"a floor of {floor:g} is out of range. Give a share below 1, as in 0.25 for four choices.")


LINKS: dict[str, type[Sigmoid] | type[ExponentialError]] = {link.name: link for link in (Sigmoid, ExponentialError)}


def find_link(name: str, floor: float | None, ceiling: float | None) -> Link:
    """Look up a link function.

    Parameters
    ----------
    name
        One of `LINKS`.
    floor, ceiling
        The numbers it fixes, None where one is inferred.

    Returns
    -------
    Link
        The link function of that name.

    Raises
    ------
    OptionError
        The name is unknown, a number is out of range, or the link function has no ceiling to fix.
    """
    if lookup(name, LINKS, "link function") is Sigmoid:
        return Sigmoid(floor, ceiling)
    if ceiling is not None:
        raise OptionError(f"the link function {name} has no ceiling. Leave the ceiling out, or use the sigmoid.")
    return ExponentialError(floor)
