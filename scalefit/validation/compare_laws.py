"""Which law? Laws side by side on one table, weighed by how well they predict runs larger than those they saw.

How well a law fits the runs it was given says little about how it extrapolates. Simulated from Kaplan's law, which
has no irreducible loss, runs up to 1e21 FLOP put Chinchilla's E at 1.92 [1.84, 1.99] (90 %), and larger runs go
below that from 3e22 FLOP on. PSIS-LOO is shown beside, and is about new runs like those in the table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from scalefit._quantities import ratio
from scalefit._results import PROB, Result
from scalefit._tables import Table, by_rows
from scalefit.errors import FitError, QuestionError, ScalefitError
from scalefit.fits.fit import Fit
from scalefit.frontier.frontier import Frontier
from scalefit.frontier.optimum import trades
from scalefit.infer import Engine, fit_many
from scalefit.infer.many import table_seed
from scalefit.io.read import read_runs
from scalefit.laws import Law
from scalefit.model.model import Model
from scalefit.runs import Runs
from scalefit.validation._laws import (
    Scores,
    default_cuts,
    held_out_records,
    models_by_name,
    posterior_engine,
    score_law,
)
from scalefit.validation.holdout import Holdout, checked
from scalefit.validation.scores import clustered_mean_error
from scalefit.validation.stacking import allocated, evenly, mixture_log_density, stacking_weights

if TYPE_CHECKING:
    import pandas as pd


DRAWS = 4000  # of a stacked prediction


@dataclass(frozen=True, eq=False, repr=False)
class LawComparison(Result):
    """Laws side by side on one table.

    Parameters
    ----------
    fits
        Law -> its fit to the whole table.
    scores
        Law -> scores of its predictions.
    records
        Name -> (record,), one record for every held-out run and split: split, row (from 1), flops, distance (ln of
        compute over the most of the training runs), and share, its weight in means: all splits weigh the same.
    weights
        Law -> stacking weight from held-out larger runs.
    loo_weights
        Law -> stacking weight from PSIS-LOO, for comparison only.
    failures
        Law -> why it has no scores.
    seed
        Of `predict` and `frontier`.
    """

    fits: dict[str, Fit]
    scores: dict[str, Scores]
    records: dict[str, np.ndarray]
    weights: dict[str, float]
    loo_weights: dict[str, float]
    failures: dict[str, str]
    seed: int

    def headline(self, prob: float = PROB) -> str:
        """Which law predicts the held-out runs best, and its weight."""
        best, furthest = self._order[0], ratio(np.exp(self.records["distance"].max()))
        return (
            f"{best} predicts the {len(set(self.records['row']))} held-out runs best, with a stacking weight of "
            f"{self.weights[best]:.2f} among {len(self.scores)} laws; the runs have up to {furthest} times the compute "
            "of the training runs."
        )

    def summary(self) -> "pd.DataFrame":
        """Scores of every law.

        Returns
        -------
        pandas.DataFrame
            Rows: laws, the best on held-out runs first. Columns: weight; lpd, the mean log predictive density of a
            held-out run, lpd_diff to the best law's, and crps, each with a standard error clustered by budget
            ("x_se"); elpd_loo with its standard error, loo_weight, the largest pareto_k; the fit's health.
        """
        return self._table(PROB).frame()

    @property
    def _order(self) -> list[str]:
        """Laws, the best on held-out runs first."""
        return sorted(self.scores, key=lambda law: -float(self.records["share"] @ self.scores[law].lpd))

    def _table(self, prob: float) -> Table:
        share, order, rows = self.records["share"], self._order, {}
        for law in order:
            score = self.scores[law]
            held = {"lpd": score.lpd, "lpd_diff": score.lpd - self.scores[order[0]].lpd, "crps": score.crps}
            row: dict[str, Any] = {"weight": self.weights[law]}
            for name, values in held.items():
                row |= {name: share @ values, f"{name}_se": clustered_mean_error(values, self.records)}
            row |= {"elpd_loo": score.loo.sum(), "elpd_loo_se": np.sqrt(len(score.loo)) * score.loo.std(ddof=1)}
            row |= {"loo_weight": self.loo_weights[law], "pareto_k": score.pareto_k.max()}
            rows[law] = row | {"health": self.fits[law].health.verdict}
        return by_rows("law", rows)

    def predict(
        self, new_runs: Any, noise: bool = True, discrepancy: bool | None = None, seed: int | None = None
    ) -> Float[np.ndarray, "draw run"]:
        """Draws of the loss of new runs from all laws, each in proportion to its weight.

        Parameters
        ----------
        new_runs, noise, discrepancy
            As for `Fit.predict`, of each law.
        seed
            Of the noise, and of the choice of draws; the comparison's own by default.

        Returns
        -------
        array (draw, run)
            In the table's unit of loss.
        """
        chosen = self.seed if seed is None else seed
        parts = [
            fitted.predict(new_runs, noise, discrepancy, table_seed(chosen, index))[rows]
            for index, (fitted, rows) in enumerate(self._dealt(list(self.fits), chosen, discrepancy))
        ]
        return np.concatenate(parts)

    def log_density(self, new_runs: Runs, discrepancy: bool | None = None) -> Float[np.ndarray, " run"]:
        """Log predictive density of each new run's ln loss under the mixture of all laws; see `Fit.log_density`."""
        each = np.array([fitted.log_density(new_runs, discrepancy) for fitted in self.fits.values()])
        return mixture_log_density(np.array([self.weights[law] for law in self.fits]), each)

    def frontier(self, budgets: Any, discrepancy: bool | None = None) -> Frontier:
        """Compute-optimal N, D and loss at each budget, draws of all laws pooled in proportion to weight.

        Laws that do not trade N against D are left out, and the weights of the others are scaled up.

        Parameters
        ----------
        budgets
            FLOP, one or many.
        discrepancy
            As for `Fit.frontier`, of each law.

        Raises
        ------
        QuestionError
            No law that trades N against D has any weight.
        """
        usable = [law for law, fitted in self.fits.items() if trades(fitted.model.law)]
        if not sum(self.weights[law] for law in usable):
            raise QuestionError(
                "no law with any weight trades parameters against tokens. Compare laws such as chinchilla."
            )
        fronts = [
            (fitted.frontier(budgets, discrepancy), rows)
            for fitted, rows in self._dealt(usable, self.seed, discrepancy)
        ]
        params, tokens, loss = (
            np.concatenate([getattr(front, name)[rows] for front, rows in fronts])
            for name in ("params", "tokens", "loss")
        )
        first = fronts[0][0]
        included, lost = all(f.discrepancy for f, _ in fronts), max(f.unconverged for f, _ in fronts)
        shared = {"loss_unit": first.loss_unit, "rule": first.rule}
        return Frontier(first.flops, params, tokens, loss, first.compute_range, included, True, lost, **shared)

    def _dealt(self, laws: list[str], seed: int, discrepancy: bool | None) -> list[tuple[Fit, np.ndarray]]:
        """Each law that gives any draws, and which of them."""
        counts = allocated(np.array([self.weights[law] for law in laws]), DRAWS, seed)
        fits = [self.fits[law] for law in laws]
        dealt = [(f, count) for f, count in zip(fits, counts, strict=True) if count]
        return [(f, evenly(int(count), len(next(iter(f.joint_draws(discrepancy)[0].values()))))) for f, count in dealt]


