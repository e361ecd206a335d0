"""Losses of every draw on a grid of sizes and tokens, and the fewest tokens with which each size reaches a level."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from scalefit._aot import cached_jit
from scalefit._batching import in_chunks
from scalefit.frontier.optimum import PATHS
from scalefit.frontier.product_grid import discrepancy_on_grid
from scalefit.planning._crossing import first_crossing
from scalefit.planning._loss_posterior import LossPosterior
from scalefit.planning._solve import POINTS

FEWEST, MOST = -2.5, 14.0  # ln D/N of the smallest and of the largest size, from .08 to a million
AROUND = 5.0  # in ln D, of a draw's own grid
TOKENS = 72  # numbers of tokens, at most .4 apart in logarithms for sizes within a factor of 10,000


def log_tokens(log_n: Float[np.ndarray, " size"]) -> Float[np.ndarray, " tokens"]:
    """ln D of the grid for some sizes."""
    return np.linspace(log_n.min() + FEWEST, log_n.max() + MOST, TOKENS)


def losses_on_grid(
    posterior: LossPosterior, log_n: Float[np.ndarray, " size"], log_d: Float[np.ndarray, " tokens"]
) -> Float[np.ndarray, "draw size tokens"]:
    """Of draws with discrepancy and without a hard data wall."""
    if len(log_n) == 1:
        return np.asarray(_losses_of_size(posterior, jnp.asarray(log_n[0]), jnp.asarray(log_d)), dtype=float)[:, None]
    of_sizes = lambda sizes: _losses(posterior, jnp.asarray(sizes), jnp.asarray(log_d))
    return np.asarray(in_chunks(of_sizes, log_n, POINTS, axis=1), dtype=float)


@cached_jit()
def _losses_of_size(
    posterior: LossPosterior, log_n: Float[Array, ""], log_d: Float[Array, " tokens"]
) -> Float[Array, "draw tokens"]:
    return jax.vmap(posterior.losses, (None, 0), 1)(log_n, log_d)


def _losses_of(
    draw: LossPosterior, log_n: Float[Array, " size"], log_d: Float[Array, " tokens"]
) -> Float[Array, "size tokens"]:
    loss = draw.with_discrepancy
    law = jax.vmap(jax.vmap(loss.law, (None, 0)), (0, None))(log_n, log_d)
    return loss.joined(law, discrepancy_on_grid(draw.draws[PATHS], log_n, log_d))


@cached_jit()
def _losses(
    posterior: LossPosterior, log_n: Float[Array, " size"], log_d: Float[Array, " tokens"]
) -> Float[Array, "draw size tokens"]:
    return jax.vmap(_losses_of, (posterior.axes, None, None))(posterior, log_n, log_d)


@cached_jit()
def _losses_around(
    posterior: LossPosterior, log_n: Float[Array, "size draw"], log_d: Float[Array, "tokens draw"]
) -> Float[Array, "draw size tokens"]:
    return jax.vmap(_losses_of, (posterior.axes, 1, 1))(posterior, log_n, log_d)


def first_log_tokens(
    posterior: LossPosterior, log_n: Float[np.ndarray, " size"], level: Float[np.ndarray, " draw"]
) -> Float[np.ndarray, "size draw"]:
    """ln of the fewest tokens with which each size reaches a loss, draw by draw; infinite where it never does."""
    log_d = log_tokens(log_n)
    return first_crossing(log_d, losses_on_grid(posterior, log_n, log_d), level[:, None]).T


def first_log_tokens_around(
    posterior: LossPosterior,
    log_n: Float[np.ndarray, "size draw"],
    log_d: Float[np.ndarray, " draw"],
    level: Float[np.ndarray, " draw"],
) -> Float[np.ndarray, "size draw"]:
    """The same of sizes of each draw's own, with tokens within a factor of e^`AROUND` of exp(log_d)."""
    tokens = np.linspace(-AROUND, AROUND, POINTS)
    losses = _losses_around(posterior, jnp.asarray(log_n), jnp.asarray(tokens[:, None] + log_d))
    return log_d + first_crossing(tokens, np.asarray(losses, dtype=float), level[:, None]).T
