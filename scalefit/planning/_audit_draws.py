"""What an audit finds in each draw with discrepancy, from tables of the draws' frontiers and of their losses."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from scalefit._aot import cached_jit
from scalefit._batching import by_groups, padded_rows
from scalefit.costs.cost import Cost
from scalefit.frontier.optimum import elasticities
from scalefit.planning._envelope import LeastBudgets, optima_at, optima_of_own
from scalefit.planning._grid import first_log_tokens
from scalefit.planning._loss_posterior import LossPosterior
from scalefit.planning._solve import (
    POINTS,
    balanced_log_tokens,
    best_log_params,
    least_log_budget,
    log_price_ratio,
    tokens_along,
)

BELOW, ABOVE, NEAR = 30.0, 12.0, 3.0  # of the table, in ln of the smallest and the largest budget
SHARED = 4  # audits of up to so many models, and of as many more, share a program
WITHIN = np.log(100.0)  # sizes that could serve instead lie within this factor of the model's
SERVED_PER_TRAINED = 3.0  # 6 N D for training against 2 N T for inference
BRIDGES = 12  # of the hull, from below the model's size to above it: each is at most as steep as the last

PerModel = dict[str, Float[np.ndarray, "draw model"]]


def audit_draws(
    posterior: LossPosterior, cost: Cost, params: Float[np.ndarray, " model"], tokens: Float[np.ndarray, " model"]
) -> PerModel:
    """The draws of an `Audit`, and whether their searches converged."""
    if posterior.law_only is posterior:
        rows = padded_rows(len(params), SHARED)
        found = _by_law(posterior, cost, *(jnp.log(jnp.asarray(values[rows])) for values in (params, tokens)))
        return {name: np.asarray(values)[:, : len(params)] for name, values in found.items()}
    # What a model costs is known, or one number a draw.
    log_c = np.log(cost.flops(params[:, None], tokens[:, None])).T
    here = _losses_of_runs(posterior, np.log(params), np.log(tokens))
    log_n, best, converged = _optima_of_models(posterior, cost, log_c)
    middle, half = 0.5 * (log_c.max() + log_c.min()), 0.5 * (log_c.max() - log_c.min())
    table = LeastBudgets(posterior, cost, middle, log_c.min() - BELOW, log_c.max() + ABOVE, half + NEAR)
    least, sure = (np.stack(parts, axis=1) for parts in zip(*map(table, here.T), strict=True))
    best_d = cost.tokens_for(np.exp(log_c).T, np.exp(log_n).T).T
    balanced = np.stack([table.first_with_size(size) for size in np.log(params)])
    balanced_d = cost.tokens_for(np.exp(balanced), params[:, None]).T
    return {
        "N_opt": np.exp(log_n),
        "D_opt": best_d,
        "loss": here,
        "given_up": np.maximum(here - best, 0.0),
        "wasted_compute": np.maximum(-np.expm1(least - log_c), 0.0),
        "overtraining": tokens / params * np.exp(log_n) / best_d,
        "token_ratio": tokens / balanced_d,
        "served": np.stack([served(posterior, cost, *run) for run in zip(params, tokens, here.T, strict=True)], axis=1),
        "converged": converged & sure,
    }


def _optima_of_models(
    posterior: LossPosterior, cost: Cost, log_c: Float[np.ndarray, "any model"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ln N, loss and convergence of the optima of the models' budgets, each (draw, model)."""
    if len(log_c) == 1:
        return optima_at(posterior, cost, log_c[0])
    found = [map(np.asarray, optima_of_own(posterior, cost, jnp.asarray(budget))) for budget in log_c.T]
    log_n, best, converged = (np.stack(parts, axis=1) for parts in zip(*found, strict=True))
    return log_n, best, converged


def _losses_of_runs(
    posterior: LossPosterior, log_n: Float[np.ndarray, " run"], log_d: Float[np.ndarray, " run"]
) -> Float[np.ndarray, "draw run"]:
    rows = padded_rows(len(log_n), SHARED)
    found = _losses(posterior, jnp.asarray(log_n[rows]), jnp.asarray(log_d[rows]))
    return np.asarray(found, dtype=float)[:, : len(log_n)]


