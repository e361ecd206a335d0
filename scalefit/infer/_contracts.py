"""The contract of an engine, and `fit`, which runs one on a model and a table."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from scalefit._aot import cached_jit, on_host, versions
from scalefit._precision import meanwhile, precision
from scalefit._random import prng_key
from scalefit._registry import lookup
from scalefit.diagnostics.checks import Check, Health
from scalefit.diagnostics.health import assess
from scalefit.errors import FitError, OptionError, ScalefitError
from scalefit.fits.fit import Fit, Kind
from scalefit.infer._batch import solve_many
from scalefit.infer._progress import progress_report
from scalefit.io.read import read_runs
from scalefit.model.data import Data, Theta
from scalefit.model.model import BoundModel, Model
from scalefit.numerics.laplace import Laplace
from scalefit.sampling.modes import POLISHED, modes

T = TypeVar("T")
Arrays = dict[str, Array]
Report = Callable[[int, int], None]
"""Called with (steps done, steps in all) as an engine works."""


@dataclass(frozen=True)
class EngineResult:
    """Draws in unit-free coordinates and the sampler's own numbers, each name -> (chain, draw); further checks."""

    draws: Mapping[str, ArrayLike]
    stats: Mapping[str, ArrayLike] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()


class Engine(ABC):
    """A way to turn a bound model into draws: a frozen dataclass of options with one method."""

    name: ClassVar[str]
    kind: ClassVar[Kind]
    registry: ClassVar[dict[str, type["Engine"]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" in vars(cls):  # an intermediate contract has none
            Engine.registry[cls.name] = cls

    @abstractmethod
    def run(self, bound: BoundModel, seed: int, report: Report) -> EngineResult:
        """Draws for this model and table; called inside the precision in force."""

    def run_many(self, bounds: Sequence[BoundModel], seeds: Sequence[int]) -> list["EngineResult | str"]:
        """A result for each table, or why there is none; a table that fails leaves the others alone."""
        run = lambda bound, seed: _checked(self, self.run(bound, seed, lambda done, total: None))
        return [attempt(partial(run, bound, seed)) for bound, seed in zip(bounds, seeds, strict=True)]


class CompiledEngine(Engine):
    """An engine that is one pure function of a table, so that any number of tables share one compiled program."""

    @abstractmethod
    def solve(self, model: Model, data: Data, key: Array) -> tuple[Arrays, Arrays]:
        """Draws in unit-free coordinates and statistics, each name -> (chain, draw). Pure JAX."""

    def run(self, bound: BoundModel, seed: int, report: Report) -> EngineResult:
        """Solve one table."""
        return EngineResult(*solve(self, bound.model, bound.data, prng_key(seed)))

    def run_many(self, bounds: Sequence[BoundModel], seeds: Sequence[int]) -> list[EngineResult | str]:
        """Tables of one padded length in one program."""
        results: dict[int, EngineResult | str] = {}
        for rows in sorted({bound.rows for bound in bounds}):
            same = [i for i, bound in enumerate(bounds) if bound.rows == rows]
            found = solve_many(self, [bounds[i] for i in same], [seeds[i] for i in same])
            one = lambda row: EngineResult(*jax.tree.map(lambda leaf: leaf[row], found))  # noqa: B023
            results |= {i: _checked(self, one(row)) for row, i in enumerate(same)}
        return [results[i] for i in range(len(bounds))]


@cached_jit("engine", "model")
def solve(engine: CompiledEngine, model: Model, data: Data, key: Array) -> tuple[Arrays, Arrays]:
    """`engine.solve`, compiled once a model and shape."""
    return engine.solve(model, data, key)


def attempt(make: Callable[[], T]) -> T | str:
    """What `make` makes, or the sentence of its refusal."""
    try:
        return make()
    except ScalefitError as refusal:
        return str(refusal)


def _checked(engine: Engine, result: EngineResult) -> EngineResult | str:
    """The result, or a sentence where its draws are not finite."""
    if all(np.isfinite(values).all() for values in result.draws.values()):
        return result
    return f"{engine} reached draws that are not finite; check the table for a run far from all others."


def checked_engine(engine: Engine | str | None, seed: int) -> Engine:
    """The engine asked for, `Auto()` by default; raises `FitError` on an unknown name or a seed out of range."""
    if not 0 <= seed < 2**63:
        raise OptionError(f"seed must be a whole number from 0 to 2^63 - 1, not {seed}.")
    return engine if isinstance(engine, Engine) else find_engine(engine or "auto")


def find_engine(name: str) -> Engine:
    """The engine of that name with its default options; raises `FitError` that lists the names there are."""
    return lookup(name, dict(sorted(Engine.registry.items())), "engine")()


def fit(
    runs: Any,
    model: Model | None = None,
    *,
    engine: Engine | str | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> Fit:
    """Fit a scaling law to training runs.

    runs : `Runs`, or anything `read_runs` takes. model : the Chinchilla law with Student-t noise by default.
    engine : `Auto()` by default; or a name. seed : the same seed gives the same draws on one platform.
    progress : show a bar on standard error; by default where that is a terminal.

    Raises `DataError` where the table cannot carry the model. Read `health` of the result before its numbers.
    """
    engine = checked_engine(engine, seed)
    bound = (model or Model()).bind(read_runs(runs))
    with precision(), progress_report(engine.name, progress) as report:
        result = engine.run(bound, seed, report)
    return fit_of(bound, engine, seed, result)


def fit_of(bound: BoundModel, engine: Engine, seed: int, result: EngineResult) -> Fit:
    """The `Fit` of an engine's result, with its health; raises `FitError` where draws are not finite."""
    model, checked = bound.model, _checked(engine, result)
    if isinstance(checked, str):
        raise FitError(checked)
    # Numbers leave JAX here: float64 on the host, raw units.
    raw = bound.to_raw({p.name: np.asarray(result.draws[p.name], dtype=float) for p in model.params()})
    stats = {name: np.asarray(values) for name, values in result.stats.items()}
    unchecked = Fit(raw, engine.kind, model, bound.runs, stats, str(engine), seed, versions(), Health(()))
    found = assess(bound, raw, unchecked.law_only_quantities(), stats, engine.kind)
    return replace(unchecked, health=Health((*result.checks, *found.checks)))


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
        model, data, key = bound.model, bound.data, prng_key(seed)
        with meanwhile(lambda: _draw.prepare(self, model, data, Laplace.shapes(model, POLISHED), key)):
            found = on_host(modes(model, data))
        return EngineResult(*_draw(self, model, data, found, key))


@cached_jit("engine", "model")
def _draw(engine: ModeEngine, model: Model, data: Data, found: Laplace, key: Array) -> tuple[Arrays, Arrays]:
    return engine.draw(model, data, found, key)
