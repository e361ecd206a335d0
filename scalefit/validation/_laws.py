"""Which laws are compared, by which engine, at which cuts, and the scores of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from scalefit.errors import DataError, FitError, OptionError
from scalefit.infer import Auto, Engine, Fits, find_engine
from scalefit.laws import Law, find_law
from scalefit.model.model import Model
from scalefit.runs import Runs
from scalefit.validation.holdout import Holdout, Split, above_compute
from scalefit.validation.loo import leave_one_out
from scalefit.validation.scores import crps, log_losses

FRACTIONS = (1 / 3, 1 / 10, 1 / 30)  # of the largest compute: where the default cuts lie
LEAST_HELD = 5  # runs to predict beyond a default cut: every split weighs the same, so none may hang on a run or two
LEAST_TRAIN = 2  # runs to train on below it, for each parameter of the largest law


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of one law's predictions.

    Parameters
    ----------
    lpd, crps
        Of held-out runs: log predictive density of ln loss, and CRPS of ln loss.
    loo, pareto_k
        Of the whole table: PSIS leave-one-out log density of each run, and its Pareto k.
    """

    lpd: Float[np.ndarray, " record"]
    crps: Float[np.ndarray, " record"]
    loo: Float[np.ndarray, " run"]
    pareto_k: Float[np.ndarray, " run"]


def models_by_name(laws: Any) -> dict[str, Model]:
    """The models to be compared.

    Parameters
    ----------
    laws
        As for `compare_laws`.

    Returns
    -------
    dict
        Name -> model.

    Raises
    ------
    OptionError
        There is no law, one is unknown, or two have one name.
    """
    given = default_laws() if laws is None else [laws] if isinstance(laws, str | Law | Model) else laws
    if not given:
        raise OptionError("there is no law to compare. Name some, as in laws=('chinchilla', 'kaplan').")
    if isinstance(given, Mapping):
        return {name: _model(law) for name, law in given.items()}
    models = [(law if isinstance(law, str) else "", _model(law)) for law in given]
    named = {name or model.law.name: model for name, model in models}
    if len(named) < len(models):
        raise OptionError("two of the laws have one name. Give a mapping from names of your own.")
    return named


def _model(law: str | Law | Model) -> Model:
    return law if isinstance(law, Model) else Model(find_law(law) if isinstance(law, str) else law)


def default_laws() -> list[str]:
    """The laws that need params and tokens, and nothing else."""
    return sorted(name for name in Law.registry if set(find_law(name).inputs) == {"params", "tokens"})


def posterior_engine(engine: Engine | str | None) -> Engine:
    """The engine asked for, or `Auto()`; raises `OptionError` where it gives no posterior."""
    found = Auto() if engine is None else find_engine(engine) if isinstance(engine, str) else engine
    if found.kind != "posterior":
        raise OptionError(
            f"{found.name} gives no posterior, and laws are compared by posteriors. Use 'auto' or 'nuts'."
        )
    return found


def default_cuts(parameters: int) -> Holdout:
    """Cuts at `FRACTIONS` of the largest compute, those with enough runs on both sides.

    Parameters
    ----------
    parameters
        How many the largest law has, noise included.

    Returns
    -------
    function
        From runs to splits; it raises `DataError` where no cut has enough.
    """

    def splits(runs: Runs) -> list[Split]:
        enough = [
            cut
            for cut in runs.flops.max() * np.array(FRACTIONS)
            if (runs.flops <= cut).sum() >= LEAST_TRAIN * parameters and (runs.flops > cut).sum() >= LEAST_HELD
        ]
        if not enough:
            raise DataError(
                f"{runs.name}: no cut at 1/3, 1/10 or 1/30 of the largest compute leaves {LEAST_TRAIN * parameters} "
                f"runs below and {LEAST_HELD} above. Add runs, compare laws of fewer parameters, or give a holdout."
            )
        # Where no run lies between two cuts they are one split.
        found = above_compute(enough)(runs)
        return [each for i, each in enumerate(found) if all((each[1] != other[1]).any() for other in found[:i])]

    return splits


def score_law(fits: Fits, table: Runs, splits: list[Split], discrepancy: bool | None) -> Scores:
    """A law's scores from its fits to the whole table and below each cut; raises `FitError` where one is missing."""
    labels = ["the whole table", *(label for label, _ in splits)]
    for index, why in fits.failures.items():
        raise FitError(f"{labels[index]}: {why}")
    lpd, ranked = [], []
    for index, (_, train) in enumerate(splits, start=1):
        # The whole table is predicted, so that all splits share their compiled programs.
        fit = fits[index]
        lpd.append(fit.log_density(table, discrepancy)[~train])
        drawn = log_losses(fit.predict(table, discrepancy=discrepancy)[:, ~train], table.unit)
        ranked.append(crps(drawn, np.log(table.loss[~train])))
    return Scores(np.concatenate(lpd), np.concatenate(ranked), *leave_one_out(fits[0]))


def held_out_records(table: Runs, splits: list[Split]) -> dict[str, np.ndarray]:
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
