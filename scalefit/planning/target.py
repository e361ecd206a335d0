"""How much does a loss cost? The cheapest plan that reaches a target, at even odds and with confidence."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit._aot import cached_jit
from scalefit._batching import by_groups
from scalefit._intervals import check_prob
from scalefit._precision import precision
from scalefit.costs.cost import Cost, SixND
from scalefit.costs.machines import Machines
from scalefit.errors import QuestionError
from scalefit.fits.fit import Fit, check_fit
from scalefit.frontier.optimum import check_optimum
from scalefit.planning._loss_posterior import LossPosterior, loss_posterior
from scalefit.planning._solve import FURTHEST, LARGEST, best_log_params, least_log_budget, loss_at, minimise
from scalefit.planning.assumptions import Assumptions
from scalefit.units import parse_quantity, percent

if TYPE_CHECKING:
    import pandas as pd


SEARCH = np.log(100.0)  # sizes are sought within this factor of the median optimum
HALVINGS = 24  # of ln D in a search for tokens: to 5e-6


@dataclass(frozen=True)
class Allocation:
    """params, tokens : a run. cost : what it costs, in the cost's unit. chance : P(loss <= target) by the law, and
    chance_one_run : of one run, with noise.
    """

    params: float
    tokens: float
    cost: float
    chance: float
    chance_one_run: float


@dataclass(frozen=True, eq=False)
class Target:
    """What a target loss costs.

    loss : the target, nats per token. draws : `budget`, the least that reaches it had that draw been known (infinite
    where nothing does), `N_opt` and `D_opt` then: each (draw,). even : the cheapest plan with P(loss <= target) of a
    half; sure : with `confidence`. reachable : share of the draws in which any budget reaches it.
    """

    loss: float
    confidence: float
    draws: dict[str, np.ndarray]
    even: Allocation
    sure: Allocation
    reachable: float
    cost: Cost
    machines: Machines
    assumptions: Assumptions

    def summary(self, prob: float = 0.9) -> "pd.DataFrame":
        """Rows: budget, N_opt, D_opt of a known law. Columns: median, lower, upper."""
        from scalefit._tables import draws_table

        return draws_table(self.draws, prob)


def target(
    fit: Fit,
    loss: Any,
    *,
    confidence: float = 0.9,
    cost: Cost | None = None,
    machines: Machines | None = None,
    max_params: Any = None,
    discrepancy: bool | None = None,
    **fixed: Any,
) -> Target:
    """The cheapest plans that reach a loss (nats per token): at even odds, and with probability `confidence`.

    A plan is fixed before the truth is known: for every size the tokens that suffice in that share of the draws, then
    the size for which this is cheapest. discrepancy : as for
    `Fit.predict`. fixed : the law's further inputs. Raises `QuestionError` where too few draws
    reach the loss at any budget.
    """
    check_fit(fit)
    wanted, cost = parse_quantity(loss), (cost or SixND()).averaged()
    cap = np.inf if max_params is None else float(np.log(parse_quantity(max_params)))
    check_prob(confidence)
    discrepancy = fit.resolve(discrepancy)
    with precision():
        belief, level = loss_posterior(fit, fixed=fixed, discrepancy=discrepancy), jnp.asarray(wanted, dtype=float)
        found = _informed(belief, cost, level)
        draws = {name: np.asarray(found[name]) for name in ("budget", "N_opt", "D_opt")}
        reachable = float(np.isfinite(draws["budget"]).mean())
        optima = (np.asarray(found[name]) for name in ("N_opt", "D_opt", "converged"))
        unconverged = check_optimum(*optima, what=f"a loss of {wanted:g}", remedy="Use a lower loss")
        if reachable < max(confidence, 0.5):
            raise QuestionError(
                f"a loss of {wanted:g} is out of reach in {percent(round(1 - reachable, 3))} of the draws, "
                "whatever the budget: the irreducible loss is above it; ask for a higher loss or less confidence."
            )
        one_run = partial(fit.add_noise, discrepancy=discrepancy)
        even, sure = (_cheapest(belief, cost, wanted, p, draws["N_opt"], cap, one_run) for p in (0.5, confidence))
    basis = Assumptions.of(fit, cost, discrepancy=discrepancy, unconverged=unconverged)
    return Target(wanted, confidence, draws, even, sure, reachable, cost, machines or Machines(), basis)


def _cheapest(
    belief: LossPosterior,
    cost: Cost,
    wanted: float,
    prob: float,
    optima: np.ndarray,
    cap: float,
    observed: Callable[..., Any],
) -> Allocation:
    """The least cost over sizes, each with the tokens that suffice in a share `prob` of the draws.

    observed : loss of the law -> loss of one run, (draw,).
    """

    def tokens(log_n: np.ndarray) -> np.ndarray:
        return np.exp(np.asarray(_tokens_to_be_sure(belief, jnp.asarray(log_n), jnp.asarray([wanted, prob]))))

    middle = float(np.log(np.median(optima[np.isfinite(optima)])))
    spent = lambda log_n: np.log(cost.total(np.exp(log_n), tokens(log_n)))
    best = minimise(spent, min(middle, cap) - SEARCH, min(middle + SEARCH, cap), rounds=3)
    n, d = float(np.exp(best)), float(tokens(np.array([best]))[0])
    if not np.isfinite(d):
        capped, less = " within the cap" if np.isfinite(cap) else "", " or less confidence" if prob > 0.5 else ""
        raise QuestionError(
            f"no one size{capped} reaches a loss of {wanted:g} in {percent(prob)} of the draws, whatever its tokens; "
            f"{'raise the cap, or ' if capped else ''}ask for a higher loss{less}."
        )
    latent = np.asarray(loss_at(belief, jnp.log(n), jnp.log(d)))
    one_run = observed(latent)
    reached = wanted * (1 + 1e-9)  # the draw that sets the tokens reaches the target to rounding
    return Allocation(
        n, d, float(cost.total(n, d)), float(np.mean(latent <= reached)), float(np.mean(one_run <= wanted))
    )


@cached_jit()
def _informed(belief: LossPosterior, cost: Cost, level: Array) -> dict[str, Array]:
    """The least budget of each draw and its optimum there, each (draw,)."""

    least, start = (jnp.log(cost.total(jnp.full_like(level, n), d)) for n, d in ((1.0, 1.0), (1e10, 2e11)))

    def one(draw: LossPosterior) -> dict[str, Array]:
        log_c, reached = least_log_budget(draw, cost, level, start, start + FURTHEST, least)
        log_n, converged = best_log_params(draw, cost, log_c)
        tokens = cost.tokens_for(jnp.exp(log_c), jnp.exp(log_n))
        found = {"budget": jnp.exp(log_c), "N_opt": jnp.exp(log_n), "D_opt": tokens}
        found = {name: jnp.where(log_c < start + FURTHEST - 1e-3, value, jnp.inf) for name, value in found.items()}
        return found | {"converged": reached & converged}

    return by_groups(one, (belief.axes,))(belief)


@cached_jit()
def _tokens_to_be_sure(belief: LossPosterior, log_n: Array, wanted: Array) -> Array:
    """ln of the fewest tokens with which exp(log_n) (point,) parameters reach a loss in a share of the draws, (point,).

    wanted : that loss and that share. By bisection, for a law with an error of its own need not fall everywhere.
    """
    level, prob = wanted

    def enough(log_n: Array, log_d: Array) -> Array:
        return jnp.mean(loss_at(belief, log_n, log_d) <= level) >= prob

    def one(log_n: Array) -> Array:
        def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
            middle = 0.5 * (ends[0] + ends[1])
            found = enough(log_n, middle)
            return jnp.where(found, ends[0], middle), jnp.where(found, middle, ends[1])

        most = jnp.full_like(log_n, LARGEST)
        fewest = jax.lax.fori_loop(0, HALVINGS, halve, (jnp.zeros_like(log_n), most))[1]
        return jnp.where(enough(log_n, most), fewest, jnp.inf)

    return jax.vmap(one)(log_n)
