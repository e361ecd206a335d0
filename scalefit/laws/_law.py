"""The contract of a law, and the registry that finds it by name."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit.errors import ModelError

if TYPE_CHECKING:
    from numpyro.distributions import Distribution

Values = Mapping[str, Any]
"""Name -> number or array: parameters of a law, or the inputs of a run."""


@dataclass(frozen=True)
class Prior:
    """A NumPyro distribution by name, so that a model can be compared, printed and stored without pickling.

    family : a class of `numpyro.distributions`, such as "LogNormal"; settings : its arguments, in any order.
    `Prior.of("LogNormal", loc=-1.2, scale=0.5)` is the short way. Raises `ModelError` on an unknown family.
    """

    family: str
    settings: tuple[tuple[str, float], ...]

    @classmethod
    def of(cls, family: str, **settings: float) -> "Prior":
        """A prior from a family's name and its arguments; checks that NumPyro accepts them."""
        prior = cls(family, tuple(sorted((key, float(value)) for key, value in settings.items())))
        prior.distribution()
        return prior

    @classmethod
    def from_numpyro(cls, distribution: "Distribution") -> "Prior":
        """The prior that a scalar NumPyro distribution describes."""
        try:
            settings = {name: float(getattr(distribution, name)) for name in distribution.arg_constraints}
        except (AttributeError, TypeError) as problem:
            raise ModelError(
                f"{distribution!r} is no scalar NumPyro distribution; use Prior.of(family, ...)."
            ) from problem
        return cls.of(type(distribution).__name__, **settings)

    def distribution(self) -> "Distribution":
        """The NumPyro distribution itself."""
        from numpyro import distributions

        try:
            return getattr(distributions, self.family)(**dict(self.settings))
        except (AttributeError, TypeError, ValueError) as problem:
            raise ModelError(f"{self} is not a distribution that NumPyro knows: {problem}") from problem

    def quantile(self, q: np.ndarray) -> Array:
        """At each of q, (n,); where NumPyro has none of this family, the quantiles of many draws."""
        distribution = self.distribution()
        try:
            return distribution.icdf(jnp.asarray(q))
        except (NotImplementedError, ImportError):
            return jnp.quantile(distribution.sample(jax.random.PRNGKey(0), (4096,)), q)

    def __str__(self) -> str:
        return f"{self.family}({', '.join(f'{key} {value:.4g}' for key, value in self.settings)})"


@dataclass(frozen=True)
class Param:
    """One parameter: its name, prior in unit-free coordinates (see `Law.rescale`), meaning and raw unit."""

    name: str
    prior: Prior
    meaning: str
    unit: str = "1"


@dataclass(frozen=True)
class Published:
    """Constants that a paper reports for a law, in raw units, and where they stand."""

    source: str
    values: tuple[tuple[str, float], ...]

    @property
    def theta(self) -> dict[str, float]:
        """The constants by parameter name."""
        return dict(self.values)


class Law(ABC):
    """A scaling law: how the loss of **one** run follows from its inputs.

    A law is a frozen dataclass without arrays, so it can be hashed, compared and compiled against. Its file
    under `scalefit/laws/` is all there is to it: defining the class registers it under `name`.
    """

    name: ClassVar[str]
    equation: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]]
    linear: ClassVar[tuple[str, ...]]  # parameters in which the loss is linear, all positive; may be empty
    registry: ClassVar[dict[str, type["Law"]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Law.registry[cls.name] = cls

    @abstractmethod
    def params(self) -> tuple[Param, ...]:
        """The law's parameters, in the order they are reported."""

    @abstractmethod
    def loss(self, theta: Values, x: Values) -> Array:
        """Loss in nats per token of one run with inputs `x`; elementwise, so that arrays broadcast."""

    @abstractmethod
    def rescale(self, theta: Values, unit: Values) -> dict[str, Any]:
        """The same law for inputs and loss measured in other units.

        `theta` holds where every input is a multiple of `unit[input]` and the loss of `unit["loss"]`; returned are
        the parameters for raw inputs. The reciprocal units lead back. Sampling with the units at the table's
        geometric means is what centres the coordinates and frees the priors of units.
        """

    @abstractmethod
    def derived(self, theta: Values) -> dict[str, Any]:
        """Further numbers that readers of this law ask for, by name; may be empty."""

    @abstractmethod
    def reference(self) -> tuple[Published, ...]:
        """Published constants, the one to simulate from first; raw units."""


def find_law(name: str, **options: Any) -> Law:
    """The law of that name; raises `ModelError` that lists the names there are."""
    if name not in Law.registry:
        raise ModelError(f"there is no law {name!r}; choose from {', '.join(sorted(Law.registry))}.")
    return Law.registry[name](**options)
