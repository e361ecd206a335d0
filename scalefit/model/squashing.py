"""A few weighted runs that stand for a large table, in whose place densities are evaluated on them.

Runs that are close in every input, and in what a reference leaves of their loss, become two that count for half of them
each: with the same means, the same variance of the residuals, and the same covariances of these with the inputs. The
reference is a law with a discrepancy, both near those of interest. What is left out is how others differ from it within
a cell of inputs, and how the noise's density bends within a bin of residuals.

References
----------
DuMouchel, Volinsky, Johnson, Cortes and Pregibon 1999, Squashing flat files flatter, KDD, 6.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from scalefit.model.data import Theta
from scalefit.model.model import BoundModel
from scalefit.model.robust_fit import robust_fit
from scalefit.numerics.kd_tree import kd_order
from scalefit.runs import Runs

CELLS = 0.9  # times the root of the number of runs: cells of inputs, of which there is a power of two
BIN, BIN_AT = 0.5, 5000  # width of a bin of residuals in units of 2 sigma, of a table of so many runs


def squashed(bound: BoundModel, theta: Theta, finer: int = 0) -> tuple[BoundModel, Float[np.ndarray, " group"]]:
    """Fewer runs, and how many of the table's each counts for.

    Parameters
    ----------
    bound
        Model and table, whose runs have errors of their own of one scale.
    theta
        The law of the reference, scalars in unit-free coordinates.
    finer
        How many times cells of inputs are halved beyond the default.
    """
    runs = bound.runs
    log_x = {name: np.log(runs[name] / bound.unit[name]) for name in bound.model.law.inputs}
    reference, scale = robust_fit(bound, theta, log_x)
    rest = np.log(runs.loss / bound.unit["loss"]) - reference(log_x)

    halvings = max(round(np.log2(CELLS * np.sqrt(len(runs)))), 0) + finer
    order = kd_order(np.column_stack([v / max(np.ptp(v), 1e-9) for v in log_x.values()]), halvings)
    cell = np.empty(len(runs), dtype=int)
    cell[order] = np.arange(len(runs)) * 2**halvings // len(runs)
    width = BIN * (BIN_AT / len(runs)) ** 0.125  # the error of a sum over all runs grows as its root, and width^4
    bins = np.floor(np.arcsinh(rest / (2 * scale)) / width)  # wide in the tails, where density is flat
    _, group = np.unique(np.column_stack([cell, bins]), axis=0, return_inverse=True)

    count = np.bincount(group.ravel()).astype(float)
    mean = lambda values: np.bincount(group.ravel(), values) / count
    middle = mean(rest)
    spread = np.sqrt(np.maximum(mean(rest**2) - middle**2, 0.0)) * (count > 1)
    both = lambda low, high: np.concatenate([low, high[count > 1]])
    at: dict[str, np.ndarray] = {}
    for name, values in log_x.items():  # apart by what they vary with the residuals
        centre, off = mean(values), (mean(values * rest) - mean(values) * middle) / np.maximum(spread, 1e-300)
        at[name] = both(centre - off * (spread > 0), centre + off * (spread > 0))
    log_loss = reference(at) + both(middle - spread, middle + spread)
    half = np.where(count > 1, count / 2, count)
    columns = {name: np.exp(values) * bound.unit[name] for name, values in at.items()}
    few = Runs({**columns, "loss": np.exp(log_loss) * bound.unit["loss"]}, name=runs.name)
    return replace(bound, runs=few), both(half, half)
