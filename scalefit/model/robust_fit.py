"""A discrepancy fitted to a table with its law fixed, by least squares in which outliers count little."""

from collections.abc import Callable

import numpy as np

from scalefit.model.data import Theta
from scalefit.model.discrepancy import coordinates, kernel, pivots
from scalefit.model.model import BoundModel
from scalefit.model.paths import AtPivots

SWEEPS = 10  # of reweighted least squares, for t noise of `NU` degrees of freedom
NU = 4.0
Columns = dict[str, np.ndarray]


def robust_fit(bound: BoundModel, theta: Theta, log_x: Columns) -> tuple[Callable[[Columns], np.ndarray], float]:
    """ln loss of a law with the discrepancy that fits its table best, and the scale of what it leaves.

    Parameters
    ----------
    bound
        Model and table.
    theta
        Law and noise, scalars in unit-free coordinates.
    log_x
        ln of the law's inputs by name, (run,), in units of the table, as the function found takes them.
    """
    law, unit, sets = bound.model.law, bound.unit, bound.model.discrepancy
    assert sets is not None, "tables without a discrepancy are not squashed"
    of_law = lambda log_x: np.log(np.asarray(law.loss(theta, {name: np.exp(v) for name, v in log_x.items()})))
    at_runs = lambda log_x: coordinates({name: np.exp(log_x[name]) * unit[name] for name in ("params", "tokens")})
    bendable = min(sets.scales, key=lambda scales: (scales.compute_length, -scales.allocation))
    centres, basis = pivots(bendable, at_runs(log_x))
    at, basis = AtPivots.of(bendable, centres), basis[:, : len(centres)]

    off = np.log(bound.runs.loss / unit["loss"]) - of_law(log_x)
    rest, scale = off, max(float(np.median(np.abs(off))), 1e-9)
    for _ in range(SWEEPS):
        weight = 1 / (1 + (rest / scale) ** 2 / NU)
        gram = (basis.T * weight) @ basis + scale**2 * np.eye(len(centres))
        coefficients = np.linalg.solve(gram, basis.T @ (weight * off))
        rest = off - basis @ coefficients
        scale = max(float(np.sqrt((weight * rest**2).sum() / weight.sum())), 1e-9)
    f = lambda log_x: kernel(at.scales, at_runs(log_x)[:, None], centres[None]) @ (at.whiten.T @ coefficients)
    return lambda log_x: of_law(log_x) + f(log_x), scale
