"""Values of runs to come by a Gaussian step, checked by reweighing the draws."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from scalefit.planning._reweighing import Reweighed, Reweighing

CHECKED = 24  # candidates of most value whose value is computed by reweighing too
AGREES = (0.7, 1.4)  # of the Gaussian step's value over that by reweighing


@dataclass(frozen=True, eq=False)
class Check:
    """Values by reweighing beside those of the Gaussian step.

    Parameters
    ----------
    runs, values, pareto_k
        Candidates by their number; by reweighing, the value of each; and whether to rely on that.
    agreement
        Of the reliable ones that the draws resolve, value by the Gaussian step over that by reweighing; else NaN.
    batch
        The whole batch by reweighing; None without one.
    """

    runs: tuple[int, ...]
    values: Float[np.ndarray, " checked"]
    pareto_k: Float[np.ndarray, " checked"]
    agreement: float
    batch: Reweighed | None

    @classmethod
    def none(cls) -> "Check":
        """Of an aim that has none: the Gaussian step is exact for a variance."""
        return cls((), np.empty(0), np.empty(0), np.nan, None)

    @property
    def agrees(self) -> bool:
        """Whether the Gaussian step does, as far as that can be known."""
        return not np.isfinite(self.agreement) or AGREES[0] <= self.agreement <= AGREES[1]


def check(
    reweighing: Reweighing,
    values: Float[np.ndarray, " candidate"],
    keep: Float[np.ndarray, " candidate"],
    least: float,
    batch: tuple[int, ...],
) -> Check:
    """The candidates of most value by reweighing, and the batch; they agree or not where values are resolved."""
    runs = np.argsort(-values, kind="stable")[:CHECKED]
    found = [reweighing.value([int(run)]) for run in runs]
    by_weights = np.array([each.saved.mean() for each in found]) * keep[runs]
    good = np.array([each.reliable for each in found]) & (values[runs] >= least)
    agreement = float(values[runs][good].sum() / by_weights[good].sum()) if good.any() else np.nan
    together = reweighing.value(list(batch)) if batch else None
    pareto_k = np.array([each.pareto_k for each in found])
    return Check(tuple(map(int, runs)), by_weights, pareto_k, agreement, together)
