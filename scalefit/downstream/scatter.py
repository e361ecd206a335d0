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
from jaxtyping import Float

from scalefit.laws import Param, Prior

LEAST_SPREAD = 1e-4  # less is binomial to any count of items that there is
EDGE = 1e-9  # probabilities are kept this far from 0 and 1, so that a count that is possible is never impossible


def log_beta(a: Any, b: Any) -> Array:
    """ln B(a, b), in one call, because second derivatives of JAX's betaln take long to compile.

    Parameters
    ----------
    a, b
        Positive numbers or arrays.

    Returns
    -------
    array
        ln B, elementwise.
    """
    first, second, both = gammaln(jnp.stack(jnp.broadcast_arrays(a, b, a + b)))
    return first + second - both


class Scatter(ABC):
    """The distribution of one model's measured accuracy, given its curve's."""

    @abstractmethod
    def params(self) -> tuple[Param, ...]:
        """The parameter of the scatter."""

    @abstractmethod
    def log_density(
        self, theta: Mapping[str, Any], expected: Float[Array, " model"], data: Mapping[str, Array]
    ) -> Float[Array, " model"]:
        """Log density of every model's accuracy.

        Parameters
        ----------
        theta
            The parameter of the scatter, by name.
        expected
            Accuracy of the curve, (model,).
        data
            accuracy and, where known, items -> (model,).

        Returns
        -------
        array (model,)
            Log densities.
        """

    @abstractmethod
    def draw(
        self,
        theta: Mapping[str, np.ndarray],
        expected: Float[np.ndarray, "draw run"],
        items: float | None,
        rng: np.random.Generator,
    ) -> Float[np.ndarray, "draw run"]:
        """Draw measured accuracies.

        Parameters
        ----------
        theta
            The parameter of the scatter, name -> draws (draw,).
        expected
            Accuracy of the curve, (draw, run).
        items
            Questions of the evaluation, None where unknown.
        rng
            What draws them.

        Returns
        -------
        array (draw, run)
            Measured accuracies, shares.
        """


@final
@dataclass(frozen=True)
class BetaBinomial(Scatter):
    """Right answers are binomial around an accuracy that is itself Beta around the curve.

    Its parameter `spread` is the standard deviation of a model's true accuracy around the curve where that is one
    half; 0 is binomial.
    """

    def params(self) -> tuple[Param, ...]:
        """The spread of true accuracy."""
        prior = Prior.of("LogNormal", loc=log(0.01), scale=1.0)
        return (Param("spread", prior, "scatter of true accuracy around the curve at one half", "share"),)

    def log_density(
        self, theta: Mapping[str, Any], expected: Float[Array, " model"], data: Mapping[str, Array]
    ) -> Float[Array, " model"]:
        """Beta-binomial mass of accuracy * items right answers, whole or (for averages over tasks) not."""
        items = data["items"]
        right = data["accuracy"] * items
        a, b = _beta_shapes(theta["spread"], jnp.clip(expected, EDGE, 1 - EDGE), jnp.maximum)
        choices = -jnp.log1p(items) - log_beta(items - right + 1, right + 1)
        after, before = log_beta(jnp.stack([right + a, a]), jnp.stack([items - right + b, b]))
        return choices + after - before

    def draw(
        self,
        theta: Mapping[str, np.ndarray],
        expected: Float[np.ndarray, "draw run"],
        items: float | None,
        rng: np.random.Generator,
    ) -> Float[np.ndarray, "draw run"]:
        """Shares of right answers in evaluations with `items` items."""
        assert items is not None, "this scatter is for tables whose number of items is known"
        a, b = _beta_shapes(theta["spread"][:, None], np.clip(expected, EDGE, 1 - EDGE), np.maximum)
        count = round(items)
        return rng.binomial(count, rng.beta(a, b)) / count


def _beta_shapes(spread: Any, expected: Any, maximum: Any) -> tuple[Any, Any]:
    """Shapes of the Beta with mean `expected`; variance 4 spread^2 mean (1 - mean), to first order in spread^2."""
    concentration = 1 / (4 * maximum(spread, LEAST_SPREAD) ** 2)
    return expected * concentration, (1 - expected) * concentration


@final
@dataclass(frozen=True)
class NormalScatter(Scatter):
    """Measured accuracy is Normal around the curve: where the number of items is not known."""

    def params(self) -> tuple[Param, ...]:
        """The standard deviation sigma."""
        return (Param("sigma", Prior.of("HalfNormal", scale=0.05), "scatter of measured accuracy", "share"),)

    def log_density(
        self, theta: Mapping[str, Any], expected: Float[Array, " model"], data: Mapping[str, Array]
    ) -> Float[Array, " model"]:
        """Log density of a Normal with the same standard deviation everywhere."""
        return jax.scipy.stats.norm.logpdf(data["accuracy"], expected, theta["sigma"])

    def draw(
        self,
        theta: Mapping[str, np.ndarray],
        expected: Float[np.ndarray, "draw run"],
        items: float | None,
        rng: np.random.Generator,
    ) -> Float[np.ndarray, "draw run"]:
        """Normal draws, cut off at 0 and 1; the number of items has no effect."""
        return np.clip(expected + theta["sigma"][:, None] * rng.normal(size=expected.shape), 0.0, 1.0)
