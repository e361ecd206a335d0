"""Scalar NumPyro distributions cut to an interval and multiplied by a factor; NumPyro cuts a few families alone."""

from functools import cache
from math import inf, isinf
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpyro.distributions import Distribution, Gamma, constraints
from numpyro.distributions.transforms import biject_to

HALVINGS, WIDEST = 60, 40.0  # of the unconstrained line, on which quantiles are sought where NumPyro has none


class Adjusted(Distribution):
    """A distribution between `low` and `high`, then multiplied by `factor`.

    Parameters
    ----------
    base
        Scalar and continuous.
    low, high
        Of `base`'s values, before the factor; infinite where it is not cut.
    factor
        Positive.

    Raises
    ------
    ValueError
        Nothing of the distribution lies between them, or it is cut and has no distribution function.
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012, as NumPyro declares it

    def __init__(self, base: Distribution, low: float, high: float, factor: float) -> None:
        least, most = ends(base.support)
        self.base, self.factor = base, factor
        self.low, self.high = max(low, least), min(high, most)
        self.cut = low > least or high < most
        self.below, self.above = _cdf_at(base, self.low, self.high) if self.cut else (0.0, 1.0)
        if not (self.low < self.high and self.below < self.above):
            raise ValueError(f"nothing of it lies between {low:g} and {high:g}")
        self._inside = _between(self.low, self.high)
        super().__init__()

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        """Where the density is positive."""
        return _between(self.low * self.factor, self.high * self.factor)

    def log_prob(self, value: Any, intermediates: Any = None) -> Float[Array, "*draw"]:
        """ln density; on the support alone."""
        mass = jnp.log(self.factor) + jnp.log(self.above - self.below)
        return self.base.log_prob(jnp.asarray(value) / self.factor) - mass

    def icdf(self, q: Any) -> Float[Array, "*draw"]:
        """Quantiles."""
        share = self.below + (self.above - self.below) * jnp.asarray(q)
        try:
            found = self.base.icdf(share)
        except (NotImplementedError, ImportError):
            found = self._sought(share)
        return self.factor * jnp.clip(found, self.low, self.high)

    def _sought(self, share: Float[Array, "*draw"]) -> Float[Array, "*draw"]:
        to_inside = biject_to(self._inside)

        def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
            middle = (ends[0] + ends[1]) / 2
            below = self.base.cdf(to_inside(middle)) < share
            return jnp.where(below, middle, ends[0]), jnp.where(below, ends[1], middle)

        wide = jnp.full_like(share, WIDEST)
        return to_inside(jax.lax.fori_loop(0, HALVINGS, halve, (-wide, wide))[0])

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Float[Array, "*draw"]:
        """Draws by their quantiles; those of a distribution that is whole by its own sampler."""
        if not self.cut:
            return self.factor * self.base.sample(key, sample_shape)
        tiny = jnp.finfo(jnp.result_type(float)).tiny
        return self.icdf(jax.random.uniform(key, sample_shape, minval=tiny))


def ends(support: Any) -> tuple[float, float]:
    """The least and the greatest value of a support of numbers, which may be infinite."""
    low, high = (getattr(support, f"{side}_bound", None) for side in ("lower", "upper"))
    return -inf if low is None else float(low), inf if high is None else float(high)


def _between(low: float, high: float) -> Any:
    if isinf(low):
        return constraints.real if isinf(high) else constraints.less_than(high)
    return constraints.greater_than(low) if isinf(high) else constraints.interval(low, high)


def _cdf_at(base: Distribution, low: float, high: float) -> tuple[float, float]:
    settings = tuple((name, float(getattr(base, name))) for name in base.arg_constraints)
    family: Any = type(base)
    return _known_cdf(family, settings, low, high)


@cache
def _known_cdf(family: Any, settings: Any, low: float, high: float) -> tuple[float, float]:
    from scipy.special import gammainc

    given = dict(settings)
    with jax.ensure_compile_time_eval():
        cdf = family(**given).cdf
        if family is Gamma:  # the prior of every noise with tails: JAX takes a second to compile the same
            cdf = lambda value: gammainc(given["concentration"], given["rate"] * value)
        try:
            return 0.0 if isinf(low) else float(cdf(low)), 1.0 if isinf(high) else float(cdf(high))
        except NotImplementedError:
            raise ValueError("it has no distribution function, and so cannot be cut") from None
