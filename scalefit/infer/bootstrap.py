"""The bootstrap of a point estimate (Efron and Tibshirani 1993): every refit in one compiled program."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, final

import jax
import numpy as np
from jaxtyping import Array, Bool, Float

from scalefit._aot import cached_jit
from scalefit._batching import in_chunks
from scalefit.errors import DataError, OptionError
from scalefit.infer._contracts import Engine, EngineResult, PointEngine, Report, run_each, solve
from scalefit.infer.huber import Huber
from scalefit.model.data import Data, Theta
from scalefit.model.model import BoundModel, Model

BATCH = 250  # refits that advance together: bounds memory, and a slow one holds up few others


@final
@dataclass(frozen=True)
class Bootstrap(Engine):
    """Refits of `of` on resampled runs, each started from the fit to all runs.

    Parameters
    ----------
    of
        A point estimate.
    resamples
        How many.
    cluster
        A column; whole groups of runs with one value are drawn instead of runs. By default the table's clusters.
    residual
        Keep every run's inputs and draw ln residuals instead, for designs where each run is needed.

    Raises
    ------
    OptionError
        An option is out of range.
    DataError
        The column is absent or has one group, when a table is fitted.
    """

    of: PointEngine = field(default_factory=Huber)
    resamples: int = 4000
    cluster: str | None = None
    residual: bool = False

    name: ClassVar[str] = "bootstrap"
    kind: ClassVar = "bootstrap"

    def __post_init__(self) -> None:
        if not isinstance(self.of, PointEngine) or self.resamples < 2:
            raise OptionError(
                f"{self} is out of range. Use a point estimate such as Huber(), and at least 2 resamples."
            )
        if self.cluster is not None and self.residual:
            raise OptionError("residuals are drawn one by one. Leave out cluster or residual.")

    def run(self, bound: BoundModel, seed: int, report: Report) -> EngineResult:
        """One chain of `resamples` refits."""
        return EngineResult(*refit(self, bound, _counts(bound, self, np.random.default_rng(seed)), report))

    def run_many(self, bounds: Sequence[BoundModel], seeds: Sequence[int]) -> list[EngineResult | str]:
        """One table after another."""
        return run_each(self, bounds, seeds)


def refit(
    options: Bootstrap, bound: BoundModel, counts: Float[np.ndarray, "resample run"], report: Report
) -> tuple[dict[str, Float[np.ndarray, "1 resample"]], dict[str, Bool[np.ndarray, "1 resample"]]]:
    """Refits for given counts, `BATCH` at a time: unit-free parameters, and statistics."""
    data = bound.data
    found, _ = solve(options.of, bound.model, data, jax.random.PRNGKey(0))
    start = {name: value[0, 0] for name, value in found.items()}
    counts = np.pad(counts, ((0, 0), (0, len(data.weight) - counts.shape[1])))
    refits = partial(_refits, options.of, options.residual, bound.model, data, start)
    theta, converged = in_chunks(refits, counts, BATCH, report=report)
    in_one_chain = lambda values: np.asarray(values)[None]
    return {name: in_one_chain(values) for name, values in theta.items()}, {"converged": in_one_chain(converged)}


def _counts(bound: BoundModel, options: Bootstrap, rng: np.random.Generator) -> Float[np.ndarray, "resample run"]:
    """How often each run counts, or (residual) which run's residual it takes."""
    runs = len(bound.runs)
    if options.residual:
        if bound.runs.cluster:
            raise OptionError("residuals are drawn one by one, and runs share errors. Leave out cluster or residual.")
        return rng.integers(0, runs, (options.resamples, runs)).astype(float)
    groups = np.arange(runs) if bound.runs.clusters is None else bound.runs.clusters
    if options.cluster is not None:
        groups = np.unique(bound.runs[options.cluster], return_inverse=True)[1]
    many = int(groups.max()) + 1
    if many < 2:
        raise DataError(f"{bound.runs.name}: {options.cluster} has one group. Use a column with several.")
    return rng.multinomial(many, np.full(many, 1 / many), options.resamples)[:, groups].astype(float)


@cached_jit("of", "residual", "model")
def _refits(
    of: PointEngine, residual: bool, model: Model, data: Data, start: Theta, counts: Float[Array, "resample run"]
) -> tuple[dict[str, Float[Array, " resample"]], Bool[Array, " resample"]]:
    """One refit a row of `counts`; takes no more of the options than it needs, so that others share the program."""
    fitted = model.log_mean(start, data.x)

    def resampled(row: Float[Array, " run"]) -> Data:
        if residual:
            return data._replace(log_loss=fitted + (data.log_loss - fitted)[row.astype(int)])
        return data._replace(weight=row)

    theta, converged = jax.vmap(lambda row: of.refine(model, resampled(row), start))(counts)
    return theta, converged
