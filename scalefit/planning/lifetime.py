"""Training against inference: the cheapest model of a given quality over its whole life, and the set to choose from.

Sardana et al. 2024 (arXiv 2401.00448), section 3: minimise 6 N D + 2 N T at equal loss. Under a posterior the size is
the decision, and training goes on until the quality is reached: for each size the tokens that takes, draw by draw,
then the size for which the expected total is least.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit._aot import cached_jit
from scalefit._intervals import interval
from scalefit._precision import precision
from scalefit._tables import interval_columns
from scalefit.costs.cost import Cost
from scalefit.costs.lifetime import Lifetime
from scalefit.costs.machines import Machines
from scalefit.errors import QuestionError
from scalefit.fits.fit import Fit, check_fit
from scalefit.io.published_models import read_model
from scalefit.planning._loss_posterior import LossPosterior, loss_posterior
from scalefit.planning._solve import (
    FURTHEST,
    POINTS,
    balanced_log_tokens,
    first_log_tokens_for,
    least_log_budget,
    log_tokens_for,
    loss_at,
    minimise,
)
from scalefit.planning.assumptions import Assumptions
from scalefit.runs import LARGEST_PLAUSIBLE_LOSS
from scalefit.units import format_count, parse_quantity, percent

if TYPE_CHECKING:
    import pandas as pd


SEARCH = np.log(100.0)  # sizes are sought within this factor of the one that trains cheapest
SIZES = 41  # of the Pareto set, the smallest an eighth of the largest
ANYWHERE = 1e10
MOST_MISSED = 0.1  # share of the draws in which a size may miss the quality


@dataclass(frozen=True, eq=False)
class LifetimePlan:
    """The cheapest model of a given quality over its whole life, against the one that is cheapest to train.

    params : the size to train. draws : name -> (draw,): `tokens` that bring it to the quality, `training`, `serving`
    and `total` cost, `saved` (share of the reference's total) and `wasted` (share of the total that knowing the draw
    would save). reference : (params, expected tokens) of the model that is cheapest to train, or was asked for.
    sizes : (size,), the Pareto set of training against serving cost; size_tokens : (draw, size), what each needs.
    """

    params: float
    draws: dict[str, np.ndarray]
    reference: tuple[float, float]
    sizes: np.ndarray
    size_tokens: np.ndarray
    cost: Cost
    machines: Machines
    assumptions: Assumptions

    @property
    def tokens(self) -> float:
        """Expected training tokens, over the draws in which the size reaches the quality."""
        tokens = self.draws["tokens"]
        return float(tokens[np.isfinite(tokens)].mean())

    @property
    def reachable(self) -> float:
        """Share of the draws in which the size reaches the quality."""
        return float(np.isfinite(self.draws["tokens"]).mean())

    @property
    def flops(self) -> float:
        """Expected training compute, FLOP."""
        return float(self.cost.flops(self.params, self.tokens))

    def summary(self, prob: float = 0.9) -> "pd.DataFrame":
        """Rows: tokens, costs, savings. Columns: mean, median, lower, upper."""
        from scalefit._tables import draws_table

        return draws_table(self.draws, prob, mean=True)

    def pareto(self, prob: float = 0.9) -> "pd.DataFrame":
        """Rows: sizes. Columns: serving cost; tokens and training cost, each median, lower, upper."""
        return pareto_table(self, prob)


def lifetime(
    fit: Fit,
    quality: Any,
    cost: Lifetime,
    *,
    params: Any = None,
    max_params: Any = None,
    machines: Machines | None = None,
    discrepancy: bool | None = None,
    **fixed: Any,
) -> LifetimePlan:
    """The size whose training to a quality and inference afterwards cost least in expectation.

    quality : a loss in nats; a size, "7B", meaning as good as the compute-optimal model of that size; or a run,
        "13B:260B" or a published name. cost : a `Lifetime`, whose tokens may be uncertain. params, max_params : fix or
        cap the size. fixed : the law's further inputs. Raises `QuestionError` where no size reaches the quality.

    discrepancy : as for `Fit.predict`.
    """
    check_fit(fit)
    discrepancy = fit.resolve(discrepancy)
    with precision():
        belief = loss_posterior(fit, fixed=fixed, discrepancy=discrepancy)
        life = cost.sampled(belief.count, fit.seed)
        level, size = _quality(belief, quality)
        cheapest = _decide(belief, life.compute, level, size or ANYWHERE) if size is None else float(np.log(size))
        fallback = life.total(
            np.exp(cheapest), np.exp(np.asarray(_tokens_needed(belief, np.array([cheapest]), level)))[0]
        )
        best = _within(params, max_params, lambda cap: _decide(belief, life, level, np.exp(cheapest), cap, fallback))
        sizes = np.exp(np.linspace(cheapest - np.log(8.0), cheapest, SIZES))
        needed = np.exp(np.asarray(_tokens_needed(belief, jnp.log(np.array([*sizes, np.exp(best)])), level)))
        least, converged = _least(belief, life, level)
        least, unconverged = np.exp(np.asarray(least)), 1 - float(np.mean(converged))
    n, tokens, at_reference = float(np.exp(best)), needed[-1], needed[-2]
    before = life.total(np.exp(cheapest), at_reference)
    total = _cost_or_fallback(life, n, tokens, before)
    missed = np.mean(~np.isfinite(tokens))
    if missed > MOST_MISSED or not np.isfinite(total).all():
        raise QuestionError(
            f"{format_count(n)} parameters do not reach the quality in {percent(round(float(missed), 3))} of the "
            "draws. "
            "Allow more parameters."
        )
    draws = {"tokens": tokens, "training": life.training(n, tokens), "serving": life.serving(n) + np.zeros(len(tokens))}
    draws |= {"total": total, "saved": 1 - total / before, "wasted": 1 - least / total}
    kept = np.isfinite(needed[:-1]).all(axis=1)
    reference = float(np.exp(cheapest)), float(at_reference[np.isfinite(at_reference)].mean())
    basis = Assumptions.of(fit, cost, discrepancy=discrepancy, unconverged=unconverged)
    return LifetimePlan(n, draws, reference, sizes[kept], needed[:-1][kept].T, cost, machines or Machines(), basis)


def _within(params: Any, max_params: Any, decide: Any) -> float:
    """ln N as fixed, or as decided under the cap."""
    if params is not None:
        return float(np.log(parse_quantity(params)))
    return decide(np.inf if max_params is None else float(np.log(parse_quantity(max_params))))


def _quality(belief: LossPosterior, quality: Any) -> tuple[Array, float | None]:
    """The loss to be reached in each draw, (draw,), and the size that the question names, if it does."""
    try:
        value = parse_quantity(quality)
    except ValueError:
        model = read_model(quality)
        log_n, log_d = jnp.log(model.params), jnp.log(model.tokens)
        return loss_at(belief, log_n, log_d), model.params
    if value < LARGEST_PLAUSIBLE_LOSS:
        return jnp.full(belief.count, value), None
    log_n = jnp.log(jnp.asarray(value, dtype=float))
    return loss_at(belief, log_n, _balanced(belief, log_n)), value


def _cost_or_fallback(cost: Cost, params: Any, tokens: np.ndarray, fallback: np.ndarray | float) -> np.ndarray:
    """Total cost of a size on the tokens it needs, (..., draw); where it never reaches the quality, twice `fallback`.

    Training then stops when it has cost as much as the model that is cheapest to train, which is trained instead.
    """
    return np.where(np.isfinite(tokens), cost.total(params, tokens), 2 * fallback)


def _decide(
    belief: LossPosterior,
    cost: Cost,
    level: Array,
    about: float,
    cap: float = np.inf,
    fallback: np.ndarray | float = np.inf,
) -> float:
    """ln N of the least expected cost at equal quality, among sizes that reach it in nearly all draws."""

    def expected(log_n: np.ndarray) -> np.ndarray:
        needed = np.exp(np.asarray(_tokens_needed(belief, jnp.asarray(log_n), level)))
        total = _cost_or_fallback(cost, np.exp(log_n)[:, None], needed, fallback).mean(axis=1)
        return np.log(np.where(np.mean(~np.isfinite(needed), axis=1) > MOST_MISSED, np.inf, total))

    middle = min(float(np.log(about)), cap)
    best = minimise(expected, middle - SEARCH, min(middle + SEARCH, cap))
    if not np.isfinite(expected(np.full(POINTS, best))[0]):
        capped, raised = (f" up to {format_count(np.exp(cap))}", "raise the cap, or ") if np.isfinite(cap) else ("", "")
        raise QuestionError(
            f"no size{capped} reaches that quality in {percent(1 - MOST_MISSED)} of the draws, whatever its tokens; "
            f"{raised}ask for a higher loss."
        )
    return best


@cached_jit()
def _tokens_needed(belief: LossPosterior, log_n: Array, level: Array) -> Array:
    """ln of the tokens with which exp(log_n) (point,) parameters reach `level`, one or (draw,): (point, draw)."""
    levels = jnp.broadcast_to(level, (belief.count,))
    if belief.law_only is not belief:
        return jax.lax.map(lambda n: first_log_tokens_for(belief.losses, n, levels), log_n)
    over_draws = jax.vmap(lambda draw, n, target: log_tokens_for(draw.loss, n, target).x, (belief.axes, None, 0))
    return jax.vmap(over_draws, (None, 0, None))(belief, log_n, levels)


@cached_jit()
def _balanced(belief: LossPosterior, log_n: Array) -> Array:
    """ln D that makes exp(log_n) the size with the least expected loss for its training compute."""
    return balanced_log_tokens(belief.expected_loss, log_n).x


@cached_jit()
def _least(belief: LossPosterior, cost: Cost, level: Array) -> tuple[Array, Array]:
    """ln of each draw's least cost of the quality, and whether the search for it converged, each (draw,)."""

    def one(draw: LossPosterior, cost: Cost, target: Array) -> tuple[Array, Array]:
        start = jnp.log(cost.total(jnp.full_like(target, 1e10), 2e11))
        return tuple(least_log_budget(draw, cost, target, start, start + FURTHEST))

    return jax.vmap(one, (belief.axes, 0, 0))(belief, cost, level)


def pareto_table(life: "LifetimePlan", prob: float = 0.9) -> "pd.DataFrame":
    """Rows: sizes. Columns: serving cost (of the expected inference); tokens and training cost, each an interval."""
    import pandas as pd

    tokens, cost = interval(life.size_tokens, prob), life.cost.averaged()
    columns: dict[tuple[str, str], Any] = {("serving", ""): cost.serving(life.sizes)}
    columns |= interval_columns("tokens", tokens) | interval_columns("training", cost.training(life.sizes, tokens))
    return pd.DataFrame(columns, index=pd.Index(life.sizes, name="params"))
