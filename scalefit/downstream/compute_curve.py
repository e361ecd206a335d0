"""Accuracy against compute, bounded: R0 + (A - R0) / (1 + (C_mid / C)^B).

A sigmoid in ln C, and so the downstream curve with -ln C for the loss. Unlike accuracy * (1 + 0.1 ln C) it starts
where the data start and never passes its ceiling.

References
----------
Khatri et al. 2025 (arXiv 2510.13786).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from scalefit._intervals import interval
from scalefit._quantities import ranged, write
from scalefit._results import PROB, Result
from scalefit._tables import Table, draws_table
from scalefit.diagnostics.checks import Health
from scalefit.diagnostics.convergence import chain_table, known_stats
from scalefit.downstream._columns import check_columns
from scalefit.downstream.accuracy import Downstream, fit_curve
from scalefit.downstream.links import Sigmoid
from scalefit.errors import DataError
from scalefit.units import percent

if TYPE_CHECKING:
    import pandas as pd

NAMES = {"floor": "R0", "ceiling": "A", "k": "B"}
"""Parameter of the sigmoid in -ln C -> the paper's name for it."""


@dataclass(frozen=True, eq=False, repr=False)
class ComputeCurve(Result):
    """A posterior of accuracy as a bounded function of compute.

    Parameters
    ----------
    draws
        R0, A, B, C_mid and the scatter -> draws (chain, draw).
    downstream
        The same posterior as a function of -ln C.
    """

    draws: dict[str, Float[np.ndarray, "chain draw"]]
    downstream: Downstream

    @property
    def health(self) -> Health:
        """Whether the draws can be trusted."""
        return self.downstream.health

    def headline(self, prob: float = PROB) -> str:
        """The ceiling of accuracy, the compute half way to it, and the health."""
        draws = {name: values.reshape(-1) for name, values in self.draws.items()}
        ceiling, middle = (interval(draws[name], prob) for name in ("A", "C_mid"))
        return (
            f"Accuracy rises with compute to A = {ranged(ceiling, write)}, half way at C_mid = {ranged(middle, write)} "
            f"({percent(prob)} intervals, {len(self.downstream.loss)} points), and the health of the fit is "
            f"{self.health.verdict}."
        )

    def _table(self, prob: float) -> Table:
        return draws_table({name: values.reshape(-1) for name, values in self.draws.items()}, prob)

    def accuracy(self, compute: Any, noise: bool = False) -> Float[np.ndarray, "draw point"]:
        """Draws of accuracy at compute.

        Parameters
        ----------
        compute
            One number or (point,), positive, in the unit of the table.
        noise
            False for the curve, True for what one evaluation would measure.

        Returns
        -------
        array (draw, point)
            Accuracies, shares.

        Raises
        ------
        DataError
            Compute is not positive.
        """
        return self.downstream.accuracy(_loss_of(compute), noise)

    def summary(self, prob: float = 0.9) -> "pd.DataFrame":
        """Intervals of the parameters, and how well the chains mixed.

        Parameters
        ----------
        prob
            Probability of every interval, equal-tailed.

        Returns
        -------
        pandas.DataFrame
            Rows: parameters. Columns: median, lower, upper, ess_bulk, ess_tail, r_hat, mcse_median.
        """
        return chain_table(self.draws, prob, known_stats(self.health))


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

    Parameters
    ----------
    compute
        Of any unit (FLOP, tokens, samples), positive, (point,). It should reach low enough to show R0.
    accuracy
        Of each point, (point,), shares.
    floor
        R0, the accuracy at little compute; inferred by default.
    items
        Questions of the task, one number or (point,); without it the scatter is Normal.
    ceiling
        A, at most 1; inferred by default.
    seed
        Of the draws.

    Returns
    -------
    ComputeCurve
        The posterior.

    Raises
    ------
    DataError
        A column is not usable or not plausible.
    OptionError
        Floor and ceiling do not fit together.
    """
    link = Sigmoid(floor, ceiling)
    columns = check_columns(_loss_of(compute), accuracy, items, floor)
    found = fit_curve(link, columns, seed)
    draws = {paper: found.draws[name] for name, paper in NAMES.items()} | {"C_mid": np.exp(-found.draws["L0"])}
    scatter = {p.name: found.draws[p.name] for p in found.curve.scatter.params()}
    return ComputeCurve(draws | scatter, found)


def _loss_of(compute: Any) -> Float[np.ndarray, " point"]:
    """What stands for the loss: -ln C."""
    values = np.atleast_1d(np.asarray(compute, dtype=float))
    if not (np.isfinite(values) & (values > 0)).all():
        raise DataError("a value of compute is not positive. Give a positive number for every point.")
    return -np.log(values)
