"""Priors, parameters, and the space that parameters with priors span."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, final

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from scalefit._random import quasirandom
from scalefit.errors import OptionError

if TYPE_CHECKING:
    from numpyro.distributions import Distribution
    from numpyro.distributions.transforms import Transform


Values = Mapping[str, Any]
"""Name -> number or array: parameters of a law, or the inputs of a run."""


@dataclass(frozen=True)
class Prior:
    """A NumPyro distribution by name, so that a model can be compared, printed and stored without pickling.

    `Prior.of("LogNormal", loc=-1.2, scale=0.5)` is the short way.

    Parameters
    ----------
    family
        A class of `numpyro.distributions`, such as "LogNormal"; or "LogStudentT", whose logarithm is a StudentT.
    settings
        Its arguments.
    """

    family: str
    settings: tuple[tuple[str, float], ...]

    @classmethod
    def of(cls, family: str, **settings: float) -> "Prior":
        """A prior from a family's name and its arguments; raises `OptionError` where NumPyro does not accept them."""
        prior = cls(family, tuple(sorted((key, float(value)) for key, value in settings.items())))
        prior.distribution()
        return prior

    @classmethod
    def from_numpyro(cls, distribution: "Distribution") -> "Prior":
        """The prior that a scalar NumPyro distribution describes; raises `OptionError` where it is none."""
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
            if self.family == "LogStudentT":
                base = distributions.StudentT(**dict(self.settings))
                return distributions.TransformedDistribution(base, distributions.transforms.ExpTransform())
            return getattr(distributions, self.family)(**dict(self.settings))
        except (AttributeError, TypeError, ValueError) as problem:
            raise OptionError(f"{self} is not a distribution that NumPyro knows: {problem}") from problem

    def quantile(self, q: Float[np.ndarray, " n"]) -> Float[Array, " n"]:
        """Quantiles at q; where NumPyro has none of this family, those of many draws."""
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


@final
@dataclass(frozen=True)
class ParamSpace:
    """What parameters with priors span, seen in two ways: each on its prior's support, or on the whole real line.

    Parameters by name are `theta` on their supports and `z` unconstrained. Flat vectors hold `z` in the order of
    `params`.
    """

    params: tuple[Param, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the parameters, in their order."""
        return tuple(p.name for p in self.params)

    @property
    def alphabetical(self) -> Self:
        """The same parameters in the order in which JAX lays out a dict."""
        return type(self)(tuple(sorted(self.params, key=lambda p: p.name)))

    def constrain(self, z: Values) -> dict[str, Any]:
        """From the whole real line to each prior's support, for the parameters given."""
        return {p.name: _transform(p)(z[p.name]) for p in self.params if p.name in z}

    def unconstrain(self, theta: Values) -> dict[str, Any]:
        """The inverse of `constrain`."""
        return {p.name: _transform(p).inv(theta[p.name]) for p in self.params if p.name in theta}

    def flatten(self, z: Values) -> Float[Array, "*draw dim"]:
        """Unconstrained parameters by name, each of shape (*draw), as flat vectors."""
        return jnp.stack([z[name] for name in self.names], axis=-1)

    def unflatten(self, flat: Float[Array, "*draw dim"]) -> dict[str, Float[Array, "*draw"]]:
        """The inverse of `flatten`."""
        return dict(zip(self.names, jnp.moveaxis(flat, -1, 0), strict=True))

    def log_prior(self, theta: Values) -> dict[str, Float[Array, "*draw"]]:
        """Log prior density of every parameter on its support, elementwise."""
        return {p.name: p.prior.distribution().log_prob(theta[p.name]) for p in self.params}

    def log_density(self, z: Values) -> Float[Array, "*draw"]:
        """Log prior density of unconstrained parameters together, elementwise: with the Jacobian of `constrain`."""
        theta = self.constrain(z)
        log_volume = sum(_transform(p).log_abs_det_jacobian(z[p.name], theta[p.name]) for p in self.params)
        return sum(self.log_prior(theta).values()) + log_volume

    def sample(self, key: PRNGKeyArray, draws: int) -> dict[str, Float[Array, " draw"]]:
        """Draws from the prior, on the supports."""
        keys = jax.random.split(key, len(self.params))
        return {p.name: p.prior.distribution().sample(k, (draws,)) for p, k in zip(self.params, keys, strict=True)}

    def spread(self, count: int) -> dict[str, Float[Array, " count"]]:
        """Parameters spread evenly over their priors, on the supports: where searches may start."""
        points = quasirandom(count, len(self.params))
        return {p.name: p.prior.quantile(q) for p, q in zip(self.params, points.T, strict=True)}


def _transform(param: Param) -> "Transform":
    """From the whole real line to the prior's support."""
    from numpyro.distributions.transforms import biject_to

    return biject_to(param.prior.distribution().support)
