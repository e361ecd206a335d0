"""The tokens with which a size reaches a loss in a share of the draws."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from scalefit._aot import cached_jit
from scalefit.planning._grid import log_tokens_to_agree
from scalefit.planning._loss_posterior import LossPosterior
from scalefit.planning._solve import LARGEST, loss_at

HALVINGS = 24  # of ln D in a search for tokens: to 5e-6


def tokens_to_be_sure(
    posterior: LossPosterior, log_n: Float[np.ndarray, " size"], level: float, probs: Sequence[float]
) -> list[Float[np.ndarray, " size"]]:
    """ln of the fewest tokens with which sizes reach a loss in a share of the draws, for each of `probs`."""
    if posterior.law_only is posterior:
        targets = [jnp.asarray([level, prob]) for prob in probs]
        return [np.asarray(_law_tokens_to_be_sure(posterior, jnp.asarray(log_n), target)) for target in targets]
    sure = [lambda losses, prob=prob: (losses <= level).mean(axis=0) >= prob for prob in probs]
    return log_tokens_to_agree(posterior, log_n, sure)


@cached_jit()
def _law_tokens_to_be_sure(
    posterior: LossPosterior, log_n: Float[Array, " point"], target: Float[Array, "2"]
) -> Float[Array, " point"]:
    """By bisection: the law's loss falls as tokens are added."""
    level, prob = target

    def enough(log_n: Array, log_d: Array) -> Array:
        return jnp.mean(loss_at(posterior, log_n, log_d) <= level) >= prob

    def one(log_n: Array) -> Array:
        def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
            middle = 0.5 * (ends[0] + ends[1])
            found = enough(log_n, middle)
            return jnp.where(found, ends[0], middle), jnp.where(found, middle, ends[1])

        most = jnp.full_like(log_n, LARGEST)
        fewest = jax.lax.fori_loop(0, HALVINGS, halve, (jnp.zeros_like(log_n), most))[1]
        return jnp.where(enough(log_n, most), fewest, jnp.inf)

    return jax.vmap(one)(log_n)
