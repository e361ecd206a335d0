"""The contract of point estimates: one optimum a table, found globally, refined locally for resamples."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from jax import Array

from scalefit.infer._engine import Arrays, CompiledEngine
from scalefit.model import Data, Model, Theta


@dataclass(frozen=True)
class PointEngine(CompiledEngine):
    """An engine whose fit holds one draw. Noise parameters are the posterior mode given the law's residuals."""

    kind: ClassVar = "point"

    @abstractmethod
    def search(self, model: Model, data: Data) -> Theta:
        """The global optimum of one table: parameters of law and noise, unit-free scalars. Pure JAX."""

    @abstractmethod
    def refine(self, model: Model, data: Data, start: Theta) -> Theta:
        """The optimum next to `start`, for a table that is a resample of the one `start` was found on. Pure JAX."""

    def solve(self, model: Model, data: Data, key: Array) -> tuple[Arrays, Arrays]:
        """One draw; the key plays no part."""
        return {name: jnp.reshape(value, (1, 1)) for name, value in self.search(model, data).items()}, {}


def sharpening(delta: float) -> Array:
    """Huber thresholds from smooth to `delta`, a decade a stage."""
    stages = [delta]
    while stages[0] < 3e-3:
        stages.insert(0, stages[0] * 10)
    return jnp.asarray(stages)
