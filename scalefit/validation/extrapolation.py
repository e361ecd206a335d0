"""Intervals beyond the data: many studies, each cut by compute, the smaller runs predicting the larger.

Every (study, cut) weighs the same. Losses of the larger runs are predicted, and, where these hold isoFLOP curves, the
sizes at their minima, which have an error of their own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from scalefit.counting.compute import EQUAL_COMPUTE
from scalefit.errors import DataError
from scalefit.fits.fit import Fit
from scalefit.frontier.isoflop_minima import isoflop_minima, vertices
from scalefit.io.read import read_runs
from scalefit.runs import Runs
from scalefit.validation.scores import crps, inside, log_losses, pit

CUTS = (3.0, 10.0, 30.0)
LEAST_TRAINING, LEAST_HELD = 12, 3
TARGETS = ("loss", "size")  # what is scored: ln loss, and ln N_opt at isoFLOP minima
COVERAGE = {"90": 0.9, "50": 0.5}  # scores that are coverage -> nominal


@dataclass(frozen=True, eq=False)
class Case:
    """One study, cut by compute.

    Parameters
    ----------
    study
        Its name. Studies of one family, the part of the name before a colon, are not independent.
    times
        The cut: largest compute over that of `train`.
    train, held
        The runs up to the cut, and the larger ones.
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
    """Every study at every cut that leaves enough runs on both sides.

    Parameters
    ----------
    studies
        Name -> anything `read_runs` takes.
    cuts
        Largest compute over that of the smaller runs.

    Returns
    -------
    list of Case
        In the order of the studies.

    Raises
    ------
    DataError
        No cut of any study leaves enough runs.
    """
    cuts, found = tuple(cuts), []
    for name, table in studies.items():
        runs = read_runs(table)
        for times in cuts:
            train = runs.flops <= EQUAL_COMPUTE * runs.flops.max() / times
            if train.sum() >= LEAST_TRAINING and (~train).sum() >= LEAST_HELD:
                found.append(Case(name, times, runs.subset(train), runs.subset(~train)))
    if not found:
        raise DataError(
            f"no study has {LEAST_TRAINING} runs below a cut and {LEAST_HELD} above it, at 1/"
            f"{', 1/'.join(f'{cut:g}' for cut in cuts)} of its largest compute; give larger sweeps."
        )
    return found


def coverage_scores(fit: Fit, held: Runs, discrepancy: bool | None = None) -> dict[str, float]:
    """Scores of predictions of larger runs, in ln loss and in ln N_opt.

    Parameters
    ----------
    fit
        To the smaller runs.
    held
        The larger runs.
    discrepancy
        As for `Fit.predict`; losses are predicted with noise.

    Returns
    -------
    dict
        "loss" and "size", each with "90" and "50" (coverage), "crps" and "mae" (median absolute error), as in
        "loss 90". NaN for "size" where the runs show no isoFLOP minimum.
    """
    losses = log_losses(fit.predict(held, discrepancy=discrepancy))
    _, sizes, best = sizes_at_minima(fit, held, discrepancy)
    return _scores("loss", losses, np.log(held.loss)) | _scores("size", sizes, best)


def sizes_at_minima(
    fit: Fit, held: Runs, discrepancy: bool | None = None
) -> tuple[Float[np.ndarray, " minimum"], Float[np.ndarray, "draw minimum"], Float[np.ndarray, " minimum"]]:
    """Best sizes at the isoFLOP minima of larger runs, as a fit predicts them and as the runs show them.

    The vertex of a parabola is not the best size: the loss is no parabola in ln N, and the compute of runs of one line
    varies a little. How far it misses at these very runs is what it misses by on the fit's own losses of them, the
    median over draws, which is taken off.

    Parameters
    ----------
    fit, held, discrepancy
        As for `coverage_scores`.

    Returns
    -------
    tuple
        FLOP (minimum,), predicted ln N_opt (draw, minimum), and that of the runs (minimum,). Each predicted draw has an
        error of the minimum's size, from the fit's seed.
    """
    minima = isoflop_minima(held)
    if not minima:
        return np.empty(0), np.empty((1, 0)), np.empty(0)
    flops, best, error, rows = zip(*minima, strict=True)
    found = np.log(fit.frontier(np.array(flops), discrepancy).params)
    losses = np.log(fit.predict(held, noise=False, discrepancy=discrepancy))
    shown = np.stack([vertices(np.log(held.params[each]), losses[:, each]) for each in rows], axis=1)
    noise = np.array(error) * np.random.default_rng(fit.seed).normal(size=found.shape)
    return np.array(flops), found + noise, np.array(best) - np.median(shown - found, axis=0)


def _scores(
    target: str, draws: Float[np.ndarray, "draw case"], observed: Float[np.ndarray, " case"]
) -> dict[str, float]:
    if not len(observed):
        return dict.fromkeys((f"{target} {name}" for name in (*COVERAGE, "crps", "mae")), float("nan"))
    place = pit(draws, observed)
    covers = {f"{target} {name}": float(inside(place, prob).mean()) for name, prob in COVERAGE.items()}
    return covers | {
        f"{target} crps": float(crps(draws, observed).mean()),
        f"{target} mae": float(np.median(np.abs(np.median(draws, axis=0) - observed))),
    }
