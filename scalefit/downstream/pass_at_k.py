"""pass@k from a distribution of success probabilities over problems (Schaeffer et al. 2025, arXiv 2502.17578).

One problem's failures fall exponentially in the number of attempts k; a benchmark's -ln pass@k falls as k^-b because
some problems are nearly hopeless. With p ~ scale * Beta(a, b) over problems, 1 - pass@k ~ k^-a: b of the power law is
the Beta's a.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Any, Literal

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import gammaln, logsumexp

from scalefit._intervals import interval
from scalefit._tables import interval_columns
from scalefit.diagnostics.checks import Health
from scalefit.diagnostics.health import assess_chains
from scalefit.downstream._density import DensityModel, sample_density
from scalefit.downstream.scatter import log_beta
from scalefit.errors import DataError, OptionError
from scalefit.laws import Param, Prior

if TYPE_CHECKING:
    import pandas as pd

    from scalefit.downstream.accuracy import Downstream


MOST_TRIALS = 2000  # for an inferred scale, whose likelihood is a sum over the attempts
ROWS = 128
LOG_ODDS = np.linspace(-1.0, 1.0, 2001)


@dataclass(frozen=True)
class ScaledBeta(DensityModel):
    """Success probabilities of problems: `scale` times a Beta; scale None is inferred, and `most` bounds the trials."""

    scale: float | None = 1.0
    most: int = 0

    def params(self) -> tuple[Param, ...]:
        """a, b, and the scale where it is not fixed."""
        shape = Param("a", Prior.of("LogNormal", loc=log(0.5), scale=1.0), "shape at 0; exponent of -ln pass@k in k")
        other = Param("b", Prior.of("LogNormal", loc=log(2.0), scale=1.5), "shape at the easiest problems")
        prior = Prior.of("Beta", concentration1=4.0, concentration0=1.0)
        top = Param("scale", prior, "success probability of the easiest problems", "share")
        return (shape, other) if self.scale is not None else (shape, other, top)

    def log_likelihood(self, theta: Mapping[str, Any], data: Mapping[str, Array]) -> Array:
        """Of successes y in n trials, counted `times`: beta-binomial, or that of trials thinned by the scale.

        p = scale * q is a coin of q tossed only where one of `scale` falls heads first: the number J of tosses that
        count is binomial, so that the likelihood is a finite sum over J of positive terms, exact and stable.
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
    return _choices(n, y) + log_beta(y + a, n - y + b) - log_beta(a, b)


def _choices(n: Array, k: Array) -> Array:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


