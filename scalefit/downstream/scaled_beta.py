"""Success probabilities over the problems of a benchmark: a scaled Beta, its likelihood, and its pass@k.

References
----------
Schaeffer et al. 2025 (arXiv 2502.17578).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import gammaln, logsumexp
from jaxtyping import Float

from scalefit._batching import chunks
from scalefit.downstream._density import DensityModel
from scalefit.downstream.scatter import log_beta
from scalefit.laws import Param, Prior

CHUNK = 500  # draws integrated over together
NODES = np.linspace(0.0, 1.0, 2001)  # of the trapezoidal rule, over its range in log odds


@dataclass(frozen=True)
class ScaledBeta(DensityModel):
    """Success probabilities of problems: p = scale * q with q ~ Beta(a, b).

    Parameters
    ----------
    scale
        Success probability of the easiest problems; None to be inferred.
    most
        A bound of the trials of a problem, which the likelihood of a scale below 1 sums over.
    """

    scale: float | None = 1.0
    most: int = 0

    def params(self) -> tuple[Param, ...]:
        """a, b, and the scale where it is not fixed."""
        a = Param("a", Prior.of("LogNormal", loc=log(0.5), scale=1.0), "shape at 0; exponent of -ln pass@k in k")
        b = Param("b", Prior.of("LogNormal", loc=log(2.0), scale=1.5), "shape at the easiest problems")
        if self.scale is not None:
            return a, b
        prior = Prior.of("Beta", concentration1=4.0, concentration0=1.0)
        return a, b, Param("scale", prior, "success probability of the easiest problems", "share")

    def log_likelihood(self, theta: Mapping[str, Any], data: Mapping[str, Array]) -> Float[Array, ""]:
        """Log likelihood of all problems: beta-binomial, or that of trials thinned by the scale.

        p = scale * q is a coin of q tossed only where one of `scale` falls heads first: the number J of tosses that
        count is binomial, so that the likelihood is a finite sum over J of positive terms, exact and stable.

        Parameters
        ----------
        theta
            One draw of the parameters, by name.
        data
            successes, trials, and how many problems have these (times), each (row,).

        Returns
        -------
        array ()
            The sum over problems.
        """
        a, b = theta["a"], theta["b"]
        y, n = data["successes"], data["trials"]
        if self.scale == 1.0:
            return (data["times"] * _beta_binomial(y, n, a, b)).sum()
        scale = theta.get("scale", self.scale)
        tossed = jnp.arange(self.most + 1.0)
        y, n = y[:, None], n[:, None]
        possible = (tossed >= y) & (tossed <= n)
        j = jnp.where(possible, tossed, y)
        thinned = _choices(n, j) + j * jnp.log(scale) + (n - j) * jnp.log1p(-scale)
        terms = jnp.where(possible, thinned + _beta_binomial(y, j, a, b), -jnp.inf)
        return (data["times"] * logsumexp(terms, axis=1)).sum()


def _beta_binomial(y: Array, n: Array, a: Any, b: Any) -> Array:
    """ln of the probability of y successes in n trials."""
    return _choices(n, y) + log_beta(y + a, n - y + b) - log_beta(a, b)


def _choices(n: Array, k: Array) -> Array:
    """ln of n over k."""
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


def mean_pass_at_k(theta: Mapping[str, Float[np.ndarray, " draw"]], k: float) -> Float[np.ndarray, " draw"]:
    """pass@k over all problems, E[1 - (1 - scale q)^k] with q ~ Beta(a, b).

    Parameters
    ----------
    theta
        a, b and scale -> draws (draw,).
    k
        Number of attempts.

    Returns
    -------
    array (draw,)
        In closed form where the scale is 1, by `integrated_pass_at_k` elsewhere.
    """
    from scipy.special import betaln

    a, b, scale = theta["a"], theta["b"], theta["scale"]
    if (scale == 1.0).all():
        return -np.expm1(betaln(a, b + k) - betaln(a, b))
    return np.concatenate([integrated_pass_at_k(a[i], b[i], scale[i], k) for i in chunks(len(a), CHUNK)])


def integrated_pass_at_k(
    a: Float[np.ndarray, " draw"], b: Float[np.ndarray, " draw"], scale: Float[np.ndarray, " draw"], k: float
) -> Float[np.ndarray, " draw"]:
    """pass@k over all problems by the trapezoidal rule in the log odds of q.

    The integrand is smooth there and dies off exponentially, so that the rule is accurate to rounding.

    Parameters
    ----------
    a, b, scale
        Of the scaled Beta, (draw,).
    k
        Number of attempts.

    Returns
    -------
    array (draw,)
        E[1 - (1 - scale q)^k].
    """
    from scipy.special import betaln

    a, b, scale = a[:, None], b[:, None], scale[:, None]
    low = -40 / a - 5
    width = 40 / b + 5 - low
    z = low + width * NODES
    q = 1 / (1 + np.exp(-z))
    log_rest = -np.logaddexp(0, z)
    density = np.exp(a * (z + log_rest) + b * log_rest - betaln(a, b))
    passed = -np.expm1(k * np.log1p(-scale * q))
    return (density * passed).sum(axis=1) * (width[:, 0] / (len(NODES) - 1))
