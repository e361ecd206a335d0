"""fit_downstream: from task loss to accuracy, and what an uncertain loss means for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit._batching import padded_rows
from scalefit._precision import precision
from scalefit._registry import lookup
from scalefit.diagnostics.checks import Health
from scalefit.diagnostics.health import assess_chains
from scalefit.downstream._columns import checked
from scalefit.downstream._density import DensityModel, sample_density
from scalefit.downstream.links import FORMS, ExponentialError, Form, Sigmoid
from scalefit.downstream.scatter import BetaBinomial, NormalScatter, Scatter
from scalefit.errors import DataError, OptionError
from scalefit.fits.fit import Fit, check_fit
from scalefit.laws import Param

if TYPE_CHECKING:
    import pandas as pd


ROWS = 32


@dataclass(frozen=True)
class Curve(DensityModel):
    """A form and the scatter around it; what the form fixes is data, so that its values share compiled programs."""

    form: Form
    scatter: Scatter

    def params(self) -> tuple[Param, ...]:
        """Of the form, then of the scatter."""
        return (*self.form.params(), *self.scatter.params())

    def log_likelihood(self, theta: Mapping[str, Any], data: Mapping[str, Array]) -> Array:
        """Of every model's accuracy, counted `weight` times; `data["loss"]` is standardised, `data` holds the fixed."""
        expected = self.form.curve(self.form.filled({**data, **theta}), data["loss"])
        return (data["weight"] * self.scatter.log_density(theta, expected, data)).sum()


@dataclass(frozen=True, eq=False)
class Downstream:
    """A posterior of accuracy as a function of task loss.

    draws : name -> (chain, draw), in the unit of the task loss as given. health : did the sampler do its work.
    loss, accuracy, items : the table, each (model,); items None where not given.
    """

    draws: dict[str, np.ndarray]
    curve: Curve
    health: Health
    loss: np.ndarray
    seen: np.ndarray
    items: np.ndarray | None
    seed: int

    def __repr__(self) -> str:
        return f"<Downstream {self.curve.form.name}: {len(self.loss)} models; health {self.health.verdict}>"

    @property
    def theta(self) -> dict[str, np.ndarray]:
        """The draws with chains joined: name -> (chain * draw,)."""
        return {name: values.reshape(-1) for name, values in self.draws.items()}

    def accuracy(
        self, loss: Any, kind: Literal["mean", "run"] = "mean", seed: int | None = None, items: int | None = None
    ) -> np.ndarray:
        """Draws of accuracy, a share, (draw, run).

        loss : task losses, (run,); or draws of them, (draw, run), each then paired with a draw of the curve. kind :
        "mean" is the curve, "run" what one evaluation would measure, on `items` items (the table's median by
        default). Raises `OptionError` on another kind, `DataError` on losses of another shape.
        """
        if kind not in ("mean", "run"):
            raise OptionError(f"there is no interval kind {kind!r}; choose mean (the curve) or run (one evaluation).")
        rng = np.random.default_rng(self.seed if seed is None else seed)
        theta, draws = _paired(self.theta, _losses(loss), rng)
        with precision("float64"):
            columns = {name: jnp.asarray(values)[:, None] for name, values in theta.items()}
            expected = np.asarray(self.curve.form.curve(columns, jnp.asarray(draws)))
        if kind == "mean":
            return expected
        return self.curve.scatter.draw(theta, expected, items or self._median_items, rng)

    def predict(self, fit: Fit, new_runs: Any, kind: Literal["mean", "run"] = "run") -> np.ndarray:
        """Draws of the accuracy of new runs, (draw, run), by way of a law of the task loss.

        fit : a scaling law fitted to the same task loss, in the same unit. new_runs : anything `fit.predict` takes.
        kind : "mean" holds the uncertainty of law and curve, "run" also the noise of a run and of its evaluation.
        """
        check_fit(fit)
        loss = fit.predict(new_runs, kind="mean")
        if kind == "run" and len(loss) == 1:  # a point fit: as many runs of it as the curve has draws
            loss = fit.observed(np.broadcast_to(loss, (1, self.theta["k"].size, loss.shape[1])))[0]
        elif kind == "run":
            loss = fit.observed(loss)
        return self.accuracy(loss, kind)

    def summary(self, prob: float = 0.9) -> "pd.DataFrame":
        """Rows: parameters; columns: median, lower, upper, ess_bulk, ess_tail, r_hat, mcse_median."""
        from scalefit.diagnostics.convergence import chain_table

        return chain_table(self.draws, prob)

    @property
    def _median_items(self) -> float | None:
        return None if self.items is None else float(np.median(self.items))


