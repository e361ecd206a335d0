"""Draws on a squashed table, reweighed by the density of all of its runs.

A large table is squashed to few runs, on which a posterior is sampled as on any table. What the few leave out shifts ln
density by less than one between draws: importance puts that right, exactly, for one evaluation of all runs a draw.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from scalefit._aot import cached_jit
from scalefit._batching import in_chunks
from scalefit._random import prng_key
from scalefit.model.data import Data, over_tiles
from scalefit.model.discrepancy import PIVOTS, coordinates, kernel
from scalefit.model.likelihood import log_density
from scalefit.model.model import BoundModel, Model
from scalefit.model.paths import AtPivots
from scalefit.numerics.importance import resampled

TOGETHER = 128  # draws
PULL = "pull"  # of the kernel at each pivot, (draw, pivot), beside the parameters of a draw; those repeated have none


def reweighed(
    whole: BoundModel,
    few: Data,
    at: Sequence[AtPivots],
    drawn: Mapping[str, Float[np.ndarray, "chain draw"]],
    latent: Mapping[str, np.ndarray],
    seed: int,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, Any]]:
    """Draws of the whole table's posterior; for use inside `precision()`.

    Parameters
    ----------
    whole
        Model and table.
    few
        The squashed table.
    at
        Pivots of the discrepancy, of every set of scales.
    drawn, latent
        Draws of law and noise on the squashed table, and the "weights" and "component" of each.
    seed
        Of the choice among them, which is returned in their place, with statistics of the importance weights.
    """
    shape = latent["component"].shape
    flat = lambda values: np.asarray(values).reshape(-1, *np.shape(values)[2:])
    theta, component, weights = jax.tree.map(flat, dict(drawn)), flat(latent["component"]), flat(latent["weights"])
    model, data = whole.model.with_discrepancy_priors, whole.data
    log_ratio, number = np.empty(len(component)), data.weight.dtype
    for k in np.unique(component):
        rows, some = component == k, at[k]
        pull = np.pad(weights[rows, : len(some.centres)] @ some.whiten, ((0, 0), (0, PIVOTS - len(some.centres))))
        scales, centres = (jnp.asarray(each, number) for each in (some.scales, np.resize(some.centres, (PIVOTS, 2))))
        draws = {**{name: values[rows] for name, values in theta.items()}, PULL: pull}

        def on(table: Data, draws: dict[str, Any], scales: Array = scales, centres: Array = centres) -> Array:
            return log_likelihoods(model, table, scales, centres, draws)

        on_all, on_few = (in_chunks(partial(on, table), draws, TOGETHER) for table in (data, few))
        log_ratio[rows] = on_all - on_few
    kept, stats = chosen(prng_key(seed), jnp.asarray(log_ratio), shape)
    again = lambda values: values[np.asarray(kept)].reshape(*shape, *values.shape[1:])
    return jax.tree.map(again, theta), {"weights": again(weights), "component": again(component)}, stats


@cached_jit("model")
def log_likelihoods(
    model: Model, data: Data, scales: Float[Array, "5"], centres: Float[Array, "pivot 2"], draws: dict[str, Array]
) -> Float[Array, " draw"]:
    """ln density of a table's runs, of each draw of law and noise, and of the discrepancy that its `PULL` makes."""

    def of_tile(tile: Data) -> Array:
        x = {name: tile.x[name] * data.unit[name] for name in ("params", "tokens")}
        near = kernel(scales, centres[:, None], coordinates(x)[None])

        def one(draw: dict[str, Array], f: Array) -> Array:
            return log_density(model.noise, draw, tile, tile.log_loss - model.log_mean(draw, tile.x) - f)

        return jax.vmap(one)(draws, draws[PULL] @ near)

    return over_tiles(of_tile, data)


@cached_jit("shape")
def chosen(
    key: Array, log_ratio: Float[Array, " proposal"], shape: tuple[int, int]
) -> tuple[Int[Array, " kept"], dict[str, Array]]:
    """`resampled`, as a program of its own."""
    return resampled(key, log_ratio, shape)
