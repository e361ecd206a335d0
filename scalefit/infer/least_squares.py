"""Least squares on ln loss: the fit most people make, and the one that outliers own."""

from dataclasses import dataclass
from typing import ClassVar, final

import jax.numpy as jnp

from scalefit.infer._point import PointEngine
from scalefit.infer._robust import (
    constrain_law,
    flatten_law,
    minimise_huber,
    projected_starts,
    search_huber,
    with_noise,
)
from scalefit.model import Data, Model, Theta


@final
@dataclass(frozen=True)
class LeastSquares(PointEngine):
    """Minimum of the sum of squares of ln law - ln loss: Huber's loss with an infinite threshold."""

    name: ClassVar[str] = "least-squares"

    def search(self, model: Model, data: Data) -> Theta:
        """The lowest minimum from projected starts."""
        flat = search_huber(model, data, projected_starts(model, data), jnp.asarray([jnp.inf]))
        return with_noise(model, data, constrain_law(model, flat))

    def refine(self, model: Model, data: Data, start: Theta) -> Theta:
        """The minimum next to `start`."""
        flat = minimise_huber(model, data, flatten_law(model, start), jnp.asarray([jnp.inf]))
        return with_noise(model, data, constrain_law(model, flat))
