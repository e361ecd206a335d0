"""The discrepancy of one draw on all sums of two sets of coordinates, as matrix products.

A wave at a sum of coordinates is a sum of two products of waves, and a squared-exponential kernel there one product,
times a factor that all pivots share. So the lines of several budgets, or a grid of N x D, take waves and kernels of
their rows and of their columns alone.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from scalefit.counting import FLOPS_PER_PARAM_TOKEN
from scalefit.model.paths import LINE, PLANE, Path, waves


def discrepancy_on_lines(
    path: Path,
    log_flops: Float[Array, " budget"],
    middles: Float[Array, " budget"],
    offsets: Float[Array, " ratio"],
) -> Float[Array, "budget ratio"]:
    """The discrepancy of one draw of `sample_paths` on lines C = 6 N D.

    Parameters
    ----------
    path
        The draw.
    log_flops, middles
        ln C of each line, and ln D/N in its middle.
    offsets
        ln D/N from there.
    """
    one, length, two, length_c, length_ratio = path["scales"]
    pull, centres = path["pull"], path["centres"]
    near = jnp.exp(-0.5 * ((log_flops[:, None] - centres[:, 0]) / length) ** 2) @ pull
    level = waves(LINE, log_flops / length) @ path["line"] + one**2 * near
    cosine, sine = _halves(waves(PLANE, log_flops / length_c) @ path["plane"])
    turn, across = _halves(waves(PLANE, middles / length_ratio))
    turned = jnp.concatenate([cosine * turn + sine * across, sine * turn - cosine * across], axis=-1)
    plane = turned @ waves(PLANE, offsets / length_ratio).T
    lengths = jnp.stack([length_c, length_ratio])
    rows, columns = coordinates_of(log_flops, middles) / lengths, coordinates_of(0.0, offsets) / lengths
    return level[:, None] + plane + two**2 * _kernel_sum(pull, rows, columns, centres / lengths)


def discrepancy_on_grid(
    path: Path, log_n: Float[Array, " size"], log_d: Float[Array, " tokens"]
) -> Float[Array, "size tokens"]:
    """The same at every size and every number of tokens."""
    middle = log_d.mean()
    rows = coordinates_of(jnp.log(FLOPS_PER_PARAM_TOKEN) + log_n + middle, middle - log_n)
    return discrepancy_at_sums(path, rows, coordinates_of(log_d - middle, log_d - middle))


def discrepancy_at_sums(
    path: Path, rows: Float[Array, "row 2"], columns: Float[Array, "column 2"]
) -> Float[Array, "row column"]:
    """The same at coordinates rows[i] + columns[j]; columns around 0, so that factors stay in the range of numbers."""
    one, length, two, *lengths = path["scales"]
    # cos a cos b and the like are sums of waves of a + b and a - b; waves of ln C alone come first.
    both = path["plane"].reshape(2, len(PLANE), 2, len(PLANE))
    (cc, cs), (sc, ss) = jnp.moveaxis(both, 2, 1)
    line_cosine, line_sine = _halves(path["line"])
    cosine = jnp.concatenate([line_cosine, 0.5 * (cc - ss).ravel(), 0.5 * (cc + ss).ravel()])
    sine = jnp.concatenate([line_sine, 0.5 * (sc + cs).ravel(), 0.5 * (sc - cs).ravel()])
    level, slope = _plane_waves(path, rows)
    amplitudes = jnp.concatenate([level * cosine + slope * sine, level * sine - slope * cosine], axis=1)
    found = amplitudes @ jnp.concatenate(_plane_waves(path, columns), axis=1).T
    pull, middle = path["pull"], path["centres"].mean(axis=0)
    rows, centres = rows - middle, path["centres"] - middle
    along = _kernel_sum(pull, *(part[:, :1] / length for part in (rows, columns, centres)))
    near = _kernel_sum(pull, *(part / jnp.stack(lengths) for part in (rows, columns, centres)))
    return found + one**2 * along + two**2 * near


def coordinates_of(log_flops: Array | float, log_ratio: Array | float) -> Float[Array, "... 2"]:
    """(ln C, ln D/N), from both."""
    return jnp.stack(jnp.broadcast_arrays(log_flops, log_ratio), axis=-1)


def _plane_waves(path: Path, at: Float[Array, "at 2"]) -> tuple[Float[Array, "at wave"], Float[Array, "at wave"]]:
    """Cosine and sine of every wave of a path: along ln C, then of sums and of differences of the plane's phases."""
    _, length, _, length_c, length_ratio = path["scales"]
    (cos_c, sin_c), (cos_r, sin_r) = (
        _halves(waves(PLANE, at[:, i] / each)) for i, each in ((0, length_c), (1, length_ratio))
    )
    cos_line, sin_line = _halves(waves(LINE, at[:, 0] / length))
    products = [a[:, :, None] * b[:, None] for a, b in ((cos_c, cos_r), (sin_c, sin_r), (sin_c, cos_r), (cos_c, sin_r))]
    cc, ss, sc, cs = (each.reshape(len(at), -1) for each in products)
    return (
        jnp.concatenate([cos_line, cc - ss, cc + ss], axis=1),
        jnp.concatenate([sin_line, sc + cs, sc - cs], axis=1),
    )


def _halves(both: Float[Array, "*at all"]) -> tuple[Float[Array, "*at half"], Float[Array, "*at half"]]:
    half = both.shape[-1] // 2
    return both[..., :half], both[..., half:]


def _kernel_sum(
    pull: Float[Array, " pivot"],
    rows: Float[Array, "row some"],
    columns: Float[Array, "column some"],
    centres: Float[Array, "pivot some"],
) -> Float[Array, "row column"]:
    """Sum over pivots of pull exp(-|row + column - centre|^2 / 2), in units of the lengths."""
    by_row = jnp.exp(-0.5 * ((rows[:, None] - centres) ** 2).sum(axis=-1)) * pull
    by_column = jnp.exp(columns @ centres.T - 0.5 * (columns**2).sum(axis=-1, keepdims=True))
    return (by_row @ by_column.T) * jnp.exp(-rows @ columns.T)
