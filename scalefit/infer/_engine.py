"""The contract of an engine, and `fit`, which runs one on a model and a table."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from scalefit._numerics import precision
from scalefit.errors import FitError
from scalefit.fitted import Fit, Kind, current_versions
from scalefit.health import Health, assess
from scalefit.infer._progress import progress_report
from scalefit.model import BoundModel, Model
from scalefit.read import read_runs

Report = Callable[[int, int], None]
"""Called with (steps done, steps in all) as an engine works."""


@dataclass(frozen=True)
class EngineResult:
    """Draws in unit-free coordinates and the sampler's own numbers, each name -> (chain, draw)."""

    draws: Mapping[str, ArrayLike]
    stats: Mapping[str, ArrayLike] = field(default_factory=dict)


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


def find_engine(name: str) -> Engine:
    """The engine of that name with its default options; raises `FitError` that lists the names there are."""
    if name not in Engine.registry:
        raise FitError(f"there is no engine {name!r}; choose from {', '.join(sorted(Engine.registry))}.")
    return Engine.registry[name]()


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
    engine : `NUTS()` by default; or a name. seed : the same seed gives the same draws on one platform.
    progress : show a bar on standard error; by default where that is a terminal.

    Raises `DataError` where the table cannot carry the model. Read `health` of the result before its numbers.
    """
    model = model or Model()
    engine = find_engine(engine or "nuts") if not isinstance(engine, Engine) else engine
    if not 0 <= seed < 2**63:
        raise FitError(f"seed must be a whole number from 0 to 2^63 - 1, not {seed}.")
    bound = model.bind(read_runs(runs))
    with precision(), progress_report(engine.name, progress) as report:
        result = engine.run(bound, seed, report)
    # Numbers leave JAX here: float64 on the host, raw units.
    raw = bound.to_raw({p.name: np.asarray(result.draws[p.name], dtype=float) for p in model.params()})
    stats = {name: np.asarray(values) for name, values in result.stats.items()}
    if not all(np.isfinite(values).all() for values in raw.values()):
        raise FitError(f"{engine} reached draws that are not finite; check the table for a run far from all others.")
    unchecked = Fit(raw, engine.kind, model, bound.runs, stats, str(engine), seed, current_versions(), Health(()))
    return replace(unchecked, health=assess(bound, raw, unchecked.derived(), stats, engine.kind))