@cached_jit()
def _losses(
    posterior: LossPosterior, log_n: Float[Array, " run"], log_d: Float[Array, " run"]
) -> Float[Array, "draw run"]:
    return jax.vmap(posterior.losses, out_axes=1)(log_n, log_d)


def served(
    posterior: LossPosterior, cost: Cost, params: float, tokens: float, level: Float[np.ndarray, " draw"]
) -> Float[np.ndarray, " draw"]:
    """Inference tokens T at which the cheapest size of a quality, by 6 N D + 2 N T, passes a model's size.

    More inference makes smaller models the cheapest: the size at T is where the lower convex hull of 3 N D(N) over N,
    with the fewest tokens D(N) for the quality, has the slope -T. Where compute is not 6 N D, N is the FLOP of a
    forward pass, and 3 N D(N) the compute of training.

    Parameters
    ----------
    posterior, cost
        Of the loss, and of training; a forward pass takes a third of it.
    params, tokens
        The model.
    level
        Its loss in every draw.

    References
    ----------
    Sardana et al. 2024 (arXiv 2401.00448): where all is smooth, T = 3 D (e_N / e_D - 1).
    """
    half = POINTS // 2
    away = WITHIN * ((np.arange(half) + 0.5) / half) ** 1.5  # the model lies in the middle of the first step
    ratios = np.exp(np.concatenate([-away[::-1], away]))
    needed = np.exp(first_log_tokens(posterior, np.log(params * ratios), level))
    unit = cost.per_token(params)
    spent = SERVED_PER_TRAINED * cost.training(params * ratios[:, None], needed) / (unit * tokens)
    passes = cost.per_token(params * ratios[:, None]) / unit + np.zeros(len(level))
    found, draws = np.zeros(len(level)), np.arange(len(level))
    with np.errstate(invalid="ignore"):
        for _ in range(BRIDGES):
            total = spent + found * passes
            smaller, larger = total[:half].argmin(axis=0), half + total[half:].argmin(axis=0)
            steps = passes[larger, draws] - passes[smaller, draws]
            bridge = (spent[smaller, draws] - spent[larger, draws]) / steps
            found = np.where(
                np.isfinite(found) & np.isfinite(bridge), bridge, np.where(np.isnan(bridge), found, bridge)
            )
    return tokens * found


@cached_jit()
def _by_law(
    posterior: LossPosterior, cost: Cost, log_n: Float[Array, " model"], log_d: Float[Array, " model"]
) -> dict[str, Array]:
    """The same by the law alone, whose optima and contours have slopes."""

    def one(draw: LossPosterior, cost: Cost, log_n: Array, log_d: Array) -> dict[str, Array]:
        steeper = log_price_ratio(cost)
        log_c = jnp.log(cost.total(jnp.exp(log_n), jnp.exp(log_d)))
        best, found = best_log_params(draw, cost, log_c)
        best_d = tokens_along(cost, log_c)(best)
        here, least = draw.loss(log_n, log_d), draw.loss(best, best_d)
        e_n, e_d = elasticities(draw.loss, log_n, log_d)
        saved, balanced = (
            least_log_budget(draw, cost, here, log_c, log_c),
            balanced_log_tokens(draw.loss, log_n, steeper),
        )
        paid = cost.training(jnp.exp(log_n), jnp.exp(log_d)) / cost.per_token(jnp.exp(log_n))
        return {
            "N_opt": jnp.exp(best),
            "D_opt": jnp.exp(best_d),
            "loss": here,
            "given_up": jnp.maximum(here - least, 0.0),
            "wasted_compute": -jnp.expm1(saved.x - log_c),
            "overtraining": jnp.exp(log_d - log_n - best_d + best),
            "token_ratio": jnp.exp(log_d - balanced.x),
            # Sardana et al. 2024: at the optimum of 6 N D + 2 N T, e_N / e_D = 1 + T / (3 D).
            "served": SERVED_PER_TRAINED * paid * (e_n / e_d * jnp.exp(-steeper) - 1.0),
            "converged": found & saved.converged & balanced.converged,
        }

    of_models = jax.vmap(one, (None, None, 0, 0))
    return by_groups(of_models, (posterior.axes, cost.axes, None, None))(posterior, cost, log_n, log_d)
