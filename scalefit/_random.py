"""Small numerical tools shared by every floor: precision, a root finder, intervals."""

from collections.abc import Sequence
from typing import TypeVar

import jax
import numpy as np
from jax import Array

T = TypeVar("T")


def prng_keys(seeds: Sequence[int]) -> np.ndarray:
    """`jax.random.PRNGKey` of every seed, (seed, 2), in any precision: its own drops high bits in float32."""
    wide = np.asarray(seeds, np.uint64)
    return np.stack([wide >> np.uint64(32), wide & np.uint64(0xFFFFFFFF)], axis=-1).astype(np.uint32)


def prng_key(seed: int) -> Array:
    """The same of one seed, (2,)."""
    return jax.device_put(prng_keys([seed])[0])
