"""The cheapest run that reaches a loss in a share of the draws."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from scalefit._aot import cached_jit
from scalefit.costs.cost import Cost
from scalefit.counting import FLOPS_PER_PARAM_TOKEN
from scalefit.frontier.optimum import PATHS
from scalefit.model.path_grids import discrepancy_on_lines
from scalefit.planning._crossing import first_agreement
from scalefit.planning._loss_posterior import LossPosterior
from scalefit.planning._solve import LARGEST, POINTS, loss_at

SEARCH = np.log(1000.0)  # sizes are sought within this factor of the median optimum, and tokens of the least budgets
HALVINGS = 24  # of ln D in a search for tokens: to 5e-6
BUDGETS = 64  # of a table along each ratio of tokens to parameters
BELOW, ABOVE = 1.0, 30.0  # of ln C, from the draw that needs least
Found = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class SureSearch:
    """Where the cheapest run for a loss is sought; for use inside `precision()`.

    Parameters
    ----------
    posterior, cost
        Of the loss, and what is paid for.
    level
        The loss to be reached.
    log_cap
        The largest ln N.
    params, tokens
        Of the optimum at each draw's least budget for the loss; infinite where there is none.
    """

    posterior: LossPosterior
    cost: Cost
    level: float
    log_cap: float
    params: Float[np.ndarray, " draw"]
    tokens: Float[np.ndarray, " draw"]

    def cheapest(self, probs: Sequence[float]) -> list[tuple[float, float]]:
        """ln N and ln D of the run, for each probability of reaching the loss; infinite where none does."""
        law = self.posterior.law_only is self.posterior
        points, candidates = self._sizes() if law else self._ratios()
        find = self._with_size if law else self._with_ratio
        found = []
        for prob, first in zip(probs, find(points, candidates, probs), strict=True):
            best = self._least(*first)
            log_c = np.log(FLOPS_PER_PARAM_TOKEN) + first[0][best] + first[1][best]
            if not np.isfinite(log_c):
                found.append((np.inf, np.inf))
                continue
            near = np.linspace(points[max(best - 1, 0)], points[min(best + 1, len(points) - 1)], POINTS)
            log_n, log_d = find(near, np.linspace(log_c - BELOW, log_c + BELOW, BUDGETS), (prob,))[0]
            best = self._least(log_n, log_d)
            found.append((float(log_n[best]), float(log_d[best])))
        return found

    def _least(self, log_n: np.ndarray, log_d: np.ndarray) -> int:
        """Index of the cheapest run within the cap."""
        spent = self.cost.total(np.exp(log_n), np.exp(log_d))
        fits = np.isfinite(log_n) & np.isfinite(log_d) & (log_n <= self.log_cap + 1e-12)
        return int(np.argmin(np.where(fits, spent, np.inf)))

    def _sizes(self) -> Found:
        middle = float(np.log(np.median(self.params[np.isfinite(self.params)])))
        low, high = min(middle, self.log_cap) - SEARCH, min(middle + SEARCH, self.log_cap)
        return np.linspace(low, high, 2 * POINTS), np.zeros(0)

    def _with_size(self, log_n: np.ndarray, _: np.ndarray, probs: Sequence[float]) -> list[Found]:
        """By the law alone: for each size the fewest tokens that suffice."""
        targets = [jnp.asarray([self.level, prob]) for prob in probs]
        return [(log_n, np.asarray(_tokens_to_be_sure(self.posterior, jnp.asarray(log_n), each))) for each in targets]

    def _ratios(self) -> Found:
        found = np.isfinite(self.params)
        log_n, log_d = np.log(self.params[found]), np.log(self.tokens[found])
        least = float((np.log(FLOPS_PER_PARAM_TOKEN) + log_n + log_d).min())
        middle = float(np.median(log_d - log_n))
        return (
            np.linspace(middle - 2 * SEARCH, middle + 2 * SEARCH, 2 * POINTS),
            np.linspace(least - BELOW, least + ABOVE, BUDGETS),
        )

    def _with_ratio(self, ratios: np.ndarray, log_c: np.ndarray, probs: Sequence[float]) -> list[Found]:
        """For each ratio of tokens to parameters the least compute that suffices, and with it every cost."""
        parts = [ratios[i : i + POINTS] for i in range(0, len(ratios), POINTS)]
        losses = np.concatenate(
            [np.asarray(_by_ratio(self.posterior, jnp.asarray(log_c), jnp.asarray(part))) for part in parts], axis=1
        )
        found = []
        for prob in probs:
            enough = first_agreement(log_c, losses, _share_reaches(self.level, prob))
            log_k = enough - np.log(FLOPS_PER_PARAM_TOKEN)
            found.append((0.5 * (log_k - ratios), 0.5 * (log_k + ratios)))
        return found


def _share_reaches(level: float, prob: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda losses: (losses <= level).mean(axis=0) >= prob


@cached_jit()
def _by_ratio(
    posterior: LossPosterior, log_c: Float[Array, " budget"], ratios: Float[Array, " ratio"]
) -> Float[Array, "draw ratio budget"]:
    """Losses with discrepancy at every ln D/N and ln C."""
    log_k = log_c - jnp.log(FLOPS_PER_PARAM_TOKEN)

    def one(draw: LossPosterior) -> Float[Array, "ratio budget"]:
        loss = draw.with_discrepancy
        of_law = lambda ratio, log_k: loss.law(0.5 * (log_k - ratio), 0.5 * (log_k + ratio))
        law = jax.vmap(jax.vmap(of_law, (None, 0)), (0, None))(ratios, log_k)
        return loss.joined(law, discrepancy_on_lines(draw.draws[PATHS], log_c, jnp.zeros_like(log_c), ratios).T)

    return jax.vmap(one, (posterior.axes,))(posterior)


@cached_jit()
def _tokens_to_be_sure(
    posterior: LossPosterior, log_n: Float[Array, " point"], target: Float[Array, "2"]
) -> Float[Array, " point"]:
    """ln of the fewest tokens for a loss in a share of the draws, by bisection: the law's loss falls with tokens."""
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