def compare_laws(
    runs: Any,
    laws: Sequence[str | Law | Model] | Mapping[str, str | Law | Model] | None = None,
    *,
    holdout: Holdout | None = None,
    engine: Engine | str | None = None,
    discrepancy: bool | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> LawComparison:
    """Fit each law to the table and to its smaller runs, score it on the larger ones, and weigh the laws by that.

    Parameters
    ----------
    runs
        Anything `read_runs` takes.
    laws
        Names, laws or models, or a mapping from names of your own; every law of N and D alone by default.
    holdout
        As for `backtest`; by default cuts at a third, a tenth and a thirtieth of the largest compute, where enough runs
        lie on both sides.
    engine
        One that draws from posteriors; `Auto()` by default.
    discrepancy
        Of the predictions that are scored, as for `Fit.predict`.
    seed
        Of all fits, and of the pooled draws.
    progress
        Whether to show it; None shows it in a terminal.

    Returns
    -------
    LawComparison
        Its weights are those of a mixture, not probabilities: a poor law keeps some weight where it alone predicted a
        few runs. They do not depend on the verdicts of health, which are listed beside them. A law that cannot be
        fitted is in `failures`.

    Raises
    ------
    OptionError
        A law is unknown, two laws have one name, or the engine gives no posterior.
    DataError
        A split is empty, or too few runs can be held out.
    FitError
        No law could be fitted.

    References
    ----------
    Stacking of predictive densities: Yao, Vehtari, Simpson and Gelman 2018 (Bayesian Analysis 13, 917).
    """
    table, models, engine = read_runs(runs), models_by_name(laws), posterior_engine(engine)
    splits = checked(holdout or default_cuts(max(len(model.params()) for model in models.values())), table)
    tables = [table, *(table.subset(train) for _, train in splits)]
    fits, scores, failures = {}, {}, {}
    for law, model in models.items():
        try:
            found = fit_many(tables, model, engine=engine, seed=seed, progress=progress)
            scores[law], fits[law] = score_law(found, table, splits, discrepancy), found[0]
        except ScalefitError as refusal:
            failures[law] = str(refusal)
    if not fits:
        raise FitError(f"no law could be fitted: {next(iter(failures.values()))}")
    records = held_out_records(table, splits)
    weights = _stacked({law: score.lpd for law, score in scores.items()}, records["share"])
    loo_weights = _stacked({law: score.loo for law, score in scores.items()})
    return LawComparison(fits, scores, records, weights, loo_weights, failures, seed)


def _stacked(log_density: dict[str, np.ndarray], share: np.ndarray | None = None) -> dict[str, float]:
    found = stacking_weights(np.array(list(log_density.values())), share)
    return dict(zip(log_density, map(float, found), strict=True))
