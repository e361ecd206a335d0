"""The engine of a stored fit, which is kept in words: the same options, read as literals."""

import ast
from typing import Any

from scalefit.errors import FitError
from scalefit.fits.fit import Fit
from scalefit.infer._contracts import Engine
from scalefit.infer._fit import fit
from scalefit.model.model import Model

LARGEST = 10**6  # of a whole number: a file could otherwise ask for any number of draws


def fit_as(runs: Any, model: Model, engine: str, seed: int) -> Fit:
    """Fit a table with the engine of those words.

    Parameters
    ----------
    runs
        Anything `read_runs` takes.
    model, seed
        As for `fit`.
    engine
        As `str` of an engine gives it.

    Raises
    ------
    FitError
        The words are no engine of this version.
    """
    return fit(runs, model, engine=read_engine(engine), seed=seed)


def read_engine(words: str) -> Engine:
    """The engine that prints itself in those words; raises `FitError` where there is none."""
    try:
        found = _value(ast.parse(words, mode="eval").body)
    except (SyntaxError, ValueError, TypeError, KeyError, RecursionError, MemoryError):
        found = None
    if not isinstance(found, Engine):
        raise FitError("the engine of this fit is not known here. Fit again with sf.fit(fit.runs.joined(new)).")
    return found


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args:
        engines = {each.__name__: each for each in Engine.registry.values()}
        return engines[node.func.id](**{str(option.arg): _value(option.value) for option in node.keywords})
    value = ast.literal_eval(node)
    if isinstance(value, int) and abs(value) > LARGEST:
        raise ValueError("an option is out of range")
    return value
