"""What runs to come are worth to a decision, or to a forecast: the Gaussian step on draws of a fit."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from scalefit._aot import cached_jit
from scalefit._batching import in_chunks
from scalefit.model.clusters import SHARED
from scalefit.numerics.batches import Purse, greedy
from scalefit.numerics.sample_information import Decision, Gain, GaussianStep, variance_gain
from scalefit.planning._candidates import Candidates
from scalefit.planning._loss_posterior import LossPosterior
from scalefit.planning._regret import Regret
from scalefit.planning._solve import POINTS

REACH = 6.0  # of the sizes at which later plans are sought, in ln N
TAIL = 0.005  # of the draws whose optimum may lie beyond these sizes
STEP_BACK = 0.1  # in ln of the budget, for the slope of the expected loss
CHUNK = 64
RESOLVED = 8.0  # the largest of a hundred chi-squares of one degree of freedom, which candidates nearly are


def sizes_to_decide(regret: Regret, best: float) -> tuple[Float[np.ndarray, " size"], Float[np.ndarray, "draw size"]]:
    """ln N among which the plan of a budget is chosen, dense where draws have their optima, and losses there."""
    coarse = best + np.linspace(-REACH, REACH, POINTS)
    optima = coarse[regret.losses(coarse).argmin(axis=1)]
    step = coarse[1] - coarse[0]
    low, high = np.quantile(optima, [TAIL, 1 - TAIL]) + [-step, step]
    sizes = np.sort(np.append(np.linspace(min(low, best), max(high, best), 2 * POINTS - 1), best))
    return sizes, regret.losses(sizes)


def loss_per_budget(regret: Regret, best: float) -> float:
    """Expected loss that one more unit of the budget saves, along the best sizes: by the envelope theorem, at one."""
    less = Regret(regret.posterior, regret.cost, regret.log_budget - STEP_BACK)
    now, then = (each.losses(np.array([best])).mean() for each in (regret, less))
    return float((then - now) / (np.exp(regret.log_budget) * -np.expm1(-STEP_BACK)))


def log_losses(posterior: LossPosterior, candidates: Candidates) -> Float[np.ndarray, "draw candidate"]:
    """Expected ln loss of every candidate in every draw."""
    at = np.log(candidates.params), np.log(candidates.tokens)
    return np.asarray(in_chunks(lambda some: _log_losses(posterior, *map(jnp.asarray, some)), at, CHUNK, axis=1))


@cached_jit()
def _log_losses(
    posterior: LossPosterior, log_n: Float[Array, " run"], log_d: Float[Array, " run"]
) -> Float[Array, "draw run"]:
    return jnp.log(jax.vmap(posterior.losses, out_axes=1)(log_n, log_d))


def normal_variance(theta: dict[str, np.ndarray]) -> float:
    """Of a normal that says as much about an expected ln loss as the noise does: the inverse of its information.

    References
    ----------
    Lange, Little & Taylor 1989, J. Am. Stat. Assoc. 84, 881, section 4: the information of a t distribution.
    """
    variance = np.square(theta["sigma"])
    if "nu" in theta:
        variance = variance * (theta["nu"] + 3) / (theta["nu"] + 1)
    return float((variance + np.square(theta.get(SHARED, 0.0))).mean())


def share_of_variance(
    quantity: Float[np.ndarray, " draw"], seen: Float[np.ndarray, "draw candidate"], theta: dict[str, np.ndarray]
) -> Float[np.ndarray, " candidate"]:
    """Of a quantity, what each candidate alone takes away, by expected ln losses and the noise's parameters."""
    step = GaussianStep.of(quantity[:, None], seen, normal_variance(theta))
    return variance_gain(0, float(quantity.var(ddof=1)))(step)


@dataclass(frozen=True)
class Batch:
    """Runs to make, in this order.

    Parameters
    ----------
    runs
        Candidates by their number; one that is here twice is run twice.
    gains
        What each gains, given those before it.
    """

    runs: tuple[int, ...] = ()
    gains: tuple[float, ...] = ()

    @property
    def value(self) -> float:
        """Of all of them."""
        return float(sum(self.gains))

    def start(self, count: int) -> Self:
        """Its first runs."""
        return replace(self, runs=self.runs[:count], gains=self.gains[:count])


