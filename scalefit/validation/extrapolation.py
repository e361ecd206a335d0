"""What intervals are worth beyond the data: many studies, each cut by compute, the smaller runs predicting the larger.

Every (study, cut) weighs the same. Losses of the larger runs are predicted, and, where these hold isoFLOP curves, the
sizes at their minima, which have an error of their own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scalefit.errors import DataError
from scalefit.fits.fit import Fit
from scalefit.frontier.approaches import isoflop_minima
from scalefit.io.read import read_runs
from scalefit.runs import Runs
from scalefit.validation.scores import crps, inside, log_losses, pit

CUTS = (3.0, 10.0, 30.0)
LEAST_TRAINING, LEAST_HELD = 12, 3
ROUNDING = 1.0001  # of compute, so that runs of one budget fall on one side of a cut


@dataclass(frozen=True, eq=False)
class Case:
    """One study cut: `train` holds the runs up to 1/`times` of its largest compute, `held` the larger ones.

    family : what the study's name says before a colon; studies of one family are not independent.
    """

    study: str
    times: float
    train: Runs
    held: Runs

    @property
    def family(self) -> str:
        """The name's part before a colon."""
        return self.study.partition(":")[0]


def cases(studies: Mapping[str, Any], cuts: Iterable[float] = CUTS) -> list[Case]:
    """Every study, by name, at every cut that leaves enough runs on both sides.

    studies : name -> anything `read_runs` takes. Raises `DataError` where no cut leaves enough.
    """
    cuts, found = tuple(cuts), []
    for name, table in studies.items():
        runs = read_runs(table)
        for times in cuts:
            train = runs.flops <= ROUNDING * runs.flops.max() / times
            if train.sum() >= LEAST_TRAINING and (~train).sum() >= LEAST_HELD:
                found.append(Case(name, times, runs.subset(train), runs.subset(~train)))
    if not found:
        raise DataError(
            f"no study has {LEAST_TRAINING} runs below a cut and {LEAST_HELD} above it, at 1/"
            f"{', 1/'.join(f'{cut:g}' for cut in cuts)} of its largest compute; give larger sweeps."
        )
    return found


def coverage_scores(fit: Fit, held: Runs, discrepancy: bool | None = None) -> dict[str, float]:
    """Coverage of 90 and 50 % intervals, CRPS and median absolute error, of ln loss and of ln N_opt of larger runs.

    discrepancy : as for `Fit.predict`; losses are predicted with noise. NaN for ln N_opt where the runs hold no isoFLOP minimum.
    """
    losses = log_losses(fit.predict(held, discrepancy=discrepancy))
    return _coverage_scores("loss", losses, np.log(held.loss)) | size_coverage_scores(fit, held, discrepancy)


def size_coverage_scores(fit: Fit, held: Runs, discrepancy: bool | None = None) -> dict[str, float]:
    """Those of ln N_opt."""
    _, draws, best = sizes_at_minima(fit, held, discrepancy)
    if not len(best):
        return dict.fromkeys((f"size {name}" for name in ("90", "50", "crps", "mae")), float("nan"))
    return _coverage_scores("size", draws, best)


def sizes_at_minima(fit: Fit, held: Runs, discrepancy: bool | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """flops (minimum,), ln N_opt as predicted (draw, minimum) and as the runs show it (minimum,).

    Each predicted draw carries an error of the minimum's size, from the fit's seed.
    """
    minima = isoflop_minima(held)
    if not minima:
        return np.empty(0), np.empty((1, 0)), np.empty(0)
    flops, best, error = (np.array(values) for values in zip(*minima, strict=True))
    found = np.log(fit.frontier(flops, discrepancy).params)
    return flops, found + error * np.random.default_rng(fit.seed).normal(size=found.shape), best


def _coverage_scores(name: str, draws: np.ndarray, observed: np.ndarray) -> dict[str, float]:
    place = pit(draws, observed)
    return {
        f"{name} 90": float(inside(place, 0.9).mean()),
        f"{name} 50": float(inside(place, 0.5).mean()),
        f"{name} crps": float(crps(draws, observed).mean()),
        f"{name} mae": float(np.median(np.abs(np.median(draws, axis=0) - observed))),
    }
