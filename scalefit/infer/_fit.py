"""`fit`: one engine on one model and one table."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from scalefit._aot import versions
from scalefit._precision import precision
from scalefit.diagnostics.checks import Check, Health
from scalefit.diagnostics.health import assess
from scalefit.errors import FitError, OptionError, QuestionError
from scalefit.fits.fit import Fit
from scalefit.infer._contracts import Engine, EngineResult, find_engine, finite_or_reason
from scalefit.infer._progress import progress_report
from scalefit.io.read import read_runs
from scalefit.model.model import BoundModel, Model


def fit(
    runs: Any,
    model: Model | None = None,
    *,
    engine: Engine | str | None = None,
    seed: int = 0,
    cluster: str | Iterable[str] | None = None,
    weight: str | None = None,
    sd: str | None = None,
    progress: bool | None = None,
) -> Fit:
    """Fit a scaling law to training runs.

    Parameters
    ----------
    runs
        `Runs`, or anything `read_runs` takes.
    model
        The Chinchilla law with Student-t noise and a discrepancy by default.
    engine
        An engine or its name, `Auto()` by default.
    seed
        The same seed gives the same draws on one platform.
    cluster, weight, sd
        Columns of the runs that share an error, and of what is known of the errors of single runs, as for `read_runs`.
    progress
        Show a bar on standard error; by default where that is a terminal.

    Returns
    -------
    Fit
        Read its `health` before its numbers.

    Raises
    ------
    DataError
        The table does not determine the model: a column is missing or constant, or there are too few runs.
    OptionError
        The engine is unknown, or the seed out of range.
    FitError
        The draws are not finite.
    """
    engine = checked_engine(engine, seed)
    bound = (model or Model()).bind(read_runs(runs, cluster=cluster, weight=weight, sd=sd))
    with precision(), progress_report(engine.name, progress) as report:
        result = engine.run(bound, seed, report)
    return fit_of(bound, engine, seed, result)


def checked_engine(engine: Engine | str | None, seed: int) -> Engine:
    """The engine of that name, `Auto()` by default; raises `OptionError` where it or the seed is none."""
    if not 0 <= seed < 2**63:
        raise OptionError(f"seed must be a whole number from 0 to 2^63 - 1, not {seed}.")
    return engine if isinstance(engine, Engine) else find_engine(engine or "auto")


def fit_of(
    bound: BoundModel, engine: Engine, seed: int, result: EngineResult, made_by: Mapping[str, str] | None = None
) -> Fit:
    """The `Fit` of an engine's result, with its health.

    Parameters
    ----------
    bound, engine, seed
        What was fitted, how, and from which seed.
    result
        What the engine returned, in unit-free coordinates.
    made_by
        Versions of what computed the result; those in use by default.

    Raises
    ------
    FitError
        The draws are not finite.
    """
    unchecked = unassessed_fit(bound, engine, seed, result, made_by)
    checks = result.checks
    try:
        quantities = unchecked.law_only_quantities()
    except QuestionError as problem:
        quantities = unchecked.law_derived
        checks = (*checks, Check("optimum", "fail", 0.0, f"no size is best, even at the largest compute: {problem}"))
    found = assess(bound, unchecked.draws, quantities, unchecked.stats, engine.kind)
    return replace(unchecked, health=Health((*checks, *found.checks)))


def unassessed_fit(
    bound: BoundModel, engine: Engine, seed: int, result: EngineResult, made_by: Mapping[str, str] | None = None
) -> Fit:
    """As `fit_of`, without any check: of a million fits health alone would take hours."""
    model, checked = bound.model, finite_or_reason(engine, result)
    if isinstance(checked, str):
        raise FitError(checked)
    # Numbers leave JAX here: float64 on the host, raw units.
    raw = bound.to_raw({p.name: np.asarray(result.draws[p.name], dtype=float) for p in model.params()})
    stats = {name: np.asarray(values) for name, values in result.stats.items()}
    made_by = dict(made_by or versions())
    model = bound.stated or model
    again = partial(fit, model=model, engine=engine, seed=seed)
    return Fit(raw, engine.kind, model, bound.runs, stats, str(engine), seed, made_by, Health(()), again)
