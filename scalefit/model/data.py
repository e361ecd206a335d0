"""The table as densities see it, and maps over its runs, and over draws, in bounded memory."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from scalefit._batching import by_groups
from scalefit.model.clusters import Clusters

Theta = dict[str, Any]
T = TypeVar("T")
TILE = 1024  # rows of a large table evaluated together; padded tables of more than two tiles are whole tiles
POINTS = 2**22  # draws times rows evaluated together


class Data(NamedTuple):
    """What a density is evaluated on, unit-free and padded.

    Attributes
    ----------
    log_x, log_loss
        ln of inputs by name, and of the loss, in units of their geometric means.
    weight
        How often each run counts: 1 for a table as it is, 0 for padding; a bootstrap resample has other counts.
    unit
        Those geometric means by name.
    precision
        Of each run's noise beside the others', where that is known; else None.
    variance
        Of each ln loss's known measurement error, where there is one; else None.
    clusters
        Which runs share an error; None where none do.
    """

    log_x: dict[str, Float[Array, " run"]]
    log_loss: Float[Array, " run"]
    weight: Float[Array, " run"]
    unit: dict[str, Float[Array, ""]]
    precision: Float[Array, " run"] | None = None
    variance: Float[Array, " run"] | None = None
    clusters: Clusters | None = None

    @property
    def x(self) -> dict[str, Float[Array, " run"]]:
        """The inputs. Kept as logarithms, because the compiler then sees through `laws._terms.power`."""
        return {name: jnp.exp(values) for name, values in self.log_x.items()}

    @property
    def is_plain(self) -> bool:
        """Whether all runs have errors of their own of one scale."""
        return self.precision is None and self.variance is None and self.clusters is None

    @property
    def scales_alike(self) -> bool:
        """Whether the errors of all runs grow in proportion to sigma."""
        return self.variance is None and self.clusters is None

    def at_runs(self, theta: Mapping[str, Any]) -> Theta:
        """Parameters, with the scale of each run's own noise for sigma where those differ: (run,)."""
        if self.precision is None and self.variance is None:
            return dict(theta)
        precision = 1.0 if self.precision is None else self.precision
        variance = 0.0 if self.variance is None else self.variance
        return {**theta, "sigma": jnp.sqrt(theta["sigma"] ** 2 / precision + variance)}


def over_tiles(f: Callable[[Data], T], data: Data) -> T:
    """The sum of `f` over a large table's tiles, one after another, so that memory does not grow with the table.

    Parameters
    ----------
    f
        Data to any tree of arrays.
    data
        A table of up to two tiles is taken whole.
    """
    rows = len(data.weight)
    if rows <= 2 * TILE or data.clusters is not None:  # a cluster may have runs in any tile
        return f(data)
    by_run = (data.log_x, data.log_loss, data.weight, data.precision, data.variance)
    tiles = jax.tree.map(lambda leaf: leaf.reshape(-1, TILE), by_run)

    def of_tile(tile: tuple) -> T:
        log_x, log_loss, weight, precision, variance = tile
        return f(Data(log_x, log_loss, weight, data.unit, precision, variance))

    @jax.checkpoint
    def add(total: T, tile: tuple) -> tuple[T, None]:
        return jax.tree.map(jnp.add, total, of_tile(tile)), None

    shapes = jax.eval_shape(of_tile, jax.tree.map(lambda leaf: leaf[0], tiles))
    return jax.lax.scan(add, jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes), tiles)[0]


def over_draws(f: Callable[..., T], data: Data, each: int = 1) -> Callable[..., T]:
    """`jax.vmap(f)`, as many draws at a time as leave memory bounded where the table is large.

    Parameters
    ----------
    f
        Of one draw.
    data
        The table that it is evaluated on.
    each
        Arrays as long as the table that one draw takes.
    """
    return by_groups(f, size=max(1, POINTS // (each * len(data.weight))))


def thinned(data: Data) -> Data:
    """About a tile of runs evenly from a large table, for rough work, each alone; a small table as it is."""
    rows = len(data.weight)
    if rows <= 2 * TILE:
        return data
    some = slice(None, None, rows // TILE)
    log_x = {name: values[some] for name, values in data.log_x.items()}
    precision, variance = (None if v is None else v[some] for v in (data.precision, data.variance))
    return Data(log_x, data.log_loss[some], data.weight[some], data.unit, precision, variance)
