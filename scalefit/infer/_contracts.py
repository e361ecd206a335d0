"""The contracts of engines: ways to turn a bound model into draws."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, TypeVar, final

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, Shaped
from numpy.typing import ArrayLike

from scalefit._aot import cached_jit, on_host
from scalefit._precision import in_background
from scalefit._random import prng_key
from scalefit._registry import lookup
from scalefit.diagnostics.checks import Check
from scalefit.errors import ScalefitError
from scalefit.fits.fit import Kind
from scalefit.infer.batch import solve_many
from scalefit.model.data import Data, Theta
from scalefit.model.model import BoundModel, Model
from scalefit.numerics.laplace import Laplace, all_converged
from scalefit.sampling.huber import Estimate
from scalefit.sampling.modes import POLISHED, modes

T = TypeVar("T")
Draws = dict[str, Shaped[Array, "chain draw"]]
"""By name."""
Report = Callable[[int, int], None]
"""Called with (steps done, steps in all) as an engine works."""


@dataclass(frozen=True)
class EngineResult:
    """What an engine returns.

    Parameters
    ----------
    draws
        Parameters of law and noise in unit-free coordinates, by name, each (chain, draw).
    stats
        The sampler's own numbers, alike.
    checks
        What the engine itself has to report.
    """

    draws: Mapping[str, ArrayLike]
    stats: Mapping[str, ArrayLike] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()


class Engine(ABC):
    """A way to turn a bound model into draws: a frozen dataclass of options."""

    name: ClassVar[str]
    kind: ClassVar[Kind]
    registry: ClassVar[dict[str, type["Engine"]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" in vars(cls):  # an intermediate contract has none
            Engine.registry[cls.name] = cls

    @abstractmethod
    def run(self, bound: BoundModel, seed: int, report: Report) -> EngineResult:
        """Draws for one table; called inside the precision in force.

        Parameters
        ----------
        bound
            Model and table.
        seed
            The same seed gives the same draws.
        report
            To be called with the steps done and the steps in all.
        """

    @abstractmethod
    def run_many(self, bounds: Sequence[BoundModel], seeds: Sequence[int]) -> list[EngineResult | str]:
        """A result for each table, or why there is none; a table that fails leaves the others alone."""


def find_engine(name: str) -> Engine:
    """The engine of that name with its default options; raises `OptionError` that lists the names there are."""
    return lookup(name, dict(sorted(Engine.registry.items())), "engine")()


def run_each(engine: Engine, bounds: Sequence[BoundModel], seeds: Sequence[int]) -> list[EngineResult | str]:
    """`Engine.run_many` of an engine without a program for many tables: one after another."""

    def one(bound: BoundModel, seed: int) -> EngineResult | str:
        return finite_or_reason(engine, engine.run(bound, seed, lambda done, total: None))

    return [attempt(partial(one, bound, seed)) for bound, seed in zip(bounds, seeds, strict=True)]


def attempt(make: Callable[[], T]) -> T | str:
    """What `make` makes, or the sentence of its refusal."""
    try:
        return make()
    except ScalefitError as refusal:
        return str(refusal)


def finite_or_reason(engine: Engine, result: EngineResult) -> EngineResult | str:
    """The result, or a sentence where its draws are not finite."""
    return result if all(np.isfinite(values).all() for values in result.draws.values()) else not_finite(engine)


def not_finite(engine: Engine) -> str:
    """Why a table has no result."""
    return f"{engine} reached draws that are not finite; check the table for a run far from all others."


class CompiledEngine(Engine):
    """An engine that is one pure function of a table, so that any number of tables share one compiled program."""

    @abstractmethod
    def solve(self, model: Model, data: Data, key: PRNGKeyArray) -> tuple[Draws, Draws]:
        """Draws in unit-free coordinates, and statistics. Pure JAX."""

    @final
    def run_many(self, bounds: Sequence[BoundModel], seeds: Sequence[int]) -> list[EngineResult | str]:
        """Tables of one padded length in one program; those with priors in nats, or coarse losses, in others."""
        results: list[EngineResult | str] = [""] * len(bounds)
        programs: dict[tuple[Any, Model], list[int]] = {}
        for i, bound in enumerate(bounds):
            layout = bound.rows, bound.lines, bound.runs.weight is None, bound.runs.sd is None
            programs.setdefault((layout, bound.model), []).append(i)
        for same in programs.values():
            draws, stats = solve_many(self, [bounds[i] for i in same], [seeds[i] for i in same])
            finite = np.all([np.isfinite(v).reshape(len(same), -1).all(axis=1) for v in draws.values()], axis=0)
            for row, i in enumerate(same):  # in plain Python: of a million tables each call counts
                one = [{name: values[row] for name, values in part.items()} for part in (draws, stats)]
                results[i] = EngineResult(one[0], one[1]) if finite[row] else not_finite(self)
        return results


@cached_jit("engine", "model")
def solve(engine: CompiledEngine, model: Model, data: Data, key: PRNGKeyArray) -> tuple[Draws, Draws]:
    """`engine.solve`, compiled once a model and shape."""
    return engine.solve(model, data, key)


class PointEngine(CompiledEngine):
    """An engine of one draw. Noise parameters are the posterior mode given the law's residuals."""

    kind: ClassVar = "point"

    @abstractmethod
    def search(self, model: Model, data: Data) -> Estimate:
        """The global optimum of one table: parameters of law and noise, unit-free scalars. Pure JAX."""

    @abstractmethod
    def refine(self, model: Model, data: Data, start: Theta) -> Estimate:
        """The optimum next to `start`, for a table that is a resample of the one `start` was found on. Pure JAX."""

    @final
    def solve(self, model: Model, data: Data, key: PRNGKeyArray) -> tuple[Draws, Draws]:
        """One draw; the key plays no part."""
        theta, converged = self.search(model, data)
        one_draw = partial(jnp.reshape, shape=(1, 1))
        return {name: one_draw(value) for name, value in theta.items()}, {"converged": one_draw(converged)}

    @final
    def run(self, bound: BoundModel, seed: int, report: Report) -> EngineResult:
        """Solve one table."""
        return EngineResult(*solve(self, bound.model, bound.data, prng_key(seed)))


