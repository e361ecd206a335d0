"""Targets of laws without an allocation: the least value of their one open input that reaches a loss."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from scalefit._intervals import check_prob, interval
from scalefit._labelled import labelled
from scalefit._quantities import posterior_name, quantity, ranged, write
from scalefit._results import PROB, Result
from scalefit._tables import Table, draws_table
from scalefit.diagnostics.checks import Health
from scalefit.errors import QuestionError
from scalefit.fits.fit import Fit, check_fit
from scalefit.laws import Law
from scalefit.loss_units import NATS, in_unit
from scalefit.planning._crossing import first_crossing
from scalefit.units import parse_quantity, percent

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

POINTS = 512  # of a grid of the logarithm of the input
BELOW, ABOVE = 25.0, 40.0  # how far it goes beyond the runs


@dataclass(frozen=True, eq=False, repr=False)
class LeastInput(Result):
    """What a target loss takes of a law's one input.

    Parameters
    ----------
    loss, confidence
        The target, and the probability with which `sure` reaches it.
    input
        The name of the input: "params", "tokens", "flops" or another column.
    draws
        The input's name -> (draw,): the least value that reaches the target, infinite where none does.
    even, sure
        The least values that reach it in half of the draws, and with the confidence.
    one_run
        P(the loss of one run, with noise, is at most the target) at `even` and at `sure`.
    reachable
        Share of the draws in which any value reaches the target.
    seen
        The smallest and the largest value of the runs.
    kind, health
        Of the fit.
    loss_unit
        Of the loss.
    """

    loss: float
    confidence: float
    input: str
    draws: dict[str, np.ndarray]
    even: float
    sure: float
    one_run: tuple[float, float]
    reachable: float
    seen: tuple[float, float]
    kind: str
    health: Health
    loss_unit: str = NATS

    def headline(self, prob: float = PROB) -> str:
        """The least value, and the one with confidence."""
        ends = interval(self.draws[self.input], prob)
        how = "point estimate" if np.isnan(ends[1]) else f"{posterior_name(False)}, {percent(prob)} interval"
        return (
            f"The least value of {self.input} for a loss of {in_unit(f'{self.loss:g}', self.loss_unit)} is "
            f"{ranged(ends, self.written)} ({how}), and {self.written(self.sure)} with "
            f"{percent(self.confidence)} confidence."
        )

    def written(self, value: float) -> str:
        """A value of the input as people write it."""
        return write(value, quantity(self.input).unit) if np.isfinite(value) else "out of reach"

    def summary(self, prob: float = PROB) -> "pd.DataFrame":
        """The least value of the input.

        Parameters
        ----------
        prob
            Probability of every interval, equal-tailed.

        Returns
        -------
        pandas.DataFrame
            Row: the input. Columns: median, lower, upper; infinite where a share of the draws never reaches the target.
        """
        return self._table(prob).frame()

    def to_xarray(self) -> "xr.Dataset":
        """The draws with names, over `draw`; the target, confidence, even, sure and reachable are attributes."""
        attrs = {name: getattr(self, name) for name in ("confidence", "even", "sure", "reachable")}
        return labelled({self.input: ("draw", self.draws[self.input])}, attrs={"target": self.loss, **attrs})

    def _table(self, prob: float) -> Table:
        return draws_table(self.draws, prob)


def open_input(law: Law, fixed: Mapping[str, Any] = MappingProxyType({})) -> str:
    """The one input of a law that is not given, without a default: raises `QuestionError` where there are several."""
    left = [name for name in law.inputs if name not in fixed and name not in law.defaults]
    if len(left) != 1:
        raise QuestionError(
            f"the {law.name} law takes {', '.join(law.inputs)}, of which {len(left)} are open. Give a value to all but "
            f"one, as in {law.inputs[-1]}=1e10."
        )
    return left[0]


def losses_along(
    fit: Fit, values: Float[np.ndarray, " point"], fixed: Mapping[str, Any] = MappingProxyType({})
) -> Float[np.ndarray, "draw point"]:
    """Expected losses by the law alone at values of its open input."""
    law = fit.model.law
    given = {**law.defaults, **fixed}
    others = {name: np.full(len(values), float(given[name])) for name in law.inputs if name in given}
    return fit.predict({open_input(law, fixed): values, **others}, noise=False, discrepancy=False)


def least_input(fit: Fit, loss: Any, *, confidence: float = 0.9, **fixed: Any) -> LeastInput:
    """The least value of a law's one open input that reaches a loss: of `power-law`, `kaplan-n` or `broken`.

    Parameters
    ----------
    fit
        Any fit; of a law of params and tokens, `target` finds the cheapest run.
    loss
        The target, in the table's unit of loss.
    confidence
        Probability that the expected loss at `sure` reaches the target.
    **fixed
        The law's other inputs.

    Raises
    ------
    QuestionError
        More than one input is open, or too few draws reach the loss.
    """
    check_fit(fit)
    check_prob(confidence)
    wanted, name = parse_quantity(loss), open_input(fit.model.law, fixed)
    seen = float(fit.runs[name].min()), float(fit.runs[name].max())
    log_x = np.linspace(np.log(seen[0]) - BELOW, np.log(seen[1]) + ABOVE, POINTS)
    least = np.exp(first_crossing(log_x, losses_along(fit, np.exp(log_x), fixed), wanted))
    reachable = float(np.isfinite(least).mean())
    if reachable < max(confidence, 0.5):
        raise QuestionError(
            f"a loss of {wanted:g} is out of reach in {percent(round(1 - reachable, 3))} of the draws, whatever the "
            f"{name}. Use a higher loss or less confidence."
        )
    chosen = np.quantile(least, (0.5, confidence), method="higher")
    one_run = fit.add_noise(losses_along(fit, chosen, fixed), discrepancy=False) <= wanted
    return LeastInput(
        loss=wanted,
        confidence=confidence,
        input=name,
        draws={name: least},
        even=float(chosen[0]),
        sure=float(chosen[1]),
        one_run=(float(one_run[:, 0].mean()), float(one_run[:, 1].mean())),
        reachable=reachable,
        seen=seen,
        kind=fit.kind,
        health=fit.health,
        loss_unit=fit.runs.unit,
    )
