"""Priors of parameters, and parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from scalefit.errors import OptionError

if TYPE_CHECKING:
    from numpyro.distributions import Distribution
    from numpyro.distributions.transforms import Transform


Values = Mapping[str, Any]
"""Name -> number or array: parameters of a law, or the inputs of a run."""


CUT = tuple(f"{sides}TruncatedDistribution" for sides in ("Left", "Right", "TwoSided"))  # as NumPyro calls them


@dataclass(frozen=True)
class Prior:
    """A NumPyro distribution by name, so that a model can be compared, printed and stored without pickling.

    `Prior.of("LogNormal", loc=-1.2, scale=0.5)` is the short way.

    Parameters
    ----------
    family
        A class of `numpyro.distributions`, such as "LogNormal"; or "LogStudentT", whose logarithm is a StudentT. A
        "Delta" fixes the parameter, which then is none of the coordinates that are searched and sampled.
    settings
        Its arguments.
    low, high
        Where the distribution is cut.
    unit
        "nats" where values are in the loss's own unit, and not in multiples of the table's mean loss; see `nats`.
    factor
        What values are multiplied by, as where a table's unit is known.
    """

    family: str
    settings: tuple[tuple[str, float], ...]
    low: float = -inf
    high: float = inf
    unit: str = ""
    factor: float = 1.0

    @classmethod
    def of(cls, family: str, **settings: float) -> "Prior":
        """A prior from a family's name and its arguments; raises `OptionError` where NumPyro does not accept them."""
        prior = cls(family, tuple(sorted((key, float(value)) for key, value in settings.items())))
        prior.distribution()
        return prior

    @classmethod
    def from_numpyro(cls, distribution: "Distribution") -> "Prior":
        """The prior that a scalar NumPyro distribution describes, even a cut one; raises `OptionError` for others."""
        base: Any = distribution
        bounds = {"low": -inf, "high": inf}
        try:
            if type(distribution).__name__ in CUT:  # the ends stand beside the whole distribution
                base = distribution.base_dist
                bounds |= {name: float(getattr(distribution, name)) for name in bounds if hasattr(distribution, name)}
            settings = {name: float(getattr(base, name)) for name in base.arg_constraints if name != "log_density"}
            if base.is_discrete:
                raise TypeError
        except (AttributeError, TypeError) as problem:
            raise OptionError(
                f"{distribution!r} is no scalar, continuous NumPyro distribution; use Prior.of(family, ...)."
            ) from problem
        prior = replace(cls.of(type(base).__name__, **settings), low=bounds["low"], high=bounds["high"])
        prior.check()
        return prior

    def check(self) -> None:
        """Raise `OptionError` where its least value is not below its greatest."""
        least, most = self.ends
        if not least < most:
            raise OptionError(f"the prior {self} has no values. Its least value has to be below its greatest.")

    def times(self, factor: float) -> "Prior":
        """Of a parameter that is measured in a unit `factor` times as small."""
        return replace(self, unit="", factor=factor * self.factor)

    @property
    def value(self) -> float | None:
        """Where a Delta puts the parameter; None for other families."""
        return self.factor * dict(self.settings)["v"] if self.family == "Delta" else None

    @property
    def free(self) -> bool:
        """Whether the parameter is one to infer."""
        return self.value is None

    def distribution(self) -> "Distribution":
        """The NumPyro distribution itself."""
        from numpyro import distributions

        try:
            if self.family == "LogStudentT":
                log_of = distributions.StudentT(**dict(self.settings))
                base = distributions.TransformedDistribution(log_of, distributions.transforms.ExpTransform())
            else:
                base = getattr(distributions, self.family)(**dict(self.settings))
            if (self.low, self.high, self.factor) == (-inf, inf, 1.0):
                return base
            from scalefit.laws._adjusted import Adjusted

            return Adjusted(base, self.low, self.high, self.factor)
        except (AttributeError, TypeError, ValueError) as problem:
            raise OptionError(f"{self} is not a distribution that NumPyro knows: {problem}") from problem

    @property
    def transform(self) -> "Transform":
        """From the whole real line to the support."""
        from numpyro.distributions.transforms import biject_to

        return biject_to(self.distribution().support)

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest value of the support, which may be infinite."""
        from scalefit.laws._adjusted import ends

        return ends(self.distribution().support)

    def quantile(self, q: Float[np.ndarray, " n"]) -> Float[Array, " n"]:
        """Quantiles at q; where NumPyro has none of this family, those of many draws."""
        distribution = self.distribution()
        try:
            return distribution.icdf(jnp.asarray(q))
        except (NotImplementedError, ImportError):
            return jnp.quantile(distribution.sample(jax.random.PRNGKey(0), (4096,)), q)

    def stored(self) -> dict[str, Any]:
        """For JSON, which `stored_prior` reads."""
        ends = {name: end for name, end in (("low", self.low), ("high", self.high)) if isfinite(end)}
        unit = {"unit": self.unit} if self.unit else {}
        return {"family": self.family, "settings": dict(self.settings), **ends, **unit, "factor": self.factor}

    def __str__(self) -> str:
        if self.family == "Delta":
            return f"{dict(self.settings)['v']:.4g}{self._end}"
        settings = [f"{key} {value:.4g}" for key, value in self.settings]
        ends = (("above", self.low), ("below", self.high))
        settings += [f"{side} {end:.4g}" for side, end in ends if isfinite(end)]
        return f"{self.family}({', '.join(settings)}){self._end}"

    @property
    def _end(self) -> str:
        return "".join([f" {self.unit}" if self.unit else "", f" times {self.factor:.4g}" if self.factor != 1 else ""])


@dataclass(frozen=True)
class SameAs:
    """In place of a prior: the parameter has the value of another one, as in `priors={"beta": "alpha"}`.

    Parameters
    ----------
    name
        The other parameter.
    """

    name: str
    free: ClassVar[bool] = False

    def stored(self) -> dict[str, Any]:
        """For JSON, which `stored_prior` reads."""
        return {"same_as": self.name}

    def __str__(self) -> str:
        return f"the same as {self.name}"


def stored_prior(stored: Mapping[str, Any]) -> Prior | SameAs:
    """The prior of which JSON keeps `stored`; raises any error on what it did not write."""
    if "same_as" in stored:
        return SameAs(str(stored["same_as"]))
    prior = Prior.of(stored["family"], **stored["settings"])
    low, high, factor = (float(stored.get(n, v)) for n, v in (("low", -inf), ("high", inf), ("factor", 1.0)))
    if stored.get("unit", "") not in ("", "nats") or not 0 < factor < inf:
        raise OptionError(f"the prior {prior} is in an unknown unit")
    prior = replace(prior, low=low, high=high, factor=factor, unit=stored.get("unit", ""))
    prior.check()
    return prior


def as_prior(value: Any) -> Prior | SameAs:
    """What a user means by a prior.

    Parameters
    ----------
    value
        A `Prior` or a scalar NumPyro distribution; a number, at which the parameter is fixed; or the name of another
        parameter, whose value it has.

    Raises
    ------
    OptionError
        It is none of these, or no number lies under it.
    """
    if isinstance(value, Prior | SameAs):
        return value
    if isinstance(value, str):
        return SameAs(value)
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        if not isfinite(value):
            raise OptionError(f"a parameter cannot be fixed at {value}. Give a finite number.")
        return Prior.of("Delta", v=float(value))
    return Prior.from_numpyro(value)


def called(family: str, given: Sequence[float], settings: Mapping[str, float]) -> Prior:
    """The prior that NumPyro's distribution of that name is, called so; raises `OptionError` where there is none."""
    from numpyro import distributions

    try:
        return as_prior(getattr(distributions, family)(*given, **settings))  # type: ignore[return-value]
    except (AttributeError, TypeError, ValueError) as problem:
        why = str(problem).rstrip(".")
        raise OptionError(f"{family} is no distribution of such settings: {why}. Write it as NumPyro does.") from None


def nats(value: Any) -> Prior:
    """A prior in the unit of the table's losses, such as nats per token, and not in multiples of their mean.

    Parameters
    ----------
    value
        A scalar NumPyro distribution or a `Prior`; or a number, at which the parameter is fixed.

    Returns
    -------
    Prior
        For a parameter that is a loss, such as E: `sf.Model(priors={"E": sf.nats(LogNormal(log(1.69), 0.02))})`.

    Raises
    ------
    OptionError
        It is no distribution and no number.
    """
    prior = as_prior(value)
    if isinstance(prior, SameAs):
        raise OptionError(f"{value!r} is no distribution in nats. Give a distribution or a number.")
    return replace(prior, unit="nats")


@dataclass(frozen=True)
class Param:
    """One parameter: its name, prior in unit-free coordinates (see `Law.rescale`), meaning and raw unit."""

    name: str
    prior: Prior | SameAs
    meaning: str
    unit: str = "1"
