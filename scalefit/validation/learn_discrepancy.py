"""Scales of the discrepancy, learned from studies: those whose intervals score best beyond the data."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from scalefit._quantities import ratio
from scalefit._results import PROB, Result
from scalefit._tables import Table, by_rows
from scalefit.errors import DataError
from scalefit.fits.fit import Fit
from scalefit.infer import AIS, Engine, fit_many
from scalefit.model.discrepancy import ALLOCATIONS, CURVATURE, Discrepancy, Evidence, scale_grid
from scalefit.model.model import Model
from scalefit.validation.extrapolation import COVERAGE, CUTS, TARGETS, Case, cases, coverage_scores

if TYPE_CHECKING:
    import pandas as pd


Scores = dict[str, Float[np.ndarray, " case"]]
"""Name -> (case,), as `coverage_scores` names them."""
PENALTY = 2.0  # of coverage off its nominal value, against ln CRPS
LAW_ONLY, LEFT_OUT = "law only", "left out"


def default_candidates() -> dict[str, Discrepancy]:
    """The scales in use, and each part of them changed."""
    larger = tuple(1.5 * a for a in ALLOCATIONS)
    return {
        "in use": Discrepancy(),
        "larger along compute": Discrepancy(scale_grid(curvature=2 * CURVATURE)),
        "larger in allocation": Discrepancy(scale_grid(allocations=larger)),
        "larger and longer in allocation": Discrepancy(scale_grid(allocations=larger, allocation_lengths=(4.0, 4.0))),
        "exponents less sure": Discrepancy(exponent=(0.34, 0.2)),
        "exponents surer": Discrepancy(exponent=(0.34, 0.09)),
    }


@dataclass(frozen=True, eq=False, repr=False)
class LearnedDiscrepancy(Result):
    """Candidates for the scales of a discrepancy, scored on every case.

    Parameters
    ----------
    discrepancy
        The choice over all cases.
    candidates
        Name -> scales.
    cases
        Studies cut by compute.
    scores
        Method -> scores (case,) as `coverage_scores` names them: of "law only", of every candidate, and of "left out",
        which takes in each family of studies the candidate that is chosen by all others.
    chosen
        Family -> that candidate.
    """

    discrepancy: Discrepancy
    candidates: Mapping[str, Discrepancy]
    cases: tuple[Case, ...]
    scores: Mapping[str, Scores]
    chosen: Mapping[str, str]

    @property
    def evidence(self) -> Evidence:
        """What was learned from, and the coverage of intervals with each family left out, by distance."""
        scores, times = self.scores[LEFT_OUT], np.array([case.times for case in self.cases])
        distances, families = tuple(sorted(set(times.tolist()))), self._families
        by_family = {name: float(np.nanmean(scores["loss 90"][families == name])) for name in dict.fromkeys(families)}
        worst = min(by_family, key=lambda name: by_family[name])

        def by_distance(name: str) -> tuple[float, ...]:
            rows = [np.where(times == each, scores[name], np.nan) for each in distances]
            return tuple(round(family_mean(row, families), 3) for row in rows)

        return Evidence(
            studies=len({case.study for case in self.cases}),
            families=len(by_family),
            cases=len(self.cases),
            times=distances,
            loss_90=by_distance("loss 90"),
            size_90=by_distance("size 90"),
            worst_family=worst,
            worst_90=round(by_family[worst], 3),
        )

    @property
    def _families(self) -> np.ndarray:
        return np.array([case.family for case in self.cases])

    def headline(self, prob: float = PROB) -> str:
        """The chosen candidate, and how its intervals score on families that it was not chosen from."""
        name = next(name for name, scales in self.candidates.items() if scales == self.discrepancy)
        mean = lambda method, score: family_mean(self.scores[method][f"loss {score}"], self._families)
        cover, crps = (mean(LEFT_OUT, score) for score in ("90", "crps"))
        return (
            f"Of {len(self.candidates)} candidates, {len(self.cases)} cases choose {name!r}; on families of studies "
            f"left out, nominal 90% intervals contained {cover:.0%} of the losses of larger runs, with "
            f"{ratio(crps / mean(LAW_ONLY, 'crps'))} times the CRPS of the law only."
        )

    def summary(self) -> "pd.DataFrame":
        """Scores of every method, means over families of their means over cases.

        Returns
        -------
        pandas.DataFrame
            Rows: methods. Columns: those of `coverage_scores`, and "loss ratio" and "size ratio", the CRPS over that of
            the law only.
        """
        return self._all_columns().frame()

    def by_study(self) -> "pd.DataFrame":
        """Scores of "left out" in every study.

        Returns
        -------
        pandas.DataFrame
            Rows: studies, the worst coverage of losses first. Columns: means of the scores, and cuts.
        """
        import pandas as pd

        table = pd.DataFrame(self.scores[LEFT_OUT]).assign(study=[case.study for case in self.cases])
        grouped = table.groupby("study")
        return grouped.mean().assign(cuts=grouped.size()).sort_values("loss 90")

    def _table(self, prob: float) -> Table:
        columns = [f"{target} {name}" for target in TARGETS for name in (*COVERAGE, "crps", "ratio")]
        shares = [f"{target} {name}" for target in TARGETS for name in COVERAGE]
        return self._all_columns().only(columns).in_units(dict.fromkeys(shares, "share"))

    def _all_columns(self) -> Table:
        families = self._families
        rows = {
            method: {name: family_mean(values, families) for name, values in scores.items()}
            for method, scores in self.scores.items()
        }
        for row in rows.values():
            row |= {f"{target} ratio": row[f"{target} crps"] / rows[LAW_ONLY][f"{target} crps"] for target in TARGETS}
        return by_rows("method", rows)


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
    """Score candidates on every study cut by compute, and choose one over all studies, and with each family left out.

    Takes about 1 CPU-s a case and candidate. The first candidate gives way to the one of the best `objective` where
    that is better by more than the standard error of their difference, by a jackknife over families: the
    one-standard-error rule of Breiman et al. 1984, Classification and Regression Trees, section 3.4.3.

    Parameters
    ----------
    studies
        "family:name" or name -> anything `read_runs` takes.
    model
        `Model()` by default.
    candidates
        Name -> scales, the first of them those that are to be kept in doubt; `default_candidates` by default.
    cuts
        Largest compute over that of the smaller runs; 3, 10 and 30 by default.
    engine
        `AIS(draws=500)` by default.
    seed
        Of all fits.
    progress
        Whether to show it; None shows it in a terminal.

    Returns
    -------
    LearnedDiscrepancy
        `sf.Model(discrepancy=learned.discrepancy)` uses the choice.

    Raises
    ------
    DataError
        No study can be cut, or none of the cases can be fitted.
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
    scores = {LAW_ONLY: score(fitted, listed, False)}
    scores |= {name: score(fitted, listed, True, scales) for name, scales in candidates_by_name.items()}
    families = np.array([case.family for case in kept])
    chosen = {family: _chosen(scores, candidates_by_name, families, family) for family in dict.fromkeys(families)}
    scores[LEFT_OUT] = {
        name: np.array([scores[chosen[case.family]][name][i] for i, case in enumerate(kept)])
        for name in scores[LAW_ONLY]
    }
    best = candidates_by_name[_chosen(scores, candidates_by_name, families, without="")]
    return LearnedDiscrepancy(best, candidates_by_name, kept, scores, chosen)


