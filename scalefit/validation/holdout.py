"""Ways to hold runs out: each gives, for a table, the splits (label, mask of the training runs)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from scalefit.errors import DataError
from scalefit.runs import Runs
from scalefit.units import format_flops, positive_budgets

Split = tuple[str, np.ndarray]
Holdout = Callable[[Runs], list[Split]]


def above_compute(cuts: Any) -> Holdout:
    """Train on the runs at or below each cut (FLOP), predict those above."""
    flops = positive_budgets(cuts)
    return lambda runs: [(f"above {format_flops(cut)}", runs.flops <= cut) for cut in flops]


def rolling_origin(splits: int = 5, least: float = 0.3, most: float = 0.9) -> Holdout:
    """Compute cuts at even quantiles of the runs' compute, from `least` to `most`."""
    return lambda runs: above_compute(np.quantile(runs.flops, np.linspace(least, most, splits)))(runs)


def by_group(column: str) -> Holdout:
    """Hold out each value of a column in turn."""
    return lambda runs: [(f"{column} {value}", runs[column] != value) for value in np.unique(runs[column])]


def random_folds(folds: int = 5, seed: int = 0) -> Holdout:
    """Hold out each of `folds` random parts in turn: interpolation, for comparison with extrapolation."""

    def splits(runs: Runs) -> list[Split]:
        fold = np.random.default_rng(seed).permutation(len(runs)) % folds
        return [(f"fold {index + 1}", fold != index) for index in range(folds)]

    return splits


def checked(holdout: Holdout, runs: Runs) -> list[Split]:
    """The splits; raises `DataError` where one has nothing to train on or nothing to predict."""
    splits = holdout(runs)
    for label, train in splits:
        if not train.any() or train.all():
            side = "train on" if not train.any() else "predict"
            raise DataError(f"{runs.name}: split '{label}' leaves no run to {side}; choose a cut inside the data.")
    return splits
