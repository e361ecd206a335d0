"""The posterior mode, in the unconstrained coordinates that samplers use."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

from scalefit.infer._mode import constrain_flat, derivatives, flatten, laplace
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
        return constrain_flat(model, laplace(model, data).mode)

    def refine(self, model: Model, data: Data, start: Theta) -> Theta:
        """The mode next to `start`."""
        flat = flatten(model, model.unconstrain(start))
        return constrain_flat(model, descend(partial(derivatives, model, data), flat).place)