@dataclass(frozen=True, eq=False)
class PassAtK:
    """A posterior of the distribution of success probabilities over problems.

    draws : a, b, scale -> (chain, draw). successes, trials : the table, each (problem,).
    """

    draws: dict[str, np.ndarray]
    health: Health
    successes: np.ndarray
    trials: np.ndarray
    seed: int

    def __repr__(self) -> str:
        return f"<PassAtK: {len(self.trials)} problems, {self.trials.max():g} trials; health {self.health.verdict}>"

    @property
    def slope(self) -> np.ndarray:
        """The b of -ln pass@k ~ k^-b for many attempts, (chain, draw): the Beta's a."""
        return self.draws["a"]

    def predict(self, k: Any, kind: Literal["mean", "run"] = "mean", seed: int | None = None) -> np.ndarray:
        """Draws of pass@k, (draw, k).

        k : numbers of attempts, (k,). kind : "mean" over all problems of the kind, "run" for a new benchmark of as many
        problems as the table has. Raises `OptionError` on another kind, `DataError` where k is not 1 or more.
        """
        k = np.atleast_1d(np.asarray(k, dtype=float))
        if not (np.isfinite(k) & (k >= 1)).all():
            raise DataError("k counts attempts: numbers of 1 or more.")
        if kind not in ("mean", "run"):
            raise OptionError(
                f"there is no interval kind {kind!r}; choose mean (all problems) or run (a new benchmark)."
            )
        theta = {name: values.reshape(-1) for name, values in self.draws.items()}
        if kind == "mean":
            return np.stack([_expected(theta, one) for one in k], axis=1)
        return self._new_benchmark(theta, k, np.random.default_rng(self.seed if seed is None else seed))

    def _new_benchmark(self, theta: dict[str, np.ndarray], k: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        shape = (len(theta["a"]), len(self.trials))
        p = theta["scale"][:, None] * rng.beta(theta["a"][:, None], theta["b"][:, None], shape)
        return np.stack([-np.expm1(one * np.log1p(-np.minimum(p, 1 - 1e-16))).mean(axis=1) for one in k], axis=1)

    def summary(self, prob: float = 0.9) -> "pd.DataFrame":
        """Rows: parameters; columns: median, lower, upper, ess_bulk, ess_tail, r_hat, mcse_median."""
        from scalefit.diagnostics.convergence import chain_table

        return chain_table(self.draws, prob)


def fit_pass_at_k(successes: Any, trials: Any, *, scale: float | None = 1.0, seed: int = 0) -> PassAtK:
    """Fit the distribution of success probabilities over the problems of a benchmark.

    successes, trials : of each problem, (problem,); trials may be one number. scale : success probability of the
    easiest problems; None infers it, for at most 2,000 trials a problem.

    Raises `DataError` where the counts are no counts, `OptionError` on a scale outside 0..1.
    """
    y, n = _counts(successes, trials)
    if scale is not None and not 0 < scale <= 1:
        raise OptionError(f"the scale is a probability above 0 and at most 1; got {scale}.")
    if scale != 1.0 and n.max() > MOST_TRIALS:
        raise OptionError(f"{n.max():g} trials a problem are too many for a scale below 1; keep scale=1.")
    model = ScaledBeta(scale, 0 if scale == 1.0 else int(n.max()))
    draws, stats = sample_density(model, _tallied(y, n), seed)
    health = assess_chains(draws, stats)
    return PassAtK({"scale": np.full_like(draws["a"], scale or 1.0), **draws}, health, y, n, seed)


def _tallied(y: np.ndarray, n: np.ndarray) -> dict[str, np.ndarray]:
    """Problems alike counted once; padded by rows that count for nothing, so that tables share compiled programs."""
    (y, n), times = np.unique(np.stack([y, n]), axis=1, return_counts=True)
    pad = (0, -len(times) % ROWS)
    return {"successes": np.pad(y, pad), "trials": np.pad(n, pad, constant_values=1), "times": np.pad(times, pad)}


def observed_pass_at_k(successes: Any, trials: Any, k: int) -> float:
    """Mean over problems of the unbiased 1 - C(n - y, k) / C(n, k) (Chen et al. 2021, arXiv 2107.03374).

    Raises `DataError` where k exceeds the trials of a problem.
    """
    from scipy.special import gammaln as host_gammaln

    y, n = _counts(successes, trials)
    if not 1 <= k <= n.min():
        raise DataError(f"pass@{k} cannot be counted from {n.min():g} trials; fit_pass_at_k predicts it.")
    failed = n - y
    enough = np.maximum(failed - k, 0)
    log_none = host_gammaln(failed + 1) - host_gammaln(enough + 1) - host_gammaln(n + 1) + host_gammaln(n - k + 1)
    return float(np.mean(np.where(failed >= k, -np.expm1(log_none), 1.0)))


def _counts(successes: Any, trials: Any) -> tuple[np.ndarray, np.ndarray]:
    y = np.atleast_1d(np.asarray(successes, dtype=float))
    n = np.resize(np.asarray(trials, dtype=float), y.shape) if np.ndim(trials) == 0 else np.asarray(trials, dtype=float)
    if y.ndim != 1 or y.shape != n.shape or len(y) < 2:
        raise DataError(
            f"successes {y.shape} and trials {n.shape} must be one number for each of two problems or more."
        )
    bad = ~(np.isfinite(y) & np.isfinite(n)) | (y != np.round(y)) | (n != np.round(n)) | (y < 0) | (n < 1) | (y > n)
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise DataError(f"problem {i + 1}: {y[i]:g} successes in {n[i]:g} trials cannot be; give whole counts.")
    return y, n


def _expected(theta: dict[str, np.ndarray], k: float) -> np.ndarray:
    """E[1 - (1 - scale q)^k] with q ~ Beta(a, b), (draw,); in closed form where the scale is 1."""
    from scipy.special import betaln as host_betaln

    a, b, scale = theta["a"], theta["b"], theta["scale"]
    if (scale == 1.0).all():
        return -np.expm1(host_betaln(a, b + k) - host_betaln(a, b))
    return np.concatenate([_by_quadrature(a, b, scale, k) for a, b, scale in zip(*_blocks(a, b, scale), strict=True)])


def _blocks(*columns: np.ndarray, size: int = 500) -> list[list[np.ndarray]]:
    return [np.array_split(column, -(-len(column) // size)) for column in columns]


def _by_quadrature(a: np.ndarray, b: np.ndarray, scale: np.ndarray, k: float) -> np.ndarray:
    """The trapezoidal rule in ln odds of q, where the integrand is smooth and dies off exponentially: (draw,)."""
    from scipy.special import betaln as host_betaln

    a, b, scale = a[:, None], b[:, None], scale[:, None]
    low, high = -40 / a - 5, 40 / b + 5
    z = low + (high - low) * (LOG_ODDS + 1) / 2
    q, rest = 1 / (1 + np.exp(-z)), -np.logaddexp(0, z)
    density = np.exp(a * (z + rest) + b * rest - host_betaln(a, b))
    passed = -np.expm1(k * np.log1p(-scale * q))
    return (density * passed).sum(axis=1) * ((high - low)[:, 0] / (len(LOG_ODDS) - 1))


def accuracy_table(found: "Downstream", losses: Any, prob: float = 0.9) -> "pd.DataFrame":
    """Rows: task losses; columns: (curve, one evaluation) x (median, lower, upper), shares."""
    import pandas as pd

    losses = np.atleast_1d(np.asarray(losses, dtype=float))
    columns: dict[tuple[str, str], Any] = {}
    if len(losses):
        for label, kind in (("curve", "mean"), ("one evaluation", "run")):
            columns |= interval_columns(label, interval(found.accuracy(losses, kind), prob))  # type: ignore[arg-type]
    return pd.DataFrame(columns, index=pd.Index(losses, name="task loss"))
