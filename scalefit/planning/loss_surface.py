"""The posterior of the loss over a grid of parameters and tokens."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit._aot import cached_jit
from scalefit._batching import chunks
from scalefit._intervals import interval
from scalefit._precision import precision
from scalefit.fits.fit import Fit, check_fit
from scalefit.frontier.optimum import PATHS, log_loss_of, planning_draws
from scalefit.laws import Law
from scalefit.model.discrepancy import discrepancies_at
from scalefit.units import positive_quantities

VALUES_AT_ONCE = 4_000_000  # draws x cells held in memory together: 32 MB in float64


@dataclass(frozen=True, eq=False)
class Surface:
    """Posterior of the loss on a grid, without noise.

    params : (row,), tokens : (column,). mean, median, lower, upper : (row, column), nats per token;
    lower and upper bound the equal-tailed interval of probability `prob`.
    """

    params: np.ndarray
    tokens: np.ndarray
    mean: np.ndarray
    median: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    prob: float
    discrepancy: bool = False


def loss_surface(
    fit: Fit, params_grid: Any, tokens_grid: Any, prob: float = 0.9, discrepancy: bool | None = None, **fixed: Any
) -> Surface:
    """Posterior of the loss for every pair of `params_grid` (row,) and `tokens_grid` (column,), raw counts.

    One compiled call; cells are taken a chunk at a time, so that memory stays bounded whatever the grid.
    discrepancy : as for `Fit.predict`. fixed : the
    law's inputs beyond params and tokens. Raises `QuestionError` where a grid is empty or not positive, or the
    law has no allocation.
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
    return Surface(rows, columns, mean, median, lower, upper, prob, discrepancy)


def _reduce(law: Law, theta: dict[str, Any], rows: np.ndarray, columns: np.ndarray, prob: float) -> np.ndarray:
    """Mean, median, lower, upper over draws, (4, row, column). Quantiles on the host: XLA sorts, NumPy selects."""
    loss = np.asarray(_losses(law, theta, jnp.asarray(rows), jnp.asarray(columns)))
    return np.concatenate([loss.mean(-1)[None], interval(loss, prob, axis=-1)])


@cached_jit("law")
def _losses(law: Law, theta: dict[str, Any], rows: Array, columns: Array) -> Array:
    """The loss, (row, column, draw). Nested vmap: a term of N alone is not recomputed for every D."""
    log_n, log_d = jnp.log(rows), jnp.log(columns)
    plain = {name: values for name, values in theta.items() if name != PATHS}
    over_draws = jax.vmap(lambda draw, n, d: log_loss_of(law, draw)(n, d), (0, None, None))
    loss = jax.vmap(jax.vmap(over_draws, (None, None, 0)), (None, 0, None))(plain, log_n, log_d)
    if PATHS not in theta:
        return loss
    n, d = (grid.ravel() for grid in jnp.meshgrid(log_n, log_d, indexing="ij"))
    return loss * jnp.exp(discrepancies_at(theta[PATHS], n, d).T.reshape(loss.shape))
