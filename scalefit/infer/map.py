"""The posterior mode, in the unconstrained coordinates that samplers use."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

from scalefit.infer._coordinates import constrain_straight, unconstrain_straight
from scalefit.infer._mode import derivatives, laplace
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
        return constrain_straight(model, laplace(model, data).mode)

    def refine(self, model: Model, data: Data, start: Theta) -> Theta:
        """The mode next to `start`."""
        straight = unconstrain_straight(model, start)
        return constrain_straight(model, descend(partial(derivatives, model, data), straight).place)
