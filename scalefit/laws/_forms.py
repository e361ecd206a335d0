"""Algebra and priors that laws share."""

from math import log
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit.laws._law import Prior

# Where inputs and loss are measured in the table's geometric means.
LEVEL = Prior.of("LogNormal", loc=log(0.6), scale=0.4)  # irreducible loss: a good half of it all
TERM = Prior.of("LogNormal", loc=log(0.2), scale=1.0)  # what one more input would take away: about a fifth
EXPONENT = Prior.of("LogNormal", loc=log(0.3), scale=0.5)  # published ones are .08 to .7


def power(x: Any, exponent: Any) -> Any:
    """x^exponent for x > 0, as exp(exponent ln x); NumPy in, NumPy out.

    Tables are stored as logarithms: the compiler then cancels ln exp and is left with one exponential, four times
    as fast as its own power, and simpler to differentiate.
    """
    xp: Any = jnp if isinstance(x, Array) or isinstance(exponent, Array) else np
    return xp.exp(exponent * xp.log(x))


def ln(x: Any) -> Any:
    """Natural logarithm; NumPy in, NumPy out."""
    return jnp.log(x) if isinstance(x, Array) else np.log(x)
