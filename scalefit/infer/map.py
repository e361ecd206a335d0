"""The posterior mode, in the unconstrained coordinates that samplers use."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

from scalefit.infer._contracts import PointEngine
from scalefit.model.data import Data, Theta
from scalefit.model.model import Model
from scalefit.numerics.newton import descend
from scalefit.sampling.alr import constrain_alr, unconstrain_alr
from scalefit.sampling.modes import derivatives, laplace


@final
@dataclass(frozen=True)
class MAP(PointEngine):
    """Maximum a posteriori of law and noise together, where positive parameters are logarithms."""

    name: ClassVar[str] = "map"

    def search(self, model: Model, data: Data) -> Theta:
        """The lowest of the modes found from prior draws."""
        return constrain_alr(model, laplace(model, data).mode)

    def refine(self, model: Model, data: Data, start: Theta) -> Theta:
        """The mode next to `start`."""
        alr = unconstrain_alr(model, start)
        return constrain_alr(model, descend(partial(derivatives, model, data), alr).x)
