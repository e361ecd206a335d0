"""scalefit: Bayesian scaling laws, from a table of small runs to a decision that says how sure it is.

Everything below is loaded on first use, so that `import scalefit` is light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scalefit import datasets, laws, plots
    from scalefit.errors import (
        DataError,
        DataWarning,
        FitError,
        ModelError,
        PlanError,
        ScalefitError,
    )
    from scalefit.fitted import Fit
    from scalefit.frontier import Frontier
    from scalefit.infer import NUTS, fit
    from scalefit.laws import Prior
    from scalefit.model import Model
    from scalefit.noise import Normal, StudentT
    from scalefit.planning import Plan, Surface, loss_surface, plan
    from scalefit.read import read_runs
    from scalefit.runs import Runs
    from scalefit.store import load

__version__ = "0.1.0"

_HOME = {
    "datasets": None,
    "laws": None,
    "plots": None,
    "DataError": "errors",
    "DataWarning": "errors",
    "FitError": "errors",
    "ModelError": "errors",
    "PlanError": "errors",
    "ScalefitError": "errors",
    "Fit": "fitted",
    "Frontier": "frontier",
    "NUTS": "infer",
    "fit": "infer",
    "Prior": "laws",
    "Model": "model",
    "Normal": "noise",
    "StudentT": "noise",
    "Plan": "planning",
    "Surface": "planning",
    "loss_surface": "planning",
    "plan": "planning",
    "read_runs": "read",
    "Runs": "runs",
    "load": "store",
}
__all__ = [*_HOME]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'scalefit' has no attribute {name!r}")
    home = _HOME[name]
    value = import_module(f"scalefit.{name}") if home is None else getattr(import_module(f"scalefit.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
