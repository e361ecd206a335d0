"""What it costs not to know the optimum: regret, wasted compute and tail risk of any size, draw by draw.

Let L_s(N) be the loss of draw s at N and the tokens that the budget C leaves, L*_s its optimum, and C'_s the least
budget that reaches L_s(N) along that draw's own frontier. Then regret is L_s(N) - L*_s(C), and the wasted share of
the budget 1 - C'_s/C. For the Chinchilla form and C = 6 N D, C'_s/C is [a m^-alpha + b m^beta]^(-1/gamma),
m = N/N*_s, gamma = alpha beta/(alpha + beta); here it is found numerically, so that any law and cost will do.
"""

from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Shaped

from scalefit._aot import cached_jit
from scalefit._batching import padded_rows
from scalefit._roots import Root
from scalefit.costs.cost import Cost, SixND
from scalefit.errors import OptionError
from scalefit.frontier.optimum import PATHS, optimum_along
from scalefit.frontier.priced_lines import has_straight_lines, losses_on_line
from scalefit.model.path_grids import discrepancy_on_lines
from scalefit.planning._envelope import LeastBudgets, Optima, optima_at
from scalefit.planning._loss_posterior import LossPosterior
from scalefit.planning._solve import LARGEST, POINTS, loss_at, minimise, tokens_along

Scalar = Float[Array, ""]
FURTHEST_BELOW, NEAR = 30.0, 1.0  # of a table of least budgets, in ln of the budget: two `BLOCK`s
ROUNDS = 4  # of grids of sizes that close in, to 1e-4 where expected loss has kinks, as by draws that run out of tokens
SMOOTH_ROUNDS = 2  # where it has none, so that a parabola finds the minimum between points
MARGIN = 4.0  # beyond the smallest and the largest optimum of the law alone, in ln N


@dataclass(frozen=True, eq=False)
class Regret:
    """One budget in every draw; for use inside `precision()`. Sizes are ln N.

    Parameters
    ----------
    posterior, cost
        Of the loss, and what the budget pays for.
    log_budget
        Its logarithm.
    """

    posterior: LossPosterior
    cost: Cost
    log_budget: float

    @cached_property
    def least_budgets(self) -> LeastBudgets:
        """For any loss that the budget reaches."""
        low, near = self.log_budget - FURTHEST_BELOW, NEAR
        return LeastBudgets(self.posterior, self.cost, self.log_budget, low, self.log_budget, near)

    @cached_property
    def optimum(self) -> Optima:
        """The optimum of every draw, each (draw,)."""
        if self.posterior.law_only is self.posterior:
            found = optima_at(self.posterior, self.cost, np.array([self.log_budget]))
        else:
            found = self.least_budgets.envelope
        return Optima(*(values[:, -1] for values in found))

    def losses(self, log_n: Float[np.ndarray, " point"]) -> Float[np.ndarray, "draw point"]:
        """Loss at each size and the tokens that the budget leaves it."""
        rows = padded_rows(len(log_n), POINTS)
        parts = rows.reshape(-1, POINTS)
        found = [_losses(self.posterior, self.cost, jnp.asarray(log_n[part]), self._jax_budget) for part in parts]
        return np.concatenate([np.asarray(part, dtype=float) for part in found], axis=1)[:, : len(log_n)]

    def outcome(self, log_n: float) -> dict[str, Shaped[np.ndarray, " draw"]]:
        """What a size costs.

        Returns
        -------
        dict
            Name -> (draw,): loss and regret; wasted_compute, the share of the budget that the optimum
            would save; converged, whether the searches for that optimum and that share did.
        """
        loss = self._loss(log_n)
        least, converged = self.least_budgets(loss)
        wasted = np.maximum(-np.expm1(least - self.log_budget), 0.0)
        found = {"loss": loss, "regret": np.maximum(loss - self.optimum.loss, 0.0), "wasted_compute": wasted}
        return found | {"converged": converged & self.optimum.converged}

    def expected_waste(self, log_n: Float[np.ndarray, " point"]) -> Float[np.ndarray, " point"]:
        """Mean over draws of the wasted share, from a table."""
        least = self.least_budgets.tabulated(self.losses(log_n))
        return np.maximum(-np.expm1(least - self.log_budget), 0.0).mean(axis=0)

    def best_log_params(self) -> Root:
        """ln N that minimises the mean over draws of the loss."""
        if self.posterior.law_only is self.posterior:
            return Root(*_best_log_params(self.posterior, self.cost, self._jax_budget))
        sizes = optima_at(self.posterior.law_only, self.cost, np.array([self.log_budget])).log_n
        low, high = np.nanmin(sizes) - MARGIN, np.nanmax(sizes) + MARGIN
        expected = lambda log_n: self.losses(log_n).mean(axis=0)
        smooth = self.posterior.wall is None and self.cost.axes is None and has_straight_lines(self.cost)
        best = minimise(expected, low, high, SMOOTH_ROUNDS if smooth else ROUNDS, smooth)
        return Root(jnp.asarray(best), jnp.asarray(True))

    def _loss(self, log_n: float) -> Float[np.ndarray, " draw"]:
        """At one size."""
        if self.cost.axes == 0:
            return self.losses(np.array([log_n]))[:, 0]
        log_d = tokens_along(self.cost, self._jax_budget)(jnp.asarray(log_n))
        return np.asarray(loss_at(self.posterior, jnp.asarray(log_n), log_d))

    @property
    def _jax_budget(self) -> Scalar:
        return jnp.asarray(self.log_budget, dtype=float)


