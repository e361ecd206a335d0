"""The scales of a law's own error, learned from studies: those whose intervals are worth most beyond the data."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scalefit.errors import DataError
from scalefit.fits.fit import Fit
from scalefit.infer import AIS, Engine, fit_many
from scalefit.model.discrepancy import Discrepancy, Evidence
from scalefit.model.model import Model
from scalefit.validation.extrapolation import CUTS, Case, cases, coverage_scores

if TYPE_CHECKING:
    import pandas as pd


Scores = dict[str, np.ndarray]
"""Name -> (case,), as `coverage_scores` names them."""
PENALTY = 2.0  # of coverage off its nominal value, against ln CRPS
LAW_ALONE, LEFT_OUT = "law alone", "left out"


def default_candidates() -> dict[str, Discrepancy]:
    """The scales in use, and each of them changed."""
    return {
        "in use": Discrepancy(),
        "smaller along compute": Discrepancy(compute=0.015),
        "larger along compute": Discrepancy(compute=0.035),
        "shorter along compute": Discrepancy(compute_length=3.0),
        "larger in allocation": Discrepancy(allocation=0.025),
        "longer in allocation": Discrepancy(allocation_lengths=(4.0, 4.0)),
        "exponents less sure": Discrepancy(exponent=(0.34, 0.2)),
    }


@dataclass(frozen=True, eq=False)
class LearnedDiscrepancy:
    """Candidates for the scales of a law's error, scored on every case.

    discrepancy : the best over all cases. cases : (case,). scores : method -> `Scores`, of the law alone, of every
    candidate, and "left out": in each family of studies the candidate that is best in all others, named in `chosen`.
    """

    discrepancy: Discrepancy
    candidates: Mapping[str, Discrepancy]
    cases: tuple[Case, ...]
    scores: Mapping[str, Scores]
    chosen: Mapping[str, str]

    @property
    def evidence(self) -> Evidence:
        """What was learned from, and what intervals were worth with each family left out, by distance."""
        scores, times = self.scores[LEFT_OUT], np.array([case.times for case in self.cases])
        distances = tuple(sorted(set(times.tolist())))

        def by_distance(name: str) -> tuple[float, ...]:
            return tuple(round(float(np.nanmean(scores[name][times == each])), 3) for each in distances)

        covers = {name: by_distance(score) for name, score in (("loss_90", "loss 90"), ("size_90", "size 90"))}
        return Evidence(len({case.study for case in self.cases}), len(self.cases), distances, **covers)

    def summary(self) -> "pd.DataFrame":
        """Rows: methods. Columns: coverage, CRPS and its ratio to the law alone, error, of ln loss and ln N_opt."""
        return learned_table(self)

    def by_study(self) -> "pd.DataFrame":
        """Rows: studies, the worst of "left out" first. Columns: cuts, and the means of its scores."""
        return studies_table(self)


def learn_discrepancy(
    studies: Mapping[str, Any],
    model: Model | None = None,
    *,
    candidates: Mapping[str, Discrepancy] | None = None,
    cuts: Any = None,
    engine: Engine | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> LearnedDiscrepancy:
    """Score each candidate on every study cut by compute, and choose: over all studies, and with each family left out.

    studies : "family:name" or name -> anything `read_runs` takes. The score is the mean ln CRPS of ln loss and of
    ln N_opt, and `PENALTY` times how far the coverage of 90 and 50 % intervals is from nominal. Takes about 4 CPU-s a
    case and candidate. Raises `DataError` where no study can be cut, or none of the cases can be fitted.
    """
    listed = cases(studies, cuts or CUTS)
    fits = fit_many(
        [case.train for case in listed], model, engine=engine or AIS(draws=500), seed=seed, progress=progress
    )
    fitted = dict(fits.fitted())
    if not fitted:
        raise DataError(f"none of the studies could be fitted: {next(iter(fits.failures.values()))}")
    kept = tuple(listed[i] for i in fitted)
    candidates_by_name = dict(candidates or default_candidates())
    scores = {LAW_ALONE: score(fitted, listed, False)}
    scores |= {name: score(fitted, listed, True, scales) for name, scales in candidates_by_name.items()}
    chosen = {
        family: _best(scores, candidates_by_name, [case.family != family for case in kept])
        for family in _families(kept)
    }
    scores[LEFT_OUT] = _assembled(scores, chosen, kept)
    return LearnedDiscrepancy(
        candidates_by_name[_best(scores, candidates_by_name, [True] * len(kept))],
        candidates_by_name,
        kept,
        scores,
        chosen,
    )


def score(fits: Mapping[int, Fit], listed: list[Case], discrepancy: bool, scales: Discrepancy | None = None) -> Scores:
    """Coverage and scores in every case that has a fit, with the discrepancy on such scales or the law alone."""
    rows = []
    for i, fit in fits.items():
        rescaled = replace(fit, model=replace(fit.model, discrepancy=scales))
        rows.append(coverage_scores(rescaled, listed[i].held, discrepancy))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def objective(scores: Scores, of: Any = slice(None)) -> float:
    """Of the cases `of`: mean ln CRPS of losses and of sizes, and a penalty on coverage that is off; small is good."""
    mean = {name: float(np.nanmean(values[of])) for name, values in scores.items() if not np.isnan(values[of]).all()}
    off = sum(abs(mean[name] - int(name.split()[1]) / 100) for name in mean if name.endswith(("90", "50")))
    sharp = [np.nanmean(np.log(values[of])) for name, values in scores.items() if "crps" in name and name in mean]
    return float(sum(sharp) + PENALTY * off)


def _best(scores: Mapping[str, Scores], candidates_by_name: Mapping[str, Discrepancy], of: list[bool]) -> str:
    """The candidate with the best objective; the first where there are no such cases."""
    if not any(of):
        return next(iter(candidates_by_name))
    return min(candidates_by_name, key=lambda name: objective(scores[name], np.array(of)))


def _families(kept: tuple[Case, ...]) -> list[str]:
    return list(dict.fromkeys(case.family for case in kept))


def _assembled(scores: Mapping[str, Scores], chosen: Mapping[str, str], kept: tuple[Case, ...]) -> Scores:
    """Each case's scores under what was chosen without its family."""
    names = next(iter(scores.values()))
    return {n: np.array([scores[chosen[case.family]][n][i] for i, case in enumerate(kept)]) for n in names}


def learned_table(learned: LearnedDiscrepancy) -> "pd.DataFrame":
    """Rows: methods; means over cases of what `coverage_scores` scores, and CRPS as a ratio to the law alone's."""
    import pandas as pd

    means = {name: {n: np.nanmean(v) for n, v in scores.items()} for name, scores in learned.scores.items()}
    table = pd.DataFrame.from_dict(means, orient="index").rename_axis("method")
    for what in ("loss", "size"):
        table[f"{what} ratio"] = table[f"{what} crps"] / table[f"{what} crps"].iloc[0]
    return table


def studies_table(learned: LearnedDiscrepancy) -> "pd.DataFrame":
    """Rows: studies, worst coverage of losses first; cuts, and means of the scores with the study's family left out."""
    import pandas as pd

    table = pd.DataFrame(learned.scores["left out"]).assign(study=[case.study for case in learned.cases])
    grouped = table.groupby("study")
    return grouped.mean().assign(cuts=grouped.size()).sort_values("loss 90")
