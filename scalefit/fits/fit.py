"""Fit: what can be asked of draws."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scalefit._intervals import interval
from scalefit._quantities import posterior_name, ranged, write
from scalefit._results import PROB, Result
from scalefit._tables import Table, draws_table
from scalefit.diagnostics.convergence import chain_table
from scalefit.errors import OptionError
from scalefit.fits._answers import Answers
from scalefit.fits._draws import Kind
from scalefit.fits.update import Update, update
from scalefit.frontier.optimum import trades
from scalefit.units import percent

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["Fit", "Kind", "check_fit", "posterior_name"]


@dataclass(frozen=True, eq=False, repr=False)
class Fit(Answers, Result):
    """The result of every engine: draws, their summary, predictions and frontiers. Its fields are those of `Draws`."""

    def headline(self, prob: float = PROB) -> str:
        """The law's first parameter, by the law-only posterior, and the health."""
        first = self.model.law.params()[0]
        value, unit = ranged(interval(self.draws[first.name], prob, axis=(0, 1)), write), self.param_units[first.name]
        drawn = {"posterior": posterior_name(False), "bootstrap": "bootstrap"}.get(self.kind)
        how = f"{drawn}, {percent(prob)} interval" if drawn else "point estimate"
        return (
            f"The {self.model.law.name} law fitted to {self.runs.name} ({len(self.runs)} runs) has "
            f"{first.name} = {value}{'' if unit == '1' else f' {unit}'} ({how}), and the health of the fit "
            f"is {self.health.verdict}."
        )

    def _table(self, prob: float) -> Table:
        """The law-only posterior, and the optimum at the largest compute where `summary` has already computed it."""
        known = vars(self).get("_largest", {})
        draws = {**self.draws, **self.law_derived, **known}
        table = draws_table({name: values.reshape(-1) for name, values in draws.items()}, prob)
        posterior = [posterior_name(name in known and self.has_discrepancy) for name in draws]
        return replace(table, columns={**table.columns, "posterior": posterior}, units=self.loss_units)

    def summary(
        self, prob: float = 0.9, budgets: Any = None, discrepancy: bool | None = None, **fixed: Any
    ) -> "pd.DataFrame":
        """The law's parameters, then the optimum at each budget.

        Parameters
        ----------
        prob
            Probability of every interval, equal-tailed.
        budgets
            FLOP; the largest run's compute by default.
        discrepancy
            Whether the optima include the discrepancy, as for `frontier`. Parameters never do: they are those of the
            law-only posterior.
        **fixed
            The law's inputs beyond params and tokens, as for `frontier`.

        Returns
        -------
        pandas.DataFrame
            Rows: parameters and the exponents that follow from them, then N_opt, D_opt, tokens_per_param and loss at
            each budget. Columns: median, lower, upper, ess_bulk, ess_tail, r_hat, mcse_median, and posterior, which
            is "law only" or "with discrepancy".
        """
        import pandas as pd

        law_only = chain_table({**self.draws, **self.law_derived}, prob, self.stats)
        law_only["posterior"] = posterior_name(False)
        if not trades(self.model.law):
            return law_only
        as_usual = budgets is None and discrepancy is None and not fixed
        discrepancy = self.resolve(discrepancy)
        optima = self._largest if as_usual else self.optima(budgets, discrepancy, **fixed)
        answers = chain_table(optima, prob, {"pareto_k": np.zeros(1)} if discrepancy else self.stats)
        return pd.concat([law_only, answers.assign(posterior=posterior_name(discrepancy))])

    @cached_property
    def _largest(self) -> dict[str, np.ndarray]:
        """The optimum at the largest run's compute, as the model has it."""
        return self.optima()

    def update(
        self, new_runs: Any, budgets: Any = None, discrepancy: bool | None = None, **fixed: Any
    ) -> "Update[Fit]":
        """Add new runs: the joint fit of all, by the same model, engine and seed, and what it moved.

        Parameters
        ----------
        new_runs
            Anything `read_runs` takes, with losses. Where they do not state what N counts, it is what this fit's does.
        budgets
            FLOP, at which optima are compared; the largest compute of all runs by default.
        discrepancy, **fixed
            As for `frontier`.

        Returns
        -------
        Update
            Its `fit` is the joint one; its `summary` lists how far each quantity moved, and was expected to move.

        Raises
        ------
        DataError
            The tables count N by different conventions, or their losses are in different units.
        FitError
            The fit does not know its engine.

        Notes
        -----
        Coordinates, and so priors, are centred on the runs, so that new runs shift them a little.
        """
        return update(self, new_runs, budgets, discrepancy, fixed)

    def save(self, path: str | Path) -> Path:
        """Write the fit to one netCDF file; see `scalefit.fits.netcdf.save`."""
        from scalefit.fits.netcdf import save

        return save(self, path)

    def to_datatree(self, predictions: Any = None) -> "xr.DataTree":
        """The fit as an ArviZ DataTree; `scalefit.fits.datatree.to_datatree` describes its groups.

        Parameters
        ----------
        predictions
            New runs, as for `predict`, whose losses are to be in it, with noise, and with the discrepancy as the model
            has it.

        Raises
        ------
        DataError
            As `predict` does.
        """
        from scalefit.fits.datatree import to_datatree

        return to_datatree(self, None if predictions is None else self.predict(predictions, labelled=True))


def check_fit(value: Any) -> None:
    """Raise `OptionError` on anything but a fit, such as a table or the name of a file."""
    if not isinstance(value, Fit):
        make = {str: "Read the fit with sf.load(path)"}
        raise OptionError(
            f"this is a {type(value).__name__}, not a fit. {make.get(type(value), 'Make a fit with sf.fit(runs)')}."
        )
