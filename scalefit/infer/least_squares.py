"""Least squares on ln loss: the fit most people make, and the one that outliers own."""

from dataclasses import dataclass
from math import inf
from typing import ClassVar, final

from scalefit.infer._contracts import PointEngine
from scalefit.infer.huber import Huber
from scalefit.model.data import Data, Theta
from scalefit.model.model import Model
from scalefit.sampling.huber import Estimate

SQUARES = Huber(delta=inf)


@final
@dataclass(frozen=True)
class LeastSquares(PointEngine):
    """Minimum of the sum of squares of ln law - ln loss: Huber's loss with an infinite threshold."""

    name: ClassVar[str] = "least-squares"

    def search(self, model: Model, data: Data) -> Estimate:
        """The lowest minimum from projected starts."""
        return SQUARES.search(model, data)

    def refine(self, model: Model, data: Data, start: Theta) -> Estimate:
        """The minimum next to `start`."""
        return SQUARES.refine(model, data, start)