def fit_downstream(
    task_loss: Any,
    accuracy: Any,
    floor: float | None = 0.25,
    items: Any = None,
    *,
    ceiling: float | None = None,
    form: str = "sigmoid",
    seed: int = 0,
) -> Downstream:
    """Fit accuracy on a task as a function of the loss on it.

    task_loss : of each model, (model,): nats or bits per byte of the right answers, say; positive. accuracy : shares,
    (model,). floor : accuracy of guessing, .25 for four choices; None infers it. items : questions of the task, one
    number or one a model; without it the scatter is Normal. ceiling : best accuracy, at most 1; inferred by default.
    form : "sigmoid", or "error" for Gadre et al.'s exponential, which has no ceiling.

    Where every model is near the floor the data do not show the ceiling: `health` then says "review" or "fail", and
    fixing the ceiling helps.

    The losses are taken as exact: their noise is part of the scatter. Raises `DataError` where the table cannot be
    meant, `OptionError` where form, floor and ceiling do not fit together.
    """
    chosen = find_form(form, floor, ceiling)
    columns = checked(task_loss, accuracy, items, floor)
    if columns["loss"].min() <= 0:
        raise DataError(f"a task loss of {columns['loss'].min():g} is no loss; give minus the log-probability.")
    return fit_curve(chosen, columns, seed)


def find_form(form: str, floor: float | None, ceiling: float | None) -> Form:
    """The form of that name; raises `OptionError` where there is none, or it has no ceiling to fix."""
    if lookup(form, FORMS, "form") is Sigmoid:
        return Sigmoid(floor, ceiling)
    if ceiling is not None:
        raise OptionError("the error form has no ceiling; leave it out, or take the sigmoid.")
    return ExponentialError(floor)


def _padded(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Columns (row,) with rows that count for nothing, so that tables of about one size share compiled programs."""
    count = len(columns["loss"])
    rows = padded_rows(count, ROWS)
    return {name: values[rows] for name, values in columns.items()} | {"weight": np.arange(len(rows)) < count}


def fit_curve(form: Form, columns: dict[str, np.ndarray], seed: int) -> Downstream:
    """The posterior for checked columns loss, accuracy and perhaps items, each (model,)."""
    curve = Curve(form.alike, BetaBinomial() if "items" in columns else NormalScatter())
    mean, spread = float(columns["loss"].mean()), float(columns["loss"].std())
    padded = _padded({**columns, "loss": (columns["loss"] - mean) / spread})
    draws, stats = sample_density(curve, padded | form.fixed, seed)
    with precision("float64"):
        raw = form.rescale(form.filled({**draws, **form.fixed}), mean, spread)
    raw |= {p.name: draws[p.name] for p in curve.scatter.params()}
    found = {name: np.asarray(values) for name, values in raw.items()}
    varying = {name: values for name, values in found.items() if np.ptp(values) > 0}
    health = assess_chains(varying, stats)
    return Downstream(found, curve, health, columns["loss"], columns["accuracy"], columns.get("items"), seed)


def _losses(loss: Any) -> np.ndarray:
    """Losses as (draw, run); those given without draws are one draw."""
    losses = np.asarray(loss, dtype=float)
    if losses.ndim > 2 or losses.size == 0:
        raise DataError(f"task losses have shape {losses.shape}; give (run,), or draws (draw, run).")
    return np.atleast_2d(losses)


def _paired(
    theta: dict[str, np.ndarray], losses: np.ndarray, rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Draws of both stages side by side, those of the shorter repeated: two posteriors that know nothing of each other.

    The curve's are shuffled, since draws of a chain resemble their neighbours.
    """
    own = len(theta["k"])
    count = max(own, len(losses))
    shuffled = rng.permutation(np.resize(np.arange(own), count))
    return {name: values[shuffled] for name, values in theta.items()}, losses[np.resize(np.arange(len(losses)), count)]
