"""fit_downstream: from task loss to accuracy, and what an uncertain loss means for it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from scalefit._intervals import interval
from scalefit._precision import precision
from scalefit._quantities import ranged, write
from scalefit._results import PROB, Result
from scalefit._tables import Table, draws_table, interval_columns
from scalefit.diagnostics.checks import Health
from scalefit.diagnostics.convergence import chain_table, known_stats
from scalefit.downstream._columns import check_columns
from scalefit.downstream.curve import Curve, sample_curve
from scalefit.downstream.links import Link, find_link
from scalefit.errors import DataError
from scalefit.fits.fit import Fit, check_fit
from scalefit.units import percent

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class Downstream(Result):
    """A posterior of accuracy as a function of task loss.

    Parameters
    ----------
    draws
        Parameter -> draws (chain, draw), in the unit of the task loss as given.
    curve
        The link function and the scatter.
    health
        Whether the draws can be trusted.
    loss, measured
        The table: task loss and accuracy of each model, (model,).
    items
        Questions of the task, (model,); None where unknown.
    seed
        What repeats the draws.
    """

    draws: dict[str, Float[np.ndarray, "chain draw"]]
    curve: Curve
    health: Health
    loss: Float[np.ndarray, " model"]
    measured: Float[np.ndarray, " model"]
    items: Float[np.ndarray, " model"] | None
    seed: int

    def headline(self, prob: float = PROB) -> str:
        """The first inferred parameter of the curve, and the health."""
        first = next(p for p in self.curve.params() if np.ptp(self.draws[p.name]) > 0)
        value = ranged(interval(self.theta[first.name], prob), write)
        return (
            f"The {self.curve.link.name} curve of accuracy fitted to {len(self.loss)} models has {first.name} = "
            f"{value} ({first.meaning}, {percent(prob)} interval), and the health of the fit is {self.health.verdict}."
        )

    def _table(self, prob: float) -> Table:
        return draws_table(self.theta, prob).in_units({p.name: p.unit for p in self.curve.params()})

    @property
    def theta(self) -> dict[str, Float[np.ndarray, " draw"]]:
        """The draws with chains joined: name -> (chain * draw,)."""
        return {name: values.reshape(-1) for name, values in self.draws.items()}

    @property
    def draw_count(self) -> int:
        """Number of draws, of all chains together."""
        return next(iter(self.draws.values())).size

    def accuracy(
        self, loss: Any, noise: bool = False, seed: int | None = None, items: int | None = None
    ) -> Float[np.ndarray, "draw run"]:
        """Draws of accuracy at task losses.

        Parameters
        ----------
        loss
            Task losses (run,); or draws of them (draw, run), each then paired with a draw of the curve.
        noise
            False for the curve, True for what one evaluation would measure.
        seed
            Of the noise and of the pairing; the fit's own by default.
        items
            Questions of that evaluation; the table's median by default.

        Returns
        -------
        array (draw, run)
            Accuracies, shares.

        Raises
        ------
        DataError
            The losses have another shape.
        """
        rng = np.random.default_rng(self.seed if seed is None else seed)
        theta, losses = self._paired(_as_draws(loss), rng)
        with precision("float64"):
            columns = {name: jnp.asarray(values)[:, None] for name, values in theta.items()}
            expected = np.asarray(self.curve.link.accuracy(columns, jnp.asarray(losses)))
        if not noise:
            return expected
        usual = None if self.items is None else float(np.median(self.items))
        return self.curve.scatter.draw(theta, expected, items or usual, rng)

    def predict(
        self, fit: Fit, new_runs: Any, noise: bool = True, discrepancy: bool | None = None
    ) -> Float[np.ndarray, "draw run"]:
        """Draws of the accuracy of new runs, by way of a law of the task loss.

        Parameters
        ----------
        fit
            A scaling law fitted to the same task loss, in the same unit.
        new_runs
            Anything `fit.predict` takes.
        noise
            True for what one evaluation of one run would measure, False for the expected loss on the curve.
        discrepancy
            True includes the discrepancy of the law, False gives the law alone, None does as its model has it.

        Returns
        -------
        array (draw, run)
            Accuracies, shares: uncertain by the law, by the curve and, with noise, by both noises.

        Raises
        ------
        DataError
            As `fit.predict` does.
        QuestionError
            A discrepancy is asked for, and the fit has none.
        """
        check_fit(fit)
        loss = fit.predict(new_runs, noise=False, discrepancy=discrepancy)
        if noise:
            # As many runs for each draw of the law as give every draw of the curve one with a noise of its own.
            repeats = -(-self.draw_count // len(loss))
            each = np.broadcast_to(loss[:, None], (len(loss), repeats, loss.shape[1]))
            loss = fit.add_noise(each, discrepancy=discrepancy).reshape(-1, loss.shape[1])
        return self.accuracy(loss, noise)

    def accuracy_summary(self, loss: Any, prob: float = 0.9) -> "pd.DataFrame":
        """Intervals of accuracy at task losses.

        Parameters
        ----------
        loss
            Task losses (row,).
        prob
            Probability of every interval, equal-tailed.

        Returns
        -------
        pandas.DataFrame
            Rows: task losses. Columns: (curve, one evaluation) x (median, lower, upper), shares.
        """
        losses = np.atleast_1d(np.asarray(loss, dtype=float))
        columns: dict[tuple[str, str], Any] = {}
        if len(losses):
            columns |= interval_columns("curve", interval(self.accuracy(losses), prob))
            columns |= interval_columns("one evaluation", interval(self.accuracy(losses, noise=True), prob))
        return Table("task loss", losses, columns).frame()

    def summary(self, prob: float = 0.9) -> "pd.DataFrame":
        """Intervals of the parameters, and how well the chains mixed.

        Parameters
        ----------
        prob
            Probability of every interval, equal-tailed.

        Returns
        -------
        pandas.DataFrame
            Rows: parameters. Columns: median, lower, upper, ess_bulk, ess_tail, r_hat, mcse_median.
        """
        return chain_table(self.draws, prob, known_stats(self.health))

    def _paired(
        self, losses: Float[np.ndarray, "draw run"], rng: np.random.Generator
    ) -> tuple[dict[str, Float[np.ndarray, " pair"]], Float[np.ndarray, "pair run"]]:
        """Draws of curve and loss side by side, those of the shorter repeated: independent posteriors.

        Those of the curve are shuffled, since draws of a chain resemble their neighbours.
        """
        count = max(self.draw_count, len(losses))
        shuffled = rng.permutation(np.resize(np.arange(self.draw_count), count))
        repeated = np.resize(np.arange(len(losses)), count)
        return {name: values[shuffled] for name, values in self.theta.items()}, losses[repeated]


def _as_draws(loss: Any) -> Float[np.ndarray, "draw run"]:
    """Task losses without draws are one draw."""
    losses = np.asarray(loss, dtype=float)
    if losses.ndim > 2 or losses.size == 0:
        raise DataError(f"the task losses have shape {losses.shape}. Give (run,), or draws (draw, run).")
    return np.atleast_2d(losses)


def fit_downstream(
    task_loss: Any,
    accuracy: Any,
    floor: float | None = 0.25,
    items: Any = None,
    *,
    ceiling: float | None = None,
    link: str = "sigmoid",
    seed: int = 0,
) -> Downstream:
    """Fit accuracy on a task as a function of the loss on it.

    The losses are taken as exact: their noise is part of the scatter. Where every model is near the floor the data do
    not show the ceiling; `health` then says "review" or "fail", and fixing the ceiling helps.

    Parameters
    ----------
    task_loss
        Of each model, (model,), positive: nats or bits per byte of the right answers, for example.
    accuracy
        Of each model, (model,), shares.
    floor
        Accuracy of guessing, .25 for four choices; None infers it.
    items
        Questions of the task, one number or (model,); without it the scatter is Normal.
    ceiling
        Best accuracy, at most 1; inferred by default.
    link
        "sigmoid", or "exponential-error", which has no ceiling.
    seed
        Of the draws.

    Returns
    -------
    Downstream
        The posterior.

    Raises
    ------
    DataError
        A column is not usable or not plausible.
    OptionError
        Link, floor and ceiling do not fit together.

    References
    ----------
    Bhagia et al. 2024 (arXiv 2412.04403) for the sigmoid, Gadre et al. 2024 (arXiv 2403.08540) for the exponential.
    """
    chosen = find_link(link, floor, ceiling)
    columns = check_columns(task_loss, accuracy, items, floor)
    if columns["loss"].min() <= 0:
        raise DataError(f"a task loss of {columns['loss'].min():g} is not positive. Give minus the log-probability.")
    return fit_curve(chosen, columns, seed)


def fit_curve(link: Link, columns: dict[str, Float[np.ndarray, " model"]], seed: int) -> Downstream:
    """Fit a curve to checked columns.

    Parameters
    ----------
    link
        The link function, with the numbers it fixes.
    columns
        What `check_columns` returns.
    seed
        Of the draws.

    Returns
    -------
    Downstream
        The posterior, in the unit of the loss.
    """
    curve, draws, health = sample_curve(link, columns, seed)
    return Downstream(draws, curve, health, columns["loss"], columns["accuracy"], columns.get("items"), seed)
