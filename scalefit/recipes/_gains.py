"""Gains of a recipe over the baseline, draw by draw: in compute along budgets, in tokens and in parameters."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from scalefit._aot import cached_jit
from scalefit.costs.cost import Cost
from scalefit.fits.fit import Fit
from scalefit.planning.least_budgets import (
    LeastBudgets,
    LossPosterior,
    Optima,
    costs_of,
    first_crossing,
    loss_posterior,
    optima_at,
)

FAR = 14.0  # e-folds of compute, and of N and D, beyond which the baseline is taken never to get there
NEAR = 3.0  # e-folds of compute from the target, beyond which the table of least budgets is ever wider
POINTS = 29  # of N and of D, within which the baseline's loss is tabulated


@dataclass(frozen=True, eq=False)
class Side:
    """One recipe: its loss draw by draw, what a budget pays for, and its optimum at budgets."""

    posterior: LossPosterior
    shown: Cost
    priced: Cost
    optima: Optima

    @classmethod
    def of(
        cls,
        fit: Fit,
        log_budgets: Float[np.ndarray, " budget"],
        discrepancy: bool,
        cost: Cost | None,
        fixed: Mapping[str, Any],
    ) -> "Side":
        """From a fit; for use inside `precision()`."""
        posterior = loss_posterior(fit, fixed=fixed, discrepancy=discrepancy)
        shown, priced = costs_of(fit, posterior, cost)
        return cls(posterior, shown, priced, optima_at(posterior, priced, log_budgets))


@dataclass(frozen=True, eq=False)
class Gains:
    """How far the baseline is behind; for use inside `precision()`.

    Parameters
    ----------
    baseline
        The recipe that others are compared with.
    log_budgets, target
        ln of the budgets, and which of them is asked about.
    """

    baseline: Side
    log_budgets: Float[np.ndarray, " budget"]
    target: int

    @cached_property
    def least(self) -> LeastBudgets:
        """The least budget with which the baseline reaches a loss."""
        around, low, high = self.log_budgets[self.target], self.log_budgets[0] - FAR, self.log_budgets[-1] + FAR
        return LeastBudgets(self.baseline.posterior, self.baseline.priced, float(around), float(low), float(high), NEAR)

    @cached_property
    def place(self) -> tuple[float, float]:
        """ln N and ln D at which the baseline is expected to be best at the target."""
        log_n = float(np.median(self.baseline.optima.log_n[:, self.target]))
        flops = float(np.exp(self.log_budgets[self.target]))
        return log_n, float(np.log(self.baseline.shown.tokens_for(flops, np.exp(log_n))))

    @cached_property
    def lines(self) -> tuple[Float[np.ndarray, " point"], Float[np.ndarray, "2 draw point"]]:
        """Steps of ln D and of ln N from `place`, and the baseline's loss there."""
        steps, (log_n, log_d) = np.linspace(-FAR / 2, FAR / 2, POINTS), self.place
        along_d = losses_at(self.baseline.posterior, *_pairs(log_n + 0 * steps, log_d + steps))
        along_n = losses_at(self.baseline.posterior, *_pairs(log_n + steps, log_d + 0 * steps))
        return steps, np.array([np.asarray(along_d), np.asarray(along_n)])

    def compute(self, other: Side) -> Float[np.ndarray, "draw budget"]:
        """Compute that the baseline takes for what the other reaches with each budget, over that budget."""
        return np.exp(self.least.tabulated(other.optima.loss) - self.log_budgets)

    def at_target(self, other: Side) -> Float[np.ndarray, " draw"]:
        """The same of one whose optimum was sought for the target alone."""
        return np.exp(self.least.tabulated(other.optima.loss[:, 0]) - self.log_budgets[self.target])

    def tokens_and_params(self, other: Side) -> tuple[Float[np.ndarray, " draw"], Float[np.ndarray, " draw"]]:
        """The factor on D at equal N, and on N at equal D, that takes the baseline to the other's loss at `place`."""
        steps, (along_d, along_n) = self.lines
        log_n, log_d = self.place
        level = np.asarray(losses_at(other.posterior, *_pairs(np.array([log_n]), np.array([log_d]))))[:, 0]
        return tuple(np.exp(first_crossing(steps, values, level)) for values in (along_d, along_n))


def _pairs(log_n: np.ndarray, log_d: np.ndarray) -> tuple[Array, Array]:
    return jnp.asarray(log_n, float), jnp.asarray(log_d, float)


@cached_jit()
def losses_at(
    posterior: LossPosterior, log_n: Float[Array, " place"], log_d: Float[Array, " place"]
) -> Float[Array, "draw place"]:
    """Expected loss of every draw at places."""
    return jax.vmap(posterior.losses, out_axes=1)(log_n, log_d)
