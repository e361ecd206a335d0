"""How measured accuracy scatters around its curve: beta-binomial where the number of items is known, else Normal."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import gammaln

from scalefit.laws import Param, Prior

LEAST_SPREAD = 1e-4  # less is binomial to any count of items that there is
EDGE = 1e-9  # probabilities are kept this far from 0 and 1, so that a count that is possible is never impossible


def log_beta(a: Any, b: Any) -> Array:
    """ln B(a, b); all in one call, for second derivatives, of JAX's own betaln above all, take long to compile."""
    first, second, both = gammaln(jnp.stack(jnp.broadcast_arrays(a, b, a + b)))
    return first + second - both


class Scatter(ABC):
    """The distribution of one model's measured accuracy, given its curve's."""

    @abstractmethod
    def params(self) -> tuple[Param, ...]:
        """The scatter's own parameter."""

    @abstractmethod
    def log_density(self, theta: Mapping[str, Any], expected: Array, data: Mapping[str, Array]) -> Array:
        """Log density of every model's `data["accuracy"]`, (model,)."""

    @abstractmethod
    def draw(self, theta: Any, expected: np.ndarray, items: float | None, rng: np.random.Generator) -> np.ndarray:
        """Measured accuracies for expected ones (draw, run); `theta` holds (draw,)."""


@final
@dataclass(frozen=True)
class BetaBinomial(Scatter):
    """Right answers are binomial around an accuracy that is itself Beta around the curve.

    spread : standard deviation of a model's true accuracy around the curve where that is one half; 0 is binomial.
    """

    def params(self) -> tuple[Param, ...]:
        """Spread."""
        prior = Prior.of("LogNormal", loc=log(0.01), scale=1.0)
        return (Param("spread", prior, "scatter of true accuracy around the curve at one half", "share"),)

    def log_density(self, theta: Mapping[str, Any], expected: Array, data: Mapping[str, Array]) -> Array:
        """Beta-binomial mass of accuracy * items right answers, whole or (for averages over tasks) not."""
        right, items = data["accuracy"] * data["items"], data["items"]
        a, b = _shapes(theta["spread"], jnp.clip(expected, EDGE, 1 - EDGE), jnp.maximum)
        choices = -jnp.log1p(items) - log_beta(items - right + 1, right + 1)
        after, before = log_beta(jnp.stack([right + a, a]), jnp.stack([items - right + b, b]))
        return choices + after - before

    def draw(self, theta: Any, expected: np.ndarray, items: float | None, rng: np.random.Generator) -> np.ndarray:
        """Of an evaluation with `items` items."""
        a, b = _shapes(theta["spread"][:, None], np.clip(expected, EDGE, 1 - EDGE), np.maximum)
        count = round(items or 0)
        return rng.binomial(count, rng.beta(a, b)) / count


def _shapes(spread: Any, expected: Any, maximum: Any) -> tuple[Any, Any]:
    """Shapes of the Beta with mean `expected`; variance 4 spread^2 mean (1 - mean), to first order in spread^2."""
    concentration = 1 / (4 * maximum(spread, LEAST_SPREAD) ** 2)
    return expected * concentration, (1 - expected) * concentration


@final
@dataclass(frozen=True)
class NormalScatter(Scatter):
    """Normal around the curve: where the number of items is not known."""

    def params(self) -> tuple[Param, ...]:
        """sigma."""
        return (Param("sigma", Prior.of("HalfNormal", scale=0.05), "scatter of measured accuracy", "share"),)

    def log_density(self, theta: Mapping[str, Any], expected: Array, data: Mapping[str, Array]) -> Array:
        """Normal with the same scale everywhere."""
        return jax.scipy.stats.norm.logpdf(data["accuracy"], expected, theta["sigma"])

    def draw(self, theta: Any, expected: np.ndarray, items: float | None, rng: np.random.Generator) -> np.ndarray:
        """Cut off at 0 and 1."""
        return np.clip(expected + theta["sigma"][:, None] * rng.normal(size=expected.shape), 0.0, 1.0)
