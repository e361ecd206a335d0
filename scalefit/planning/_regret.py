"""What it costs not to know the optimum: regret, wasted compute and tail risk of any action, draw by draw.

Let L_s(N) be the loss of draw s at N and the tokens that the budget C leaves, L*_s its optimum, and C'_s the least
budget that reaches L_s(N) when spent at that draw's optimum. Then regret is L_s(N) - L*_s(C) in nats, and the wasted
share of the budget 1 - C'_s/C. For the Chinchilla form and C = 6 N D, C'_s/C is [a m^-alpha + b m^beta]^(-1/gamma),
m = N/N*_s, gamma = alpha beta/(alpha + beta); here it is solved for numerically, so that any law and cost will do.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit._aot import cached_jit
from scalefit._roots import Root
from scalefit.costs.cost import Cost
from scalefit.errors import OptionError
from scalefit.frontier.optimum import optimum_along
from scalefit.planning._loss_posterior import LossPosterior
from scalefit.planning._solve import LARGEST, best_log_params, least_log_budget, tokens_along


def bayes_log_params(belief: LossPosterior, cost: Cost, log_budget: Array) -> Root:
    """ln N that minimises the mean over draws of the loss at a budget."""
    return Root(*_bayes_log_params(belief, cost, log_budget))


@cached_jit()
def _bayes_log_params(belief: LossPosterior, cost: Cost, log_budget: Array) -> tuple[Array, Array]:
    high = jnp.full_like(log_budget, LARGEST)
    return tuple(optimum_along(belief.expected_loss, tokens_along(cost, log_budget), high))


class Optimum(NamedTuple):
    """What one draw would do with a budget: ln N, the loss there, and the least loss by the law without its error.

    converged : whether the searches for both did.
    """

    log_n: Array
    loss: Array
    law_loss: Array
    converged: Array


def optimum_of(draw: LossPosterior, cost: Cost, log_budget: Array) -> Optimum:
    """The optimum of one draw."""
    along, law = tokens_along(cost, log_budget), draw.law_only
    best = best_log_params(draw, cost, log_budget)
    own = best if law is draw else best_log_params(law, cost, log_budget)
    converged = best.converged & own.converged
    return Optimum(best.x, draw.loss(best.x, along(best.x)), law.loss(own.x, along(own.x)), converged)


def informed(belief: LossPosterior, cost: Cost, log_budget: Array) -> Optimum:
    """The optimum of every draw, each (draw,)."""
    return Optimum(*_informed(belief, cost, log_budget))


@cached_jit()
def _informed(belief: LossPosterior, cost: Cost, log_budget: Array) -> tuple[Array, ...]:
    return tuple(jax.vmap(lambda draw: optimum_of(draw, cost, log_budget), (belief.axes,))(belief))


@cached_jit()
def price(belief: LossPosterior, cost: Cost, optimum: Optimum, log_n: Array, log_budget: Array) -> dict[str, Array]:
    """Loss, regret and wasted share of the budget at exp(log_n) parameters, given every draw's optimum: (draw,).

    `converged` says whether the searches for that optimum and that share did.
    """
    log_d = tokens_along(cost, log_budget)(log_n)

    def one(draw: LossPosterior, best: Optimum) -> dict[str, Array]:
        here = draw.loss(log_n, log_d)
        wasted, converged = wasted_share(draw, cost, best, here, log_budget)
        found = {"loss": here, "regret": jnp.maximum(here - best.loss, 0.0), "wasted_compute": wasted}
        return found | {"converged": converged & best.converged}

    return jax.vmap(one, (belief.axes, 0))(belief, optimum)


def wasted_share(draw: LossPosterior, cost: Cost, optimum: Optimum, loss: Array, log_budget: Array) -> Root:
    """The share of a budget that its optimum would save at a loss; one draw.

    By the law without its own error, most of which is the same for every size that a budget allows.
    """
    reached = loss / optimum.loss * optimum.law_loss
    saved = least_log_budget(draw.law_only, cost, reached, log_budget, log_budget)
    return saved._replace(x=-jnp.expm1(saved.x - log_budget))


@cached_jit()
def losses(belief: LossPosterior, cost: Cost, log_n: Array, log_budget: Array) -> Array:
    """Loss at each of exp(log_n) (point,) parameters and the tokens a budget leaves: (point, draw)."""
    log_d = tokens_along(cost, log_budget)(log_n)
    return jax.vmap(belief.losses)(log_n, log_d)


def cvar(values: np.ndarray, level: float = 0.95) -> float:
    """Mean of the worst `1 - level` of the draws, (draw,): conditional value at risk.

    Rockafellar & Uryasev 2000 (Journal of Risk 2), equation 4. Raises `QuestionError` unless 0 <= level < 1.
    """
    if not 0 <= level < 1:
        raise OptionError(f"the level of a risk lies between 0 and 1, as in 0.95; got {level}.")
    worst = np.sort(values)[-max(1, round((1 - level) * len(values))) :]
    return float(worst.mean())
