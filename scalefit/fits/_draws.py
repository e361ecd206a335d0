"""Draws of a model's parameters, where they came from, and their discrepancy."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scalefit._quantities import loss_units
from scalefit.costs.cost import Compute
from scalefit.costs.measured import cost_of_runs
from scalefit.diagnostics.checks import Health
from scalefit.diagnostics.far_runs import FarRuns, far_runs, residual_table
from scalefit.errors import QuestionError
from scalefit.loss_units import of_loss
from scalefit.model.model import BoundModel, Model
from scalefit.runs import Runs
from scalefit.sampling.discrepancy_posterior import DiscrepancyPosterior, sample_discrepancy_posterior

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["posterior", "bootstrap", "point"]


@dataclass(frozen=True, eq=False, repr=False)
class Draws:
    """Draws from the law-only posterior, or its bootstrap or point estimate, and all that repeats them.

    Parameters
    ----------
    draws
        Name -> (chain, draw): parameters of law and noise in raw units (counts, the table's unit of loss), law only.
    kind
        "posterior", "bootstrap" or "point" (one draw).
    model
        Law, noise, priors and discrepancy.
    runs
        The table.
    stats
        Name -> (chain, draw), the sampler's own numbers.
    engine
        How the draws were made, in words.
    seed, versions
        What repeats them.
    health
        Verdict, number and sentence of each check.
    refit
        Fits a table with the same model, engine and seed; None where these are not known.
    """

    draws: dict[str, np.ndarray]
    kind: Kind
    model: Model
    runs: Runs
    stats: dict[str, np.ndarray]
    engine: str
    seed: int
    versions: dict[str, str]
    health: Health
    refit: Callable[[Runs], Any] | None = None

    @property
    def theta(self) -> dict[str, np.ndarray]:
        """The draws with chains joined: name -> (chain * draw,)."""
        return {name: values.reshape(-1) for name, values in self.draws.items()}

    @property
    def compute_range(self) -> tuple[float, float]:
        """Compute of the smallest and the largest run in the data, FLOP."""
        return float(self.runs.flops.min()), float(self.runs.flops.max())

    @property
    def param_units(self) -> dict[str, str]:
        """Parameter of law or noise -> unit."""
        return {p.name: of_loss(p.unit, self.runs.unit) for p in self.model.params()}

    @property
    def loss_units(self) -> dict[str, str]:
        """The same, and the unit of every quantity that is a loss."""
        return {**loss_units(self.runs.unit), **self.param_units}

    @cached_property
    def mean_cost(self) -> Compute:
        """How the table prices N and D, on average."""
        return cost_of_runs(self.runs).averaged()

    @cached_property
    def bound(self) -> BoundModel:
        """The model bound to the table it was fitted to."""
        return self.model.bind(self.runs)

    @property
    def law_derived(self) -> dict[str, np.ndarray]:
        """What the law derives from its parameters, such as exponents of the frontier: name -> (chain, draw)."""
        return dict(self.model.law.derived(self.draws))

    @property
    def has_discrepancy(self) -> bool:
        """Whether answers include a discrepancy unless asked not to: a posterior whose model has one has."""
        return self.kind == "posterior" and self.model.has_discrepancy

    def resolve(self, discrepancy: bool | None) -> bool:
        """Whether an answer includes the discrepancy: as the model has it where None.

        Raises
        ------
        QuestionError
            It is asked for, and there is none.
        """
        if discrepancy and not self.has_discrepancy:
            raise QuestionError(
                "this fit has no discrepancy: that takes a posterior, a law of params and tokens, noise with a sigma, "
                "and a model with discrepancy=sf.Discrepancy(). Leave discrepancy=True out."
            )
        return self.has_discrepancy if discrepancy is None else discrepancy

    @cached_property
    def discrepancy_posterior(self) -> DiscrepancyPosterior:
        """Draws of the law together with its discrepancy.

        Raises
        ------
        QuestionError
            The model has none.
        """
        return sample_discrepancy_posterior(self.bound, self.theta, self.seed)

    @cached_property
    def far_runs(self) -> FarRuns:
        """Residuals of the runs off the model, and which of them the noise does not explain."""
        return far_runs(self.bound, self.draws, discrepancy=True)

    def residuals(self, discrepancy: bool | None = None) -> "pd.DataFrame":
        """Each run's residual off the model, and how many scales of the noise that is.

        Parameters
        ----------
        discrepancy
            False for residuals off the law alone; else off law and discrepancy together, where the model has one.

        Returns
        -------
        pandas.DataFrame
            Rows: runs, by number from 1, in the table's order. Columns: the table's labels where it has some, the law's
            inputs, loss, expected (of the model), residual (as a share of expected), standardised (that of ln loss, in
            units of the noise's scale) and far (whether the noise does not explain it, as in health).

        Raises
        ------
        QuestionError
            The draws are not finite.
        """
        found = far_runs(self.bound, self.draws, False) if discrepancy is False else self.far_runs
        return residual_table(self.runs, self.model.law.inputs, found)

    def joint_draws(self, discrepancy: bool | None) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray] | None]:
        """Parameters, name -> (draw,), and the paths of the discrepancy where the answer includes it, else None."""
        if not self.resolve(discrepancy):
            return self.theta, None
        return self.discrepancy_posterior.theta, self.discrepancy_posterior.paths