@cached_jit()
def _best_log_params(posterior: LossPosterior, cost: Cost, log_budget: Scalar) -> tuple[Scalar, Bool[Array, ""]]:
    high, middle = jnp.full_like(log_budget, LARGEST), jax.tree.map(jnp.mean, cost) if cost.axes == 0 else cost

    def expected(log_n: Scalar, log_d: Scalar) -> Scalar:
        """Of the tokens that each draw has for the money that is log_d on average."""
        if cost.axes is None:
            return posterior.expected_loss(log_n, log_d)
        log_spent = jnp.log(middle.total(jnp.exp(log_n), jnp.exp(log_d)))
        own = lambda draw, cost: draw.loss(log_n, cost.log_tokens_for(log_spent, log_n))
        return jax.vmap(own, (posterior.axes, 0))(posterior, cost).mean()

    found = optimum_along(expected, tokens_along(middle, log_budget), high)
    return found.x, found.converged


@cached_jit()
def _losses(
    posterior: LossPosterior, cost: Cost, log_n: Float[Array, " point"], log_budget: Scalar
) -> Float[Array, "draw point"]:
    """Loss at each of exp(log_n) parameters and the tokens that a budget leaves."""
    if cost.axes == 0 and has_straight_lines(cost) and posterior.law_only is not posterior and posterior.wall is None:
        of_draw = lambda draw, cost: losses_on_line(draw.law, draw.draws, cost, log_budget, log_n)
        return jax.vmap(of_draw, (posterior.axes, 0))(posterior, cost)
    if cost.axes == 0:
        own = lambda draw, cost: jax.vmap(lambda u: draw.loss(u, cost.log_tokens_for(log_budget, u)))(log_n)
        return jax.vmap(own, (posterior.axes, 0))(posterior, cost)
    log_d = tokens_along(cost, log_budget)(log_n)
    if not isinstance(cost, SixND) or posterior.law_only is posterior:
        return jax.vmap(posterior.losses)(log_n, log_d).T
    log_c = log_budget - jnp.log(cost.times)

    def one(draw: LossPosterior) -> Float[Array, " point"]:
        loss, path = draw.with_discrepancy, draw.draws[PATHS]
        errors = discrepancy_on_lines(path, log_c[None], jnp.zeros_like(log_c)[None], log_d - log_n)[0]
        found = loss.joined(jax.vmap(loss.law)(log_n, log_d), errors)
        if draw.wall is None:
            return found
        log_wall = jnp.log(draw.wall)
        errors = jax.vmap(loss.discrepancy, (0, None))(log_n, log_wall)
        at_wall = loss.joined(jax.vmap(lambda u: loss.law(u, log_wall))(log_n), errors)
        return jnp.where(log_d < log_wall, found, at_wall)

    return jax.vmap(one, (posterior.axes,))(posterior)


def cvar(values: Float[np.ndarray, " draw"], level: float = 0.95) -> float:
    """Conditional value at risk: the mean of the worst draws.

    Parameters
    ----------
    values
        Losses; larger is worse.
    level
        The worst share `1 - level` counts.

    Raises
    ------
    OptionError
        The level does not lie from 0 to below 1.

    References
    ----------
    Rockafellar & Uryasev 2000 (Journal of Risk 2), equation 4.
    """
    if not 0 <= level < 1:
        raise OptionError(f"the level of a risk is {level}. Give a number from 0 to below 1, as in 0.95.")
    worst = np.sort(values)[-max(1, round((1 - level) * len(values))) :]
    return float(worst.mean())
