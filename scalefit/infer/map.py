"""The posterior mode, in the unconstrained coordinates that samplers use."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import jax.numpy as jnp

from scalefit.infer._contracts import PointEngine
from scalefit.model.data import Data, Theta
from scalefit.model.model import Model
from scalefit.numerics.newton import descend
from scalefit.sampling.alr import constrain_alr, unconstrain_alr
from scalefit.sampling.huber import Estimate
from scalefit.sampling.modes import derivatives, laplace


@final
@dataclass(frozen=True)
class MAP(PointEngine):
    """Maximum a posteriori of law and noise together, where positive parameters are logarithms."""

    name: ClassVar[str] = "map"

    def search(self, model: Model, data: Data) -> Estimate:
        """The lowest of the modes found from prior draws."""
        found = laplace(model, data)
        return Estimate(constrain_alr(model, found.mode), found.converged)

    def refine(self, model: Model, data: Data, start: Theta) -> Estimate:
        """The mode next to `start`."""
        found = descend(partial(derivatives, model, data), unconstrain_alr(model, start))
        return Estimate(constrain_alr(model, found.x), jnp.asarray(found.converged))
