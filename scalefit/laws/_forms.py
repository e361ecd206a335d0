"""Algebra that laws share."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array


def power(x: Any, exponent: Any) -> Any:
    """x^exponent for x > 0, as exp(exponent ln x); NumPy in, NumPy out.

    Tables are stored as logarithms: the compiler then cancels ln exp and is left with one exponential, four times
    as fast as its own power, and simpler to differentiate.
    """
    xp: Any = jnp if isinstance(x, Array) or isinstance(exponent, Array) else np
    return xp.exp(exponent * xp.log(x))
