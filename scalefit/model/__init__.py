"""A model: law, noise, discrepancy and priors; and the table that it is bound to."""

from scalefit.model.data import Data, Theta, over_draws, over_tiles, thinned
from scalefit.model.model import BoundModel, Model

__all__ = ["BoundModel", "Data", "Model", "Theta", "over_draws", "over_tiles", "thinned"]
