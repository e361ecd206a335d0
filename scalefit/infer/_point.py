"""The contract of point estimates: one optimum a table, found globally, refined locally for resamples."""

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from scalefit.infer._engine import Engine, EngineResult, Report
from scalefit.model import BoundModel, Data, Model, Theta


@dataclass(frozen=True)
class PointEngine(Engine):
    """An engine whose fit holds one draw. Noise parameters are the posterior mode given the law's residuals."""

    kind: ClassVar = "point"

    @abstractmethod
    def search(self, model: Model, data: Data) -> Theta:
        """The global optimum of one table: parameters of law and noise, unit-free scalars. Pure JAX."""

    @abstractmethod
    def refine(self, model: Model, data: Data, start: Theta) -> Theta:
        """The optimum next to `start`, for a table that is a resample of the one `start` was found on. Pure JAX."""

    def run(self, bound: BoundModel, seed: int, report: Report) -> EngineResult:
        """Search once; the seed plays no part."""
        theta = search(self, bound.model, bound.data)
        return EngineResult({name: np.asarray(value)[None, None] for name, value in theta.items()})


@partial(jax.jit, static_argnames=("engine", "model"))
def search(engine: PointEngine, model: Model, data: Data) -> Theta:
    """`engine.search`, compiled once a model and shape."""
    return engine.search(model, data)


def sharpening(delta: float) -> jnp.ndarray:
    """Huber thresholds from smooth to `delta`, a decade a stage."""
    stages = [delta]
    while stages[0] < 3e-3:
        stages.insert(0, stages[0] * 10)
    return jnp.asarray(stages)
