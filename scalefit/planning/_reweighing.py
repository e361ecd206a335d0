"""The value of runs to come by importance: simulate an outcome, reweigh the draws by it, decide again."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from scalefit._aot import cached_jit
from scalefit.model.data import Theta
from scalefit.model.noise import Noise
from scalefit.numerics.importance import PARETO_K
from scalefit.numerics.sample_information import Decision

OUTCOMES = 128
MOST_FAILED = 0.1  # of the outcomes, whose weights are too uneven
TAIL = 3.0  # times the square root of the number of draws: what the tail of the weights is
GRID = 30


class Reweighed(NamedTuple):
    """The value of runs, by importance.

    Parameters
    ----------
    saved
        Under each outcome, what the decision made afterwards saves.
    pareto_k
        Of the weights, the quantile over outcomes that `MOST_FAILED` of them are above.
    """

    saved: Float[np.ndarray, " outcome"]
    pareto_k: float

    @property
    def reliable(self) -> bool:
        """Whether the weights of most outcomes are even enough."""
        return self.pareto_k <= PARETO_K


@dataclass(frozen=True, eq=False)
class Reweighing:
    """Draws of a decision and of its candidates; for use inside `precision()`.

    Parameters
    ----------
    decision
        Of the losses of its options, draw by draw.
    seen
        Expected ln loss of every candidate.
    noise, theta
        Of one run, and its parameters, each (draw,).
    seed
        Of the outcomes.
    """

    decision: Decision
    seen: Float[np.ndarray, "draw candidate"]
    noise: Noise
    theta: dict[str, np.ndarray]
    seed: int

    def value(self, runs: list[int]) -> Reweighed:
        """Of some candidates together; the same one twice is two runs.

        The draw that an outcome is simulated from takes no part in judging it.
        """
        rng, count = np.random.default_rng([self.seed, 3]), len(self.seen)
        # Outcomes from draws spread evenly over the first run's expected losses.
        from_draw = np.argsort(self.seen[:, runs[0]])[(np.arange(OUTCOMES) * 2 + 1) * count // (2 * OUTCOMES)]
        of_draws = {name: values[from_draw] for name, values in self.theta.items()}
        theta = {name: jnp.asarray(values) for name, values in self.theta.items()}
        log_weight = np.zeros((OUTCOMES, count))
        for run in runs:
            logged = self.noise.sample(of_draws, self.seen[from_draw, run], rng)
            log_weight += np.asarray(_log_likelihood(self.noise, theta, *map(jnp.asarray, (logged, self.seen[:, run]))))
        log_weight[np.arange(OUTCOMES), from_draw] = -np.inf
        weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        later = weight @ self.decision.asked
        return Reweighed(-later.min(axis=1), float(np.quantile(tail_shapes(weight), 1 - MOST_FAILED)))


@cached_jit("noise")
def _log_likelihood(
    noise: Noise, theta: Theta, logged: Float[Array, " outcome"], expected: Float[Array, " draw"]
) -> Float[Array, "outcome draw"]:
    """Of every draw, at every ln loss that a run could log."""
    of_draw = lambda draw, middle: noise.log_density(draw, logged - middle)
    return jax.vmap(of_draw, out_axes=1)(theta, expected)


def tail_shapes(weight: Float[np.ndarray, "outcome draw"]) -> Float[np.ndarray, " outcome"]:
    """Pareto k of each row's largest weights.

    References
    ----------
    Zhang & Stephens 2009, Technometrics 51, 316: the estimator. Vehtari et al. 2024, J. Mach. Learn. Res. 25 (72):
    its use for importance weights, and the prior that steadies it.
    """
    count = int(min(0.2 * weight.shape[1], TAIL * np.sqrt(weight.shape[1])))
    top = np.sort(np.partition(weight, -count - 1, axis=1)[:, -count - 1 :], axis=1)
    x = np.maximum(top[:, 1:] - top[:, :1], np.finfo(float).tiny)
    grid = GRID + int(np.sqrt(count))
    quartile, largest = x[:, int(count / 4 + 0.5) - 1], x[:, -1]
    b = (1 - np.sqrt(grid / (np.arange(grid) + 0.5))) / (3 * quartile[:, None]) + 1 / largest[:, None]
    k = np.log1p(-b[:, :, None] * x[:, None]).mean(axis=2)
    log_likelihood = count * (np.log(-b / k) - k - 1)
    share = np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
    mean = (b * share).sum(axis=1) / share.sum(axis=1)
    shape = np.log1p(-mean[:, None] * x).mean(axis=1)
    return (shape * count + 5) / (count + 10)
