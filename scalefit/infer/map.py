"""The posterior mode, in the unconstrained coordinates that samplers use."""

from dataclasses import dataclass
from typing import ClassVar, final

import jax
from jax.flatten_util import ravel_pytree

from scalefit.infer._mode import flat_potential, laplace, unflatten
from scalefit.infer._newton import descend
from scalefit.infer._point import PointEngine
from scalefit.model import Data, Model, Theta


@final
@dataclass(frozen=True)
class MAP(PointEngine):
    """Maximum a posteriori of law and noise together, where positive parameters are logarithms."""

    name: ClassVar[str] = "map"

    def search(self, model: Model, data: Data) -> Theta:
        """The lowest of the modes found from prior draws."""
        return model.constrain(unflatten(model, laplace(model, data, jax.random.PRNGKey(0)).mode))

    def refine(self, model: Model, data: Data, start: Theta) -> Theta:
        """The mode next to `start`."""
        flat, _ = ravel_pytree(model.unconstrain(start))
        return model.constrain(unflatten(model, descend(lambda z: flat_potential(model, data, z), flat)))