def score(fits: Mapping[int, Fit], listed: list[Case], discrepancy: bool, scales: Discrepancy | None = None) -> Scores:
    """Scores of every case that has a fit, with a discrepancy on such scales or of the law only."""
    rows = []
    for i, fit in fits.items():
        rescaled = replace(fit, model=replace(fit.model, discrepancy=scales))
        rows.append(coverage_scores(rescaled, listed[i].held, discrepancy))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def family_mean(values: Float[np.ndarray, " case"], families: np.ndarray) -> float:
    """The mean over families of the mean over each one's cases; of those that have a value."""
    means = [values[families == name] for name in dict.fromkeys(families)]
    return float(np.mean([np.nanmean(each) for each in means if not np.isnan(each).all()] or [np.nan]))


def objective(scores: Scores, families: np.ndarray) -> float:
    """What a good candidate minimises: mean ln CRPS, and a penalty on coverage that is not nominal.

    Parameters
    ----------
    scores
        As `coverage_scores` names them.
    families
        Of the cases, (case,): each counts the same.

    Returns
    -------
    float
        Over losses, and over sizes where any case has isoFLOP minima.
    """
    known = [target for target in TARGETS if not np.isnan(scores[f"{target} crps"]).all()]
    off = sum(
        abs(family_mean(scores[f"{target} {name}"], families) - prob)
        for target in known
        for name, prob in COVERAGE.items()
    )
    sharp = [family_mean(np.log(scores[f"{target} crps"]), families) for target in known]
    return float(sum(sharp) + PENALTY * off)


def _chosen(scores: Mapping[str, Scores], candidates: Mapping[str, Discrepancy], families: Any, without: str) -> str:
    """The candidate that all other families choose; the first where there are none."""
    first, others = next(iter(candidates)), families != without
    if not others.any():
        return first
    of = {name: {score: values[others] for score, values in scores[name].items()} for name in candidates}
    found = {name: objective(of[name], families[others]) for name in candidates}
    best = min(found, key=lambda name: found[name])
    return best if found[first] - found[best] > _error(of[first], of[best], families[others]) else first


def _error(one: Scores, other: Scores, families: np.ndarray) -> float:
    """Standard error of the difference of the `objective` of two candidates, by a jackknife over families."""
    names = list(dict.fromkeys(families))
    if len(names) < 3:
        return 0.0
    part = lambda scores, kept: objective({name: values[kept] for name, values in scores.items()}, families[kept])
    without = np.array([part(one, families != name) - part(other, families != name) for name in names])
    return float(np.sqrt((len(names) - 1) * np.var(without)))
