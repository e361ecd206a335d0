"""The posterior of the loss over a grid of parameters and tokens."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from scalefit._aot import cached_jit
from scalefit._batching import chunks
from scalefit._intervals import interval
from scalefit._labelled import labelled
from scalefit._precision import precision
from scalefit._quantities import posterior_name, write
from scalefit._results import PROB, Result
from scalefit._tables import Table
from scalefit.fits.fit import Fit, check_fit
from scalefit.frontier.optimum import PATHS, log_loss_of, planning_draws
from scalefit.laws import Law
from scalefit.loss_units import NATS, in_unit
from scalefit.model.discrepancy import shifted
from scalefit.model.paths import discrepancies_at
from scalefit.units import format_count, positive_quantities

if TYPE_CHECKING:
    import xarray as xr

VALUES_AT_ONCE = 4_000_000  # draws x cells held in memory together: 32 MB in float64


SHOWN = (7, 4)  # rows and columns of its table, evenly spread over the grid


@dataclass(frozen=True, eq=False, repr=False)
class Surface(Result):
    """Posterior of the expected loss on a grid.

    Parameters
    ----------
    params, tokens
        Of the rows and of the columns.
    mean, median
        Over the draws.
    lower, upper, prob
        Ends of the equal-tailed interval, and its probability.
    discrepancy
        Whether the draws include it.
    loss_unit
        Of every loss.
    """

    params: Float[np.ndarray, " row"]
    tokens: Float[np.ndarray, " column"]
    mean: Float[np.ndarray, "row column"]
    median: Float[np.ndarray, "row column"]
    lower: Float[np.ndarray, "row column"]
    upper: Float[np.ndarray, "row column"]
    prob: float
    discrepancy: bool = False
    loss_unit: str = NATS

    def headline(self, prob: float = PROB) -> str:
        """The extent of the grid, and the range of the loss on it."""
        n, d = (f"{format_count(grid.min())} to {format_count(grid.max())}" for grid in (self.params, self.tokens))
        return (
            f"Over {n} parameters and {d} tokens the median of the expected loss is {write(self.median.min())} to "
            f"{in_unit(write(self.median.max()), self.loss_unit)} ({posterior_name(self.discrepancy)})."
        )

    def to_xarray(self) -> "xr.Dataset":
        """The surface with names, over (params, tokens).

        Returns
        -------
        xarray.Dataset
            Variables: mean, median, lower and upper. Attributes: prob, discrepancy (0 or 1).
        """
        parts = ("mean", "median", "lower", "upper")
        variables = {part: (("params", "tokens"), getattr(self, part)) for part in parts}
        coords = {"params": ("params", self.params), "tokens": ("tokens", self.tokens)}
        attrs = {"prob": self.prob, "discrepancy": self.discrepancy}
        return labelled(variables, coords, attrs, dict.fromkeys(parts, self.loss_unit))

    def _table(self, prob: float) -> Table:
        rows, columns = (_spread(count, most) for count, most in zip(self.mean.shape, SHOWN, strict=True))
        cells = {
            (f"D = {format_count(self.tokens[column])}", part): getattr(self, part)[rows, column]
            for column in columns
            for part in ("median", "lower", "upper")
        }
        sizes = [f"N = {format_count(n)}" for n in self.params[rows]]
        return Table(f"loss, {self.loss_unit}", sizes, cells, prob=self.prob)


def _spread(count: int, most: int) -> np.ndarray:
    """At most so many of the indices, evenly spread."""
    return np.unique(np.linspace(0, count - 1, most).round().astype(int))


def loss_surface(
    fit: Fit, params_grid: Any, tokens_grid: Any, prob: float = PROB, discrepancy: bool | None = None, **fixed: Any
) -> Surface:
    """Posterior of the expected loss for every pair of parameters and tokens.

    One compiled call; cells are taken a chunk at a time, so that memory stays bounded whatever the grid.

    Parameters
    ----------
    fit
        Any fit whose law takes params and tokens.
    params_grid, tokens_grid
        Raw counts, of the rows and of the columns.
    prob
        Probability of every interval, equal-tailed.
    discrepancy
        As for `Fit.predict`.
    **fixed
        The law's inputs beyond params and tokens.

    Raises
    ------
    OptionError
        A grid is empty or not positive.
    QuestionError
        The law has no allocation.
    """
    check_fit(fit)
    example = "positive counts, as in np.geomspace(1e8, 1e11, 50)"
    rows = positive_quantities(params_grid, "value of params_grid", example)
    columns = positive_quantities(tokens_grid, "value of tokens_grid", example)
    discrepancy = fit.resolve(discrepancy)
    with precision():
        values, paths = fit.joint_draws(discrepancy)
        theta = planning_draws(fit.model.law, values, fixed, paths)
        cells = max(1, VALUES_AT_ONCE // len(next(iter(theta.values()))))
        wide = min(cells, len(columns))
        parts = [
            [_reduce(fit.model.law, theta, rows[tall], columns[some], prob) for some in chunks(len(columns), wide)]
            for tall in chunks(len(rows), cells // wide)
        ]
    mean, median, lower, upper = np.concatenate([np.concatenate(row, axis=2) for row in parts], axis=1)
    return Surface(
        params=rows,
        tokens=columns,
        mean=mean,
        median=median,
        lower=lower,
        upper=upper,
        prob=prob,
        discrepancy=discrepancy,
        loss_unit=fit.runs.unit,
    )


def _reduce(
    law: Law, theta: dict[str, Any], rows: Float[np.ndarray, " row"], columns: Float[np.ndarray, " column"], prob: float
) -> Float[np.ndarray, "4 row column"]:
    """Mean, median, lower, upper over draws. Quantiles on the host: XLA sorts, NumPy selects."""
    loss = np.asarray(_losses(law, theta, jnp.asarray(rows), jnp.asarray(columns)))
    return np.concatenate([loss.mean(-1)[None], interval(loss, prob, axis=-1)])


@cached_jit("law")
def _losses(
    law: Law, theta: dict[str, Any], rows: Float[Array, " row"], columns: Float[Array, " column"]
) -> Float[Array, "row column draw"]:
    """The loss of every draw. Nested vmap: a term of N alone is not recomputed for every D."""
    log_n, log_d = jnp.log(rows), jnp.log(columns)
    plain = {name: values for name, values in theta.items() if name != PATHS}
    over_draws = jax.vmap(lambda draw, n, d: log_loss_of(law, draw)(n, d), (0, None, None))
    loss = jax.vmap(jax.vmap(over_draws, (None, None, 0)), (None, 0, None))(plain, log_n, log_d)
    if PATHS not in theta:
        return loss
    n, d = (grid.ravel() for grid in jnp.meshgrid(log_n, log_d, indexing="ij"))
    return shifted(loss, law.floor(theta), discrepancies_at(theta[PATHS], n, d).T.reshape(loss.shape))
