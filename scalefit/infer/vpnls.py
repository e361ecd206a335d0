"""Variable projection with non-negative least squares (VPNLS; Czech 2026, arXiv 2603.22339).

For given exponents the loss is linear in the other parameters: those are solved for exactly, and the search is left
with the exponents alone.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from scalefit.errors import OptionError
from scalefit.infer._contracts import PointEngine
from scalefit.model.data import Data, Theta
from scalefit.model.model import Model
from scalefit.numerics.newton import autodiff_value_grad_hess, descend_each, lowest, ranked
from scalefit.sampling.huber import Estimate, with_noise
from scalefit.sampling.starts import CANDIDATES
from scalefit.sampling.varpro import basis, free_linear, nonnegative

FOLLOWED = 4  # of the candidates, to their minima
LEFT = 1e-6  # of the misfit at the best candidate, where a search has converged
LEAST = 1e-12  # a parameter at its bound of zero, kept positive so that its logarithm exists


@final
@dataclass(frozen=True)
class VPNLS(PointEngine):
    """Least squares on the loss itself, linear parameters at least zero, for laws that have some."""

    name: ClassVar[str] = "vpnls"

    def search(self, model: Model, data: Data) -> Estimate:
        """The lowest of the minima from the best of exponents all over the prior."""
        return _lowest(model, data, model.space.unconstrain(model.law_space.spread(CANDIDATES)), FOLLOWED)

    def refine(self, model: Model, data: Data, start: Theta) -> Estimate:
        """The minimum next to the exponents of `start`."""
        return _lowest(model, data, {name: value[None] for name, value in model.space.unconstrain(start).items()}, 1)


def _lowest(model: Model, data: Data, candidates: Theta, followed: int) -> Estimate:
    """The lowest of the minima below the best few unconstrained `candidates`, name -> (start,), with its noise."""
    if not free_linear(model):
        raise OptionError(f"the {model.law.name} law is linear in no parameter. Use huber or least-squares.")
    curved = [name for name in model.law_space.names if name not in model.law.linear]
    if not curved:
        return with_noise(model, data, _solve(model, data, {}), jnp.asarray(True))
    starts = jnp.stack([candidates[name] for name in curved], axis=-1)
    solve = lambda flat: _solve(model, data, dict(zip(curved, flat, strict=True)))
    misfits = jax.vmap(lambda flat: _misfit(model, data, solve(flat)))(starts)
    best = ranked(misfits)[:followed]
    scale = misfits[best[0]]  # so that the stopping rule does not depend on the noise
    relative = autodiff_value_grad_hess(lambda flat: _misfit(model, data, solve(flat)) / scale)
    ends = descend_each(relative, starts[best], left=LEFT)
    row = lowest(ends.value)
    return with_noise(model, data, solve(ends.x[row]), jnp.asarray(ends.converged)[row])


def _solve(model: Model, data: Data, z: Theta) -> Theta:
    """All parameters of the law from the unconstrained exponents."""
    theta = model.space.constrain(z)
    phi, rest = basis(model, theta, data.x)
    linear = nonnegative(phi, jnp.exp(data.log_loss) - rest, data.weight)
    found = dict(zip(free_linear(model), jnp.maximum(linear, LEAST), strict=True))
    return model.law_space.inside({**theta, **found}, margin=LEAST)


def _misfit(model: Model, data: Data, theta: Theta) -> Float[Array, ""]:
    """Weighted sum of squares of the loss."""
    fitted = jax.vmap(model.law.loss, (None, 0))(theta, dict(data.x))
    return (data.weight * (fitted - jnp.exp(data.log_loss)) ** 2).sum()
