"""The space that parameters with priors span."""

from dataclasses import dataclass
from functools import cached_property
from math import isinf
from typing import Any, Self, final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from scalefit._random import quasirandom
from scalefit.laws._priors import Param, Prior, SameAs, Values


@final
@dataclass(frozen=True)
class ParamSpace:
    """What parameters with priors span, seen in two ways: each on its prior's support, or on the whole real line.

    Parameters by name are `theta` on their supports and `z` unconstrained. Flat vectors hold `z` in the order of
    `params`. Parameters that are fixed, or the same as others, are in `theta` alone.
    """

    params: tuple[Param, ...]

    @cached_property
    def priors(self) -> dict[str, Prior]:
        """Of the parameters that are free, by name."""
        return {p.name: p.prior for p in self.params if isinstance(p.prior, Prior) and p.prior.free}

    @property
    def names(self) -> tuple[str, ...]:
        """Of the parameters that are free, in their order."""
        return tuple(self.priors)

    @property
    def alphabetical(self) -> Self:
        """The same parameters in the order in which JAX lays out a dict."""
        return type(self)(tuple(sorted(self.params, key=lambda p: p.name)))

    def constrain(self, z: Values) -> dict[str, Any]:
        """From the whole real line to each prior's support, for the parameters given; with those that are not free."""
        return self.completed({name: prior.transform(z[name]) for name, prior in self.priors.items() if name in z})

    def unconstrain(self, theta: Values) -> dict[str, Any]:
        """The inverse of `constrain`."""
        return {name: prior.transform.inv(theta[name]) for name, prior in self.priors.items() if name in theta}

    def completed(self, theta: Values) -> dict[str, Any]:
        """With the parameters that are fixed, or the same as one that is there, each as many as the others."""
        found, like = dict(theta), next(iter(theta.values()), 0.0)
        values = {p.name: p.prior.value for p in self.params if isinstance(p.prior, Prior)}
        found |= {k: jnp.full_like(like, value, dtype=float) for k, value in values.items() if value is not None}
        tied = {p.name: p.prior.name for p in self.params if isinstance(p.prior, SameAs)}
        return found | {name: found[other] for name, other in tied.items() if other in found}

    def inside(self, theta: Values, margin: float = 0.01) -> dict[str, Any]:
        """With those that lie outside a support, or nearer than a `margin` to its end, moved into it.

        margin : as a share of the support's width, or of its one end.
        """
        ends = {name: _inner(*prior.ends, margin) for name, prior in self.priors.items()}
        moved = {name: jnp.clip(theta[name], *ends[name]) for name in ends if name in theta}
        return self.completed({**theta, **moved})

    def flatten(self, z: Values) -> Float[Array, "*draw dim"]:
        """Unconstrained parameters by name, each of shape (*draw), as flat vectors."""
        return jnp.stack([z[name] for name in self.names], axis=-1)

    def unflatten(self, flat: Float[Array, "*draw dim"]) -> dict[str, Float[Array, "*draw"]]:
        """The inverse of `flatten`."""
        return dict(zip(self.names, jnp.moveaxis(flat, -1, 0), strict=True))

    def log_prior(self, theta: Values) -> dict[str, Float[Array, "*draw"]]:
        """Log prior density of every free parameter on its support, elementwise."""
        return {name: prior.distribution().log_prob(theta[name]) for name, prior in self.priors.items()}

    def log_density(self, z: Values) -> Float[Array, "*draw"]:
        """Log prior density of unconstrained parameters together, elementwise: with the Jacobian of `constrain`."""
        theta = self.constrain(z)
        log_volume = sum(p.transform.log_abs_det_jacobian(z[name], theta[name]) for name, p in self.priors.items())
        return sum(self.log_prior(theta).values()) + log_volume

    def sample(self, key: PRNGKeyArray, draws: int) -> dict[str, Float[Array, " draw"]]:
        """Draws from the prior, on the supports."""
        keys = jax.random.split(key, len(self.params))
        drawn = {p.name: self.priors[p.name].distribution().sample(k, (draws,))
                 for p, k in zip(self.params, keys, strict=True) if p.name in self.priors}  # fmt: skip
        return self.completed(drawn)

    def spread(self, count: int) -> dict[str, Float[Array, " count"]]:
        """Parameters spread evenly over their priors, on the supports: where searches may start."""
        points = quasirandom(count, len(self.priors))
        spread = zip(self.priors.items(), points.T, strict=True)
        return self.completed({name: prior.quantile(q) for (name, prior), q in spread})


def _inner(low: float, high: float, margin: float) -> tuple[float, float]:
    """Ends of a support, those that are finite moved inwards."""
    if isinf(high - low):
        return low if isinf(low) else low + margin * abs(low), high if isinf(high) else high - margin * abs(high)
    return low + margin * (high - low), high - margin * (high - low)
