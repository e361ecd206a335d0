"""Residuals and the predictive check of a fit, for the page and for pictures."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from scalefit.fits.fit import Fit

MOST = 2000  # runs that are looked at
NAMED = 8


@dataclass(frozen=True)
class Diagnosis:
    """How the runs lie about the fit.

    Parameters
    ----------
    rows
        Of the table, from 0: all, or some of a long one, evenly.
    residual
        ln loss less the median of its posterior, noise left out.
    pit
        Share of the posterior predictive draws below each loss: uniform where the model is right.
    far
        Positions among `rows` of those that the noise does not explain, as health names them; the furthest `NAMED`.
    """

    rows: Int[np.ndarray, " run"]
    residual: Float[np.ndarray, " run"]
    pit: Float[np.ndarray, " run"]
    far: Int[np.ndarray, " far"]


def diagnose(fit: Fit) -> Diagnosis:
    """Residuals and predictive ranks of a fit's runs, with discrepancy as the model has it."""
    rows = np.unique(np.linspace(0, len(fit.runs) - 1, min(len(fit.runs), MOST)).round().astype(int))
    runs = fit.runs.subset(rows)
    expected = fit.predict(runs, noise=False)
    drawn = fit.add_noise(expected)
    residual = np.log(runs.loss) - np.log(np.median(expected, axis=0))
    far = np.flatnonzero(fit.far_runs.far[rows])
    far = np.sort(far[np.argsort(-np.abs(residual[far]), kind="stable")[:NAMED]])
    return Diagnosis(rows, residual, (drawn <= runs.loss).mean(axis=0), far)
