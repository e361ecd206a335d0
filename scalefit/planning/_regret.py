"""What it costs not to know the optimum: regret, wasted compute and tail risk of any size, draw by draw.

Let L_s(N) be the loss of draw s at N and the tokens that the budget C leaves, L*_s its optimum, and C'_s the least
budget that reaches L_s(N) when spent at that draw's optimum. Then regret is L_s(N) - L*_s(C) in nats, and the wasted
share of the budget 1 - C'_s/C. For the Chinchilla form and C = 6 N D, C'_s/C is [a m^-alpha + b m^beta]^(-1/gamma),
m = N/N*_s, gamma = alpha beta/(alpha + beta); here it is solved for numerically, so that any law and cost will do.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from scalefit._aot import cached_jit
from scalefit._roots import Root
from scalefit.costs.cost import Cost
from scalefit.errors import OptionError
from scalefit.frontier.optimum import optimum_along
from scalefit.planning._loss_posterior import LossPosterior
from scalefit.planning._solve import LARGEST, best_log_params, least_log_budget, tokens_along

Scalar = Float[Array, ""]


def bayes_log_params(posterior: LossPosterior, cost: Cost, log_budget: Scalar) -> Root:
    """ln N that minimises the mean over draws of the loss at a budget."""
    return Root(*_bayes_log_params(posterior, cost, log_budget))


@cached_jit()
def _bayes_log_params(posterior: LossPosterior, cost: Cost, log_budget: Scalar) -> tuple[Scalar, Bool[Array, ""]]:
    high = jnp.full_like(log_budget, LARGEST)
    found = optimum_along(posterior.expected_loss, tokens_along(cost, log_budget), high)
    return found.x, found.converged


class Optimum(NamedTuple):
    """The optimum of one draw at a budget, or of all draws.

    Parameters
    ----------
    log_n, loss
        ln N, and the loss there.
    law_loss
        The least loss of the law without discrepancy.
    converged
        Whether the searches for both did.
    """

    log_n: Float[Array, "*draw"]
    loss: Float[Array, "*draw"]
    law_loss: Float[Array, "*draw"]
    converged: Bool[Array, "*draw"]


def optimum_of(draw: LossPosterior, cost: Cost, log_budget: Scalar) -> Optimum:
    """The optimum of one draw."""
    along, law = tokens_along(cost, log_budget), draw.law_only
    best = best_log_params(draw, cost, log_budget)
    own = best if law is draw else best_log_params(law, cost, log_budget)
    converged = best.converged & own.converged
    return Optimum(best.x, draw.loss(best.x, along(best.x)), law.loss(own.x, along(own.x)), converged)


def optima(posterior: LossPosterior, cost: Cost, log_budget: Scalar) -> Optimum:
    """The optimum of every draw."""
    return Optimum(*_optima(posterior, cost, log_budget))


@cached_jit()
def _optima(posterior: LossPosterior, cost: Cost, log_budget: Scalar) -> tuple[Array, ...]:
    return tuple(jax.vmap(lambda draw: optimum_of(draw, cost, log_budget), (posterior.axes,))(posterior))


@cached_jit()
def outcomes(
    posterior: LossPosterior, cost: Cost, optimum: Optimum, log_n: Scalar, log_budget: Scalar
) -> dict[str, Array]:
    """What a size costs in every draw.

    Parameters
    ----------
    posterior, cost, log_budget
        The loss, and the budget.
    optimum
        Of every draw.
    log_n
        The size.

    Returns
    -------
    dict
        Name -> (draw,): loss and regret, nats per token; wasted_compute, the share of the budget that the optimum would
        save; converged, whether the searches for that optimum and that share did.
    """
    log_d = tokens_along(cost, log_budget)(log_n)

    def one(draw: LossPosterior, best: Optimum) -> dict[str, Array]:
        here = draw.loss(log_n, log_d)
        wasted, converged = wasted_share(draw, cost, best, here, log_budget)
        found = {"loss": here, "regret": jnp.maximum(here - best.loss, 0.0), "wasted_compute": wasted}
        return found | {"converged": converged & best.converged}

    return jax.vmap(one, (posterior.axes, 0))(posterior, optimum)


def wasted_share(draw: LossPosterior, cost: Cost, optimum: Optimum, loss: Scalar, log_budget: Scalar) -> Root:
    """The share of a budget that the optimum of one draw would save at a loss.

    By the law without discrepancy, most of which is the same for every size that a budget allows.
    """
    reached = loss / optimum.loss * optimum.law_loss
    saved = least_log_budget(draw.law_only, cost, reached, log_budget, log_budget)
    return saved._replace(x=-jnp.expm1(saved.x - log_budget))


@cached_jit()
def losses(
    posterior: LossPosterior, cost: Cost, log_n: Float[Array, " point"], log_budget: Scalar
) -> Float[Array, "point draw"]:
    """Loss at each of exp(log_n) parameters and the tokens that a budget leaves."""
    log_d = tokens_along(cost, log_budget)(log_n)
    return jax.vmap(posterior.losses)(log_n, log_d)


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
