"""The contract of a law, and the registry that finds it by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit.errors import OptionError

if TYPE_CHECKING:
    from numpyro.distributions import Distribution


Values = Mapping[str, Any]
"""Name -> number or array: parameters of a law, or the inputs of a run."""


@dataclass(frozen=True)
class Prior:
    """A NumPyro distribution by name, so that a model can be compared, printed and stored without pickling.

    family : a class of `numpyro.distributions`, such as "LogNormal"; settings : its arguments, in any order.
    `Prior.of("LogNormal", loc=-1.2, scale=0.5)` is the short way. Raises `OptionError` on an unknown family.
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
            raise OptionError(
                f"{distribution!r} is no scalar NumPyro distribution; use Prior.of(family, ...)."
            ) from problem
        return cls.of(type(distribution).__name__, **settings)

    def distribution(self) -> "Distribution":
        """The NumPyro distribution itself."""
        from numpyro import distributions

        try:
            return getattr(distributions, self.family)(**dict(self.settings))
        except (AttributeError, TypeError, ValueError) as problem:
            raise OptionError(f"{self} is not a distribution that NumPyro knows: {problem}") from problem

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
