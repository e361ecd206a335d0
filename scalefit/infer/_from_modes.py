"""The contract of engines that begin at the modes of a posterior."""

from abc import abstractmethod
from dataclasses import dataclass

from jax import Array

from scalefit._numerics import key_of, meanwhile
from scalefit._programs import on_host, program
from scalefit.infer._engine import Arrays, CompiledEngine, EngineResult, Report
from scalefit.infer._mode import POLISHED, Laplace, modes
from scalefit.model import BoundModel, Data, Model


@dataclass(frozen=True)
class ModeEngine(CompiledEngine):
    """An engine that draws from what the modes tell it. Their search is a program that all such engines share."""

    @abstractmethod
    def draw(self, model: Model, data: Data, found: Laplace, key: Array) -> tuple[Arrays, Arrays]:
        """Draws in unit-free coordinates and statistics, each name -> (chain, draw), from the modes. Pure JAX."""

    def solve(self, model: Model, data: Data, key: Array) -> tuple[Arrays, Arrays]:
        """Modes, then draws."""
        return self.draw(model, data, modes(model, data), key)

    def run(self, bound: BoundModel, seed: int, report: Report) -> EngineResult:
        """The same in two programs, the second compiled while the first is."""
        model, data, key = bound.model, bound.data, key_of(seed)
        with meanwhile(lambda: _draw.prepare(self, model, data, Laplace.shapes(model, POLISHED), key)):
            found = on_host(modes(model, data))
        return EngineResult(*_draw(self, model, data, found, key))


@program("engine", "model")
def _draw(engine: ModeEngine, model: Model, data: Data, found: Laplace, key: Array) -> tuple[Arrays, Arrays]:
    return engine.draw(model, data, found, key)
