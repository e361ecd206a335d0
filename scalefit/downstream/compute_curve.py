"""Accuracy against compute, bounded: R0 + (A - R0) / (1 + (C_mid / C)^B) (Khatri et al. 2025, arXiv 2510.13786).

A sigmoid in ln C, and so the downstream curve with -ln C for the loss. Unlike accuracy * (1 + 0.1 ln C) it starts
where the data start and never passes its ceiling.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scalefit.diagnostics.checks import Health
from scalefit.downstream._columns import checked
from scalefit.downstream.accuracy import Downstream, fit_curve
from scalefit.downstream.links import Sigmoid
from scalefit.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class ComputeCurve:
    """A posterior of accuracy as a bounded function of compute; draws : R0, A, B, C_mid, scatter -> (chain, draw)."""

    draws: dict[str, np.ndarray]
    stage: Downstream

    @property
    def health(self) -> Health:
        """Did the sampler do its work."""
        return self.stage.health

    def accuracy(self, compute: Any, kind: Literal["mean", "run"] = "mean") -> np.ndarray:
        """Draws of accuracy, a share, at each compute: (draw, compute); kind as `Downstream.accuracy` has it."""
        return self.stage.accuracy(-np.log(_positive(np.atleast_1d(compute))), kind)

    def summary(self, prob: float = 0.9) -> "pd.DataFrame":
        """Rows: parameters; columns: median, lower, upper, ess_bulk, ess_tail, r_hat, mcse_median."""
        from scalefit.diagnostics.convergence import chain_table

        return chain_table(self.draws, prob)


def fit_accuracy_of_compute(
    compute: Any,
    accuracy: Any,
    floor: float | None = None,
    items: Any = None,
    *,
    ceiling: float | None = None,
    seed: int = 0,
) -> ComputeCurve:
    """Fit R0 + (A - R0) / (1 + (C_mid / C)^B) to accuracy at each compute.

    compute : of any unit (FLOP, tokens, samples), positive, (point,). accuracy : shares, (point,). floor : R0, the
    accuracy at little compute, and ceiling : A, at most 1; each inferred by default, so compute should reach low
    enough to show R0. items : as `fit_downstream`. Raises `DataError` and `OptionError` as that does.
    """
    form = Sigmoid(floor, ceiling)
    columns = checked(-np.log(_positive(compute)), accuracy, items, floor)
    stage = fit_curve(form, columns, seed)
    names = {"floor": "R0", "ceiling": "A", "k": "B"}
    draws = {names[name]: stage.draws[name] for name in names} | {"C_mid": np.exp(-stage.draws["L0"])}
    scatter = {p.name: stage.draws[p.name] for p in stage.curve.scatter.params()}
    return ComputeCurve(draws | scatter, stage)


def _positive(compute: Any) -> np.ndarray:
    values = np.asarray(compute, dtype=float)
    if not (np.isfinite(values) & (values > 0)).all():
        raise DataError("compute is a positive number for every point.")
    return values
