"""Which law? Laws side by side on one table, weighed by how well they predict runs larger than those they saw.

How well a law fits the runs it was given says little about how it extrapolates. Simulated from Kaplan's law, which
has no irreducible loss, runs up to 1e21 FLOP put Chinchilla's E at 1.92 [1.84, 1.99] (90 %), every health check passed;
larger runs go below that from 3e22 FLOP on. PSIS-LOO is shown beside, and is about new runs like those in the table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scalefit.errors import DataError, FitError, OptionError, QuestionError, ScalefitError
from scalefit.fits.fit import Fit
from scalefit.frontier.frontier import Frontier
from scalefit.frontier.optimum import trades
from scalefit.infer import Auto, Engine, Fits, find_engine, fit_many
from scalefit.infer.many import table_seed
from scalefit.io.read import read_runs
from scalefit.laws import Law, find_law
from scalefit.model.model import Model
from scalefit.runs import Runs
from scalefit.validation.holdout import Holdout, Split, above_compute, checked
from scalefit.validation.loo import leave_one_out
from scalefit.validation.scores import _shared_error, crps, log_losses
from scalefit.validation.stacking import allocated, evenly, mixture_log_density, stacking_weights

if TYPE_CHECKING:
    import pandas as pd


DRAWS = 4000  # of a stacked prediction
FRACTIONS = (1 / 3, 1 / 10, 1 / 30)  # of the largest compute: where the default cuts lie
LEAST_HELD = 5  # runs to predict beyond a default cut: every split weighs the same, so none may hang on a run or two
LEAST_TRAIN = 2  # runs to train on below it, for each parameter of the largest law


@dataclass(frozen=True, eq=False)
class Scores:
    """What one law's predictions were worth.

    lpd, crps : (record,), of held-out runs: log predictive density of ln loss, and CRPS of ln loss.
    loo, pareto_k : (run,), of the whole table: PSIS leave-one-out log density of each run, and its Pareto k.
    """

    lpd: np.ndarray
    crps: np.ndarray
    loo: np.ndarray
    pareto_k: np.ndarray


@dataclass(frozen=True, eq=False)
class LawComparison:
    """Laws side by side on one table.

    fits : law -> its fit to the whole table. scores : law -> `Scores`.
    records : the held-out runs, each (record,): split, row (from 1), flops, distance, ln(C / C_max of the training
        runs), and share, how much each counts: all splits weigh the same.
    weights : law -> stacking weight from held-out larger runs; loo_weights : from PSIS-LOO, for comparison only.
    failures : law -> why it has no scores.
    """

    fits: dict[str, Fit]
    scores: dict[str, Scores]
    records: dict[str, np.ndarray]
    weights: dict[str, float]
    loo_weights: dict[str, float]
    failures: dict[str, str]
    seed: int

    def summary(self) -> "pd.DataFrame":
        """Rows: laws, best on held-out runs first.

        Columns: weight; lpd, the mean log predictive density of a held-out run, lpd_diff to the best law's, and crps,
        each with a standard error clustered by budget; elpd_loo with its standard error, loo_weight, the largest
        pareto_k; the fit's health.
        """
        return laws_table(self)

    def predict(
        self, new_runs: Any, noise: bool = True, discrepancy: bool | None = None, seed: int | None = None
    ) -> np.ndarray:
        """Draws of the loss of new runs, (draw, run), from all laws, each in proportion to its weight.

        new_runs : as for `Fit.predict`. noise, discrepancy : as there, of each law. seed : of
        the noise, and of how draws are dealt out; the comparison's own by default.
        """
        chosen = self.seed if seed is None else seed
        parts = [
            fitted.predict(new_runs, noise, discrepancy, table_seed(chosen, index))[rows]
            for index, (fitted, rows) in enumerate(self._dealt(list(self.fits), chosen, discrepancy))
        ]
        return np.concatenate(parts)

    def log_density(self, new_runs: Runs, discrepancy: bool | None = None) -> np.ndarray:
        """Log predictive density of each new run's ln loss under the mixture of all laws, (run,)."""
        each = np.array([fitted.log_density(new_runs, discrepancy) for fitted in self.fits.values()])
        return mixture_log_density(np.array([self.weights[law] for law in self.fits]), each)

    def frontier(self, budgets: Any, discrepancy: bool | None = None) -> Frontier:
        """Compute-optimal N, D and loss at each budget (FLOP), draws of all laws pooled in proportion to weight.

        discrepancy : as for `Fit.frontier`, of each law. Laws that do not trade N
        against D are left out, and the others' weights scaled up. Raises `QuestionError` where those have none.
        """
        usable = [law for law, fitted in self.fits.items() if trades(fitted.model.law)]
        if not sum(self.weights[law] for law in usable):
            raise QuestionError(
                "no law with any weight trades parameters against tokens; compare such laws, as chinchilla."
            )
        fronts = [(fitted.frontier(budgets, discrepancy), rows) for fitted, rows in self._dealt(usable, self.seed, discrepancy)]
        params, tokens, loss = (
            np.concatenate([getattr(front, name)[rows] for front, rows in fronts])
            for name in ("params", "tokens", "loss")
        )
        first = fronts[0][0]
        included = all(front.discrepancy for front, _ in fronts)
        return Frontier(first.flops, params, tokens, loss, first.compute_range, included, stacked=True)

    def _dealt(self, laws: list[str], seed: int, discrepancy: bool | None) -> list[tuple[Fit, np.ndarray]]:
        """Each law that gives any draws, and which of them."""
        counts = allocated(np.array([self.weights[law] for law in laws]), DRAWS, seed)
        fits = [self.fits[law] for law in laws]
        dealt = [(f, count) for f, count in zip(fits, counts, strict=True) if count]
        return [(f, evenly(count, len(next(iter(f.joint_draws(discrepancy)[0].values()))))) for f, count in dealt]


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

    laws : names, laws or models, or a mapping from names of your own; by default every law of N and D alone. holdout :
    as for `backtest`; by default cuts at a third, a tenth and a thirtieth of the largest compute, where enough runs lie
    on both sides. engine : one that draws from posteriors, `Auto()` by default. discrepancy : of the predictions that are
    scored, as for `Fit.predict`.

    The weights are stacking weights (Yao et al. 2018) on the log predictive density of held-out runs: of a mixture, not
    probabilities, so that a poor law keeps some where it alone foresaw a few runs; a law whose
    fit to the whole table fails its health checks has none, unless all do. A law that cannot be fitted is
    recorded in `failures`. Raises `OptionError` on an unknown law, `DataError` where a split is empty or too few runs
    can be held out, `FitError` where no law can be fitted or the engine gives no posterior.
    """
    table, models, engine = read_runs(runs), _models(laws), _posterior_engine(engine)
    splits = checked(holdout or _default_cuts(max(len(model.params()) for model in models.values())), table)
    tables = [table, *(table.subset(train) for _, train in splits)]
    fits, scores, failures = {}, {}, {}
    for law, model in models.items():
        try:
            found = fit_many(tables, model, engine=engine, seed=seed, progress=progress)
            scores[law], fits[law] = _scored(found, table, splits, discrepancy), found[0]
        except ScalefitError as refusal:
            failures[law] = str(refusal)
    if not fits:
        raise FitError(f"no law could be fitted: {next(iter(failures.values()))}")
    records = _records(table, splits)
    sound = [law for law, fitted in fits.items() if fitted.health.verdict != "fail"] or list(fits)
    weights = dict.fromkeys(fits, 0.0) | _stacked({law: scores[law].lpd for law in sound}, records["share"])
    loo_weights = _stacked({law: score.loo for law, score in scores.items()})
    return LawComparison(fits, scores, records, weights, loo_weights, failures, seed)


def _stacked(log_density: dict[str, np.ndarray], share: np.ndarray | None = None) -> dict[str, float]:
    found = stacking_weights(np.array(list(log_density.values())), share)
    return dict(zip(log_density, map(float, found), strict=True))


def _models(laws: Any) -> dict[str, Model]:
    """Name -> model of what is to be compared."""
    given = default_laws() if laws is None else [laws] if isinstance(laws, str | Law | Model) else laws
    if not given:
        raise OptionError("there is no law to compare; name some, as in laws=('chinchilla', 'kaplan').")
    if isinstance(given, Mapping):
        return {name: _model(law) for name, law in given.items()}
    models = [(law if isinstance(law, str) else "", _model(law)) for law in given]
    named = {name or model.law.name: model for name, model in models}
    if len(named) < len(models):
        raise OptionError("two of the laws have one name; give a mapping from names of your own.")
    return named


def _model(law: str | Law | Model) -> Model:
    return law if isinstance(law, Model) else Model(find_law(law) if isinstance(law, str) else law)


def default_laws() -> list[str]:
    """The laws that need params and tokens, and nothing else."""
    return sorted(name for name in Law.registry if set(find_law(name).inputs) == {"params", "tokens"})


def _posterior_engine(engine: Engine | str | None) -> Engine:
    """The engine asked for; leaving one out, and a predictive density, take a posterior."""
    found = Auto() if engine is None else find_engine(engine) if isinstance(engine, str) else engine
    if found.kind != "posterior":
        raise OptionError(f"{found.name} gives no posterior, which leaving runs out needs; use 'auto' or 'nuts'.")
    return found


def _default_cuts(parameters: int) -> Holdout:
    """Cuts at `FRACTIONS` of the largest compute, those with enough runs on both sides."""

    def splits(runs: Runs) -> list[Split]:
        enough = [
            cut
            for cut in runs.flops.max() * np.array(FRACTIONS)
            if (runs.flops <= cut).sum() >= LEAST_TRAIN * parameters and (runs.flops > cut).sum() >= LEAST_HELD
        ]
        if not enough:
            raise DataError(
                f"{runs.name}: no cut at 1/3, 1/10 or 1/30 of the largest compute leaves {LEAST_TRAIN * parameters} "
                f"runs below and {LEAST_HELD} above; add runs, compare laws of fewer parameters, or give a holdout."
            )
        # Where no run lies between two cuts they are one split.
        found = above_compute(enough)(runs)
        return [each for i, each in enumerate(found) if all((each[1] != other[1]).any() for other in found[:i])]

    return splits


def _scored(fits: Fits, table: Runs, splits: list[Split], discrepancy: bool | None) -> Scores:
    """A law's scores from its fits to the whole table and below each cut; raises `FitError` where one is missing."""
    labels = ["the whole table", *(label for label, _ in splits)]
    for index, why in fits.failures.items():
        raise FitError(f"{labels[index]}: {why}")
    lpd, ranked = [], []
    for index, (_, train) in enumerate(splits, start=1):
        # The whole table is predicted, so that all splits share their compiled programs.
        fit = fits[index]
        lpd.append(fit.log_density(table, discrepancy)[~train])
        drawn = log_losses(fit.predict(table, discrepancy=discrepancy)[:, ~train])
        ranked.append(crps(drawn, np.log(table.loss[~train])))
    return Scores(np.concatenate(lpd), np.concatenate(ranked), *leave_one_out(fits[0]))