class ModeEngine(CompiledEngine):
    """An engine that draws from what the modes tell it. Their search is a program that all such engines share."""

    @abstractmethod
    def draw(self, model: Model, data: Data, found: Laplace, key: PRNGKeyArray) -> tuple[Draws, Draws]:
        """Draws in unit-free coordinates, and statistics, from the modes. Pure JAX."""

    @final
    def solve(self, model: Model, data: Data, key: PRNGKeyArray) -> tuple[Draws, Draws]:
        """Modes, then draws."""
        return draw_from_modes(self, model, data, modes(model, data), key)

    @final
    def run(self, bound: BoundModel, seed: int, report: Report) -> EngineResult:
        """The same in two programs, the second compiled while the first is."""
        model, data, key = bound.model, bound.data, prng_key(seed)
        shapes = Laplace.shapes(len(model.free), POLISHED)
        with in_background(lambda: draw_from_modes.prepare(self, model, data, shapes, key)):
            found = on_host(modes(model, data))
        return EngineResult(*draw_from_modes(self, model, data, found, key))


@cached_jit("engine", "model")
def draw_from_modes(
    engine: ModeEngine, model: Model, data: Data, found: Laplace, key: PRNGKeyArray
) -> tuple[Draws, Draws]:
    """`engine.draw`, compiled once a model and shape, and whether the searches for the modes converged."""
    draws, stats = engine.draw(model, data, found, key)
    shape = next(iter(draws.values())).shape
    return draws, stats | {"converged": jnp.broadcast_to(all_converged(found), shape)}
