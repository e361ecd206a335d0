"""Which runs lie off the model: residuals in units of the noise's scale, and those that the noise does not explain."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from scalefit.diagnostics.checks import Check, Draws
from scalefit.diagnostics.explained import Components, Explained, components_of, explained, shared_errors
from scalefit.diagnostics.residuals import MANY, NU, residuals_of
from scalefit.diagnostics.rows import label_column, percent, row_label
from scalefit.errors import QuestionError
from scalefit.model.model import BoundModel
from scalefit.runs import Runs

if TYPE_CHECKING:
    import pandas as pd

FAR_P, LEAST_FAR = 0.01, 0.015  # familywise p under the noise, and share of the loss, of runs that are named
SPARE = 6  # runs beyond the law's parameters, below which the runs alone tell no noise from a law through them
NAMED = 5
DRAWS = 500


@dataclass(frozen=True)
class FarRuns:
    """Residuals of runs off the model.

    Attributes
    ----------
    rows
        Of the table, from 0, (run,).
    off
        ln loss less the model's, (run,).
    sigma
        Scale of the noise, (run,): one number but for very long tables.
    """

    rows: Int[np.ndarray, " run"]
    off: Float[np.ndarray, " run"]
    sigma: Float[np.ndarray, " run"]

    @classmethod
    def of(cls, found: Explained) -> "FarRuns":
        """From what law and discrepancy account for."""
        return cls(found.of.rows, found.left, np.full(len(found.left), found.sigma))

    @property
    def standardised(self) -> Float[np.ndarray, " run"]:
        """Residuals in units of the noise's scale, (run,)."""
        return self.off / self.sigma

    @cached_property
    def far(self) -> Bool[np.ndarray, " run"]:
        """Which runs the noise does not explain, (run,)."""
        from scipy.special import stdtrit

        limit = float(stdtrit(NU, 1 - FAR_P / 2 / len(self.off)))
        return (np.abs(self.standardised) > limit) & (np.abs(self.off) > LEAST_FAR)

    @property
    def worst(self) -> Int[np.ndarray, " run"]:
        """Places of all runs, those that are far first, the furthest first of all."""
        return np.lexsort((-np.abs(self.off), ~self.far))

    def check(self, runs: Runs) -> Check:
        """The check "far runs", which names them worst first; its value is the largest residual."""
        worst = [int(i) for i in self.worst]
        named = [f"{row_label(runs, int(self.rows[i]))} ({np.expm1(self.off[i]):+.1%})" for i in worst[:NAMED]]
        value = float(abs(self.standardised[worst[0]]))
        count = int(self.far.sum())
        if not count:
            return Check("far runs", "ok", value, f"{named[0]} lies furthest off the model.")
        more = f" and {count - NAMED} more" if count > NAMED else ""
        sentence = (
            f"the noise of {percent(float(np.median(self.sigma)))} does not explain how far off the model these runs "
            f"lie: {', '.join(named[:count])}{more}. Check these runs, and remove those that diverged or were not "
            "finished."
        )
        return Check("far runs", "review", value, sentence)


def far_runs(bound: BoundModel, draws: Draws, discrepancy: bool) -> FarRuns:
    """Residuals of all runs of a table.

    Parameters
    ----------
    bound
        The model bound to its table.
    draws
        Raw parameters, name -> (chain, draw).
    discrepancy
        Whether they are those off law and discrepancy together, and not off the law alone; with the error of the run's
        cluster beside, where the table has clusters.

    Returns
    -------
    FarRuns
        In the order of the table. Where runs are hardly more than parameters, residuals and scale are medians over the
        draws.

    Raises
    ------
    QuestionError
        The draws are not finite.
    """
    if not all(np.isfinite(values).all() for values in draws.values()):
        raise QuestionError("the draws of the fit are not finite, so that it has no residuals. Fit again.")
    if is_few(bound):
        return of_draws(bound, draws)
    components: Components = components_of(bound.model) if discrepancy else ()
    groups = -(-len(bound.runs) // MANY)
    of_parts = (residuals_of(bound, draws, k) for k in range(groups))
    parts = [FarRuns.of(explained(of, components, shared_errors(bound, draws, of.rows))) for of in of_parts]
    rows = np.concatenate([part.rows for part in parts])
    order = np.argsort(rows)
    off, sigma = (np.concatenate([getattr(part, name) for part in parts])[order] for name in ("off", "sigma"))
    return FarRuns(rows[order], off, sigma)


def is_few(bound: BoundModel) -> bool:
    """Whether a table has hardly more runs than the law has parameters."""
    return len(bound.runs) < len(bound.model.law_space.names) + SPARE


def of_draws(bound: BoundModel, draws: Draws) -> FarRuns:
    """Residuals off the law and the scale of the noise, the medians over draws; for short tables."""
    law, runs = bound.model.law, bound.runs
    flat = {name: np.asarray(values, dtype=float).reshape(-1) for name, values in draws.items()}
    count = len(next(iter(flat.values())))
    some = np.unique(np.linspace(0, count - 1, min(count, DRAWS)).astype(int))
    theta = {name: values[some, None] for name, values in flat.items()}
    with np.errstate(all="ignore"):
        loss = np.asarray(law.loss(theta, {name: np.asarray(runs[name], dtype=float)[None] for name in law.inputs}))
        off = np.log(runs.loss) - np.median(np.log(loss), axis=0)
    sigma = float(np.median(flat["sigma"])) if "sigma" in flat else 1.4826 * float(np.median(np.abs(off)))
    return FarRuns(np.arange(len(runs)), off, np.full(len(runs), max(sigma, 1e-9)))


def residual_table(runs: Runs, inputs: tuple[str, ...], found: FarRuns) -> "pd.DataFrame":
    """Residuals as a table; `scalefit.fits.Fit.residuals` describes its columns.

    Parameters
    ----------
    runs
        The table.
    inputs
        Columns of it that the law depends on.
    found
        Of all its runs, in their order.
    """
    import pandas as pd

    label = label_column(runs)
    columns = {name: runs[name] for name in ([label] if label else []) + [*inputs, "loss"]}
    columns |= {"expected": runs.loss * np.exp(-found.off), "residual": np.expm1(found.off)}
    columns |= {"standardised": found.standardised}
    return pd.DataFrame(columns | {"far": found.far}, index=pd.RangeIndex(1, len(runs) + 1, name="row"))
