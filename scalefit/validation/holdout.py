"""Ways to hold runs out: each is a function from a table to its splits (label, mask of the training runs)."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool

from scalefit.errors import DataError
from scalefit.runs import Runs
from scalefit.units import format_flops, positive_budgets

Split = tuple[str, Bool[np.ndarray, " run"]]
Holdout = Callable[[Runs], list[Split]]


def above_compute(cuts: Any) -> Holdout:
    """Train on the runs at or below each cut, predict those above.

    Parameters
    ----------
    cuts
        FLOP, one or many.

    Raises
    ------
    OptionError
        A cut is not a positive number.
    """
    flops = positive_budgets(cuts)
    return lambda runs: [(f"above {format_flops(cut)}", runs.flops <= cut) for cut in flops]


def rolling_origin(splits: int = 5, least: float = 0.3, most: float = 0.9) -> Holdout:
    """Compute cuts at even quantiles of the runs' compute.

    Parameters
    ----------
    splits
        How many.
    least, most
        The first and the last quantile.
    """
    return lambda runs: above_compute(np.quantile(runs.flops, np.linspace(least, most, splits)))(runs)


def by_group(column: str) -> Holdout:
    """Hold out each value of a column of the table in turn."""
    return lambda runs: [(f"{column} {value}", runs[column] != value) for value in np.unique(runs[column])]


def random_folds(folds: int = 5, seed: int = 0) -> Holdout:
    """Hold out random parts in turn: interpolation, for comparison with extrapolation.

    Parameters
    ----------
    folds
        How many parts.
    seed
        Of the parts.
    """

    def splits(runs: Runs) -> list[Split]:
        fold = np.random.default_rng(seed).permutation(len(runs)) % folds
        return [(f"fold {index + 1}", fold != index) for index in range(folds)]

    return splits


def checked(holdout: Holdout, runs: Runs) -> list[Split]:
    """The splits of a table, clusters held out whole where one of their runs is; raises `DataError` where one has
    nothing to train on or nothing to predict."""
    splits = holdout(runs)
    if (groups := runs.clusters) is not None:
        splits = [(label, (np.bincount(groups, ~train) == 0)[groups]) for label, train in splits]
    for label, train in splits:
        if not train.any() or train.all():
            side = "train on" if not train.any() else "predict"
            raise DataError(f"{runs.name}: split '{label}' leaves no run to {side}. Choose a cut inside the data.")
    return splits