@dataclass(frozen=True, eq=False)
class RunValues:
    """One decision, candidates, and what is asked beside it.

    Parameters
    ----------
    decision
        The plan's size, by the losses of every draw.
    quantity
        What is to be forecast; None where the plan is all.
    decides
        Whether the plan is the aim; of an aim with a quantity too, the first run of a batch serves that alone.
    seen, noise
        Expected ln losses of the candidates, and variance of one run around them.
    cost, keep
        Of each candidate, and the probability that it does not diverge.
    """

    decision: Decision
    quantity: Float[np.ndarray, " draw"] | None
    decides: bool
    seen: Float[np.ndarray, "draw candidate"]
    noise: float
    cost: Float[np.ndarray, " candidate"]
    keep: Float[np.ndarray, " candidate"]

    @cached_property
    def step(self) -> GaussianStep:
        """Before any run."""
        asked = self.decision.asked
        if self.quantity is not None:
            asked = np.column_stack([asked, self.quantity])
        return GaussianStep.of(asked, self.seen, self.noise)

    def given(self, batch: Batch) -> GaussianStep:
        """After a batch."""
        return reduce(GaussianStep.given, batch.runs, self.step)

    @property
    def least(self) -> float:
        """What the draws resolve: less than this is none.

        A covariance of nothing over S draws explains a share of about chi2(1)/S of what there is to explain.
        """
        return RESOLVED / len(self.seen) * (self.decision.regret if self.decides else 1.0)

    def values(self) -> tuple[Float[np.ndarray, " candidate"], Float[np.ndarray, "outcome candidate"] | None]:
        """Of every candidate alone; and what it saves under each outcome, where the plan is the aim."""
        if not self.decides:
            return self._forecast(0)(self.step), None
        saved = self.decision.saved(self.step)
        return self.keep * saved.mean(axis=0), saved

    def batch(self, purse: Purse) -> Batch:
        """The runs that gain most together, chosen one after another by their gain, or by that per cost."""
        if self.quantity is not None and self.decides:
            return self._greedy(purse, lambda taken: (self._saved if taken else self._forecast)(taken))
        gains = self._saved if self.quantity is None else self._forecast
        found = [self._greedy(purse, gains, score) for score in (_by_gain, _by_cost)]
        return max(found, key=lambda batch: batch.value)

    def worth_their_price(self, purse: Purse, per_cost: float) -> Batch:
        """The runs that gain most beyond their price; none where no run, and no start of a batch, gains its price."""
        net = lambda gain, cost: gain - per_cost * cost
        found = [self._greedy(purse, self._saved, score) for score in (net, _by_gain, _by_cost)]
        starts = [batch.start(count) for batch in found for count in range(len(batch.runs) + 1)]
        return max(starts, key=lambda batch: batch.value - per_cost * self.cost[list(batch.runs)].sum())

    def _saved(self, taken: int) -> Gain:
        """What one run more saves the plan."""
        return lambda step: self.keep * self.decision.gain(step)

    def _forecast(self, taken: int) -> Gain:
        """The share of a quantity's variance that one run more takes away."""
        assert self.quantity is not None, "asked of an aim without one"
        gain = variance_gain(self.decision.losses.shape[1], float(self.quantity.var(ddof=1)))
        return lambda step: self.keep * gain(step)

    def _greedy(self, purse: Purse, gains: Callable[[int], Gain], score: Any = None) -> Batch:
        runs, found = greedy(self.step, gains, self.cost, purse, score or _by_gain, self.least)
        if self.decides and self.quantity is not None:  # what the first one gains the forecast is no loss
            steps = [self.given(Batch(tuple(runs[:count]))) for count in range(len(runs))]
            found = [float(self._saved(0)(step)[run]) for step, run in zip(steps, runs, strict=True)]
        return Batch(tuple(runs), tuple(found))


def _by_gain(gain: np.ndarray, cost: np.ndarray) -> np.ndarray:
    return gain


def _by_cost(gain: np.ndarray, cost: np.ndarray) -> np.ndarray:
    return gain / cost
