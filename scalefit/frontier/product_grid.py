"""The discrepancy of one draw on all sums of two sets of coordinates, as matrix products.

A plane wave at a sum of coordinates is a sum of two products of waves, and a squared-exponential kernel there one
product, times a factor that all pivots share. So a grid of N x D, or the lines of several budgets, takes waves and
kernels of its rows and of its columns alone.
"""

from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float

from scalefit.counting import FLOPS_PER_PARAM_TOKEN


def discrepancy_at_sums(
    path: Mapping[str, Array], rows: Float[Array, "row 2"], columns: Float[Array, "column 2"]
) -> Float[Array, "row column"]:
    """The law's error on ln loss of one draw of `sample_paths`, at the coordinates rows[i] + columns[j].

    Columns lie around 0, so that no factor leaves the range of numbers; draws that share them share their waves.
    """
    frequency, (one, length, two, *lengths) = path["frequency"], path["scales"]
    by_row, by_column = rows @ frequency.T, columns @ frequency.T
    cosine, sine = path["normal"].reshape(2, -1) * path["size"]
    level, slope = jnp.cos(by_row), jnp.sin(by_row)
    amplitudes = jnp.concatenate([level * cosine + slope * sine, level * sine - slope * cosine], axis=1)
    waves = amplitudes @ jnp.concatenate([jnp.cos(by_column), jnp.sin(by_column)], axis=1).T
    middle = path["centres"].mean(axis=0)
    rows, centres = rows - middle, path["centres"] - middle
    along = _kernel_sum(path["pull"], *(part[:, :1] / length for part in (rows, columns, centres)))
    both = _kernel_sum(path["pull"], *(part / jnp.stack(lengths) for part in (rows, columns, centres)))
    return waves + one**2 * along + two**2 * both


def _kernel_sum(pull: Array, rows: Array, columns: Array, centres: Array) -> Array:
    """Sum over pivots of pull exp(-|row + column - centre|^2 / 2), in units of the lengths."""
    by_row = jnp.exp(-0.5 * ((rows[:, None] - centres) ** 2).sum(axis=-1)) * pull
    by_column = jnp.exp(columns @ centres.T - 0.5 * (columns**2).sum(axis=-1, keepdims=True))
    return (by_row @ by_column.T) * jnp.exp(-rows @ columns.T)


def line_coordinates(log_flops: Array, log_ratio: Array) -> Float[Array, "... 2"]:
    """(ln C, ln D/N), from both."""
    return jnp.stack(jnp.broadcast_arrays(log_flops, log_ratio), axis=-1)


def discrepancy_on_grid(
    path: Mapping[str, Array], log_n: Float[Array, " size"], log_d: Float[Array, " tokens"]
) -> Float[Array, "size tokens"]:
    """The same at every size and every number of tokens."""
    middle = log_d.mean()
    rows = line_coordinates(jnp.log(FLOPS_PER_PARAM_TOKEN) + log_n + middle, middle - log_n)
    return discrepancy_at_sums(path, rows, line_coordinates(log_d - middle, log_d - middle))
