"""Variable projection with non-negative least squares (VPNLS; Czech 2026, arXiv 2603.22339).

For given exponents the loss is linear in the other parameters: those are solved for exactly, and the search is left
with the exponents alone.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from scalefit.errors import FitError
from scalefit.infer._newton import autodiff, descend, lowest
from scalefit.infer._point import PointEngine
from scalefit.infer._robust import CANDIDATES, basis, nonnegative, with_noise
from scalefit.model import Data, Model, Theta

LEAST = 1e-12  # a parameter at its bound of zero, kept positive so that its logarithm exists


@final
@dataclass(frozen=True)
class VPNLS(PointEngine):
    """Least squares on the loss itself, linear parameters at least zero. Raises `FitError` for a law without any."""

    name: ClassVar[str] = "vpnls"

    def search(self, model: Model, data: Data) -> Theta:
        """The lowest of the minima from the best of exponents all over the prior."""
        draws = model.spread_prior(CANDIDATES)
        curved = {name: values for name, values in model.unconstrain(draws).items() if name in _curved(model)}
        heights = jax.vmap(lambda z: _misfit(model, data, z))(curved)
        best = jnp.argsort(heights)[:4]
        ends = jax.lax.map(lambda z: _descend(model, data, z), {name: v[best] for name, v in curved.items()})
        chosen = lowest(jax.vmap(lambda z: _misfit(model, data, z))(ends))
        theta = _solve(model, data, {name: values[chosen] for name, values in ends.items()})
        return with_noise(model, data, theta)

    def refine(self, model: Model, data: Data, start: Theta) -> Theta:
        """The minimum next to the exponents of `start`."""
        z = {name: value for name, value in model.unconstrain(start).items() if name in _curved(model)}
        theta = _solve(model, data, _descend(model, data, z))
        return with_noise(model, data, theta)


def _curved(model: Model) -> list[str]:
    if not model.law.linear:
        raise FitError(f"the {model.law.name} law is linear in no parameter; use huber or least-squares.")
    return [p.name for p in model.law.params() if p.name not in model.law.linear]


def _solve(model: Model, data: Data, z: Theta) -> Theta:
    """All parameters of the law from the unconstrained exponents."""
    theta = model.constrain(z)
    phi, rest = basis(model, theta, data.x)
    linear = nonnegative(phi, jnp.exp(data.log_loss) - rest, data.weight)
    return {**theta, **dict(zip(model.law.linear, jnp.maximum(linear, LEAST), strict=True))}


def _misfit(model: Model, data: Data, z: Theta) -> Array:
    """Weighted sum of squares of the loss after projection."""
    fitted = jax.vmap(model.law.loss, (None, 0))(_solve(model, data, z), dict(data.x))
    return (data.weight * (fitted - jnp.exp(data.log_loss)) ** 2).sum()


def _descend(model: Model, data: Data, z: Theta) -> Theta:
    flat, unravel = ravel_pytree(z)
    scale = _misfit(model, data, z)  # so that the stopping rule does not depend on the noise
    return unravel(descend(autodiff(lambda v: _misfit(model, data, unravel(v)) / scale), flat).place)