def _records(table: Runs, splits: list[Split]) -> dict[str, np.ndarray]:
    """Which run each score is about, and how much it counts."""
    held = [np.flatnonzero(~train) for _, train in splits]
    rows = np.concatenate(held)
    sizes = [len(each) for each in held]
    labels = np.array([label for label, _ in splits], dtype=object)
    share = np.repeat([1 / len(splits) / size for size in sizes], sizes)
    seen = np.repeat([table.flops[train].max() for _, train in splits], sizes)
    flops = table.flops[rows]
    return {
        "split": np.repeat(labels, sizes),
        "row": rows + 1.0,
        "flops": flops,
        "distance": np.log(flops / seen),
        "share": share,
    }


def laws_table(found: LawComparison) -> "pd.DataFrame":
    """Rows: laws, the best on held-out runs first; columns as `LawComparison.summary` says."""
    import pandas as pd

    share = found.records["share"]
    means = {law: float(share @ score.lpd) for law, score in found.scores.items()}
    order, rows = sorted(means, key=lambda law: -means[law]), {}
    for law in order:
        score = found.scores[law]
        held = {"lpd": score.lpd, "lpd_diff": score.lpd - found.scores[order[0]].lpd, "crps": score.crps}
        row: dict[str, Any] = {"weight": found.weights[law]}
        for name, values in held.items():
            row |= {name: share @ values, f"{name}_se": _shared_error(values, found.records)}
        row |= {"elpd_loo": score.loo.sum(), "elpd_loo_se": np.sqrt(len(score.loo)) * score.loo.std(ddof=1)}
        row |= {"loo_weight": found.loo_weights[law], "pareto_k": score.pareto_k.max()}
        rows[law] = row | {"health": found.fits[law].health.verdict}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("law")
