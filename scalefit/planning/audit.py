"""What was it worth? Any trained model against the compute-optimal one of its own budget, under a fit."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit._numerics import by_groups, padded_rows, precision
from scalefit._programs import program
from scalefit.counting import flops_6nd
from scalefit.fitted import Fit, check_fit
from scalefit.frontier import elasticities
from scalefit.planning._solve import balanced_log_tokens, tokens_along
from scalefit.planning.basis import Basis
from scalefit.planning.belief import Belief, believe
from scalefit.planning.cost import SixND
from scalefit.planning.price import optimum_of, wasted_share
from scalefit.planning.published import TrainedModel, published_models, read_model

if TYPE_CHECKING:
    import pandas as pd

SHARED = 4  # audits of up to so many models, and of as many more, share a program


@dataclass(frozen=True, eq=False)
class Audit:
    """Models (model,) judged by one fit, C = 6 N D.

    draws : name -> (draw, model): `N_opt` and `D_opt` of the model's own budget; `loss` and what was `given_up`, nats
    per token, had the fit's recipe trained it; `wasted_compute`, share of the budget; `overtraining`, tokens per
    parameter over the optimum's at equal compute; `token_ratio`, tokens over those that would make that size
    compute-optimal; `served`, the inference tokens that would justify the size (negative: none would). These two are
    slopes at a point, and by the law without its own error, whatever the kind.
    """

    models: tuple[TrainedModel, ...]
    draws: dict[str, np.ndarray]
    basis: Basis

    @property
    def flops(self) -> np.ndarray:
        """Training compute of each model, 6 N D FLOP, (model,)."""
        return np.array([flops_6nd(model.params, model.tokens) for model in self.models])

    def summary(self, prob: float = 0.9) -> "pd.DataFrame":
        """Rows: models. Columns: (params, tokens, tokens_per_param, flops), and each draw's median, lower, upper."""
        from scalefit.tables.plans import audit_table

        return audit_table(self, prob)


def audit(fit: Fit, models: Any = None, *, kind: str | None = None, **fixed: Any) -> Audit:
    """Tokens per parameter, the optimum at the same budget, loss given up, compute wasted and implied inference.

    models : names of published models, (params, tokens) pairs or texts such as "70B:1.4T", one or a list; all published
    by default. All models and draws in one compiled call. The loss is what the fit's own recipe, data and tokenizer
    would have reached. kind : "mean", or "form" with the law's own error, the default for all models where one lies
    beyond the data. fixed : the law's further inputs.

    Raises `PlanError` where a name is unknown or the law has no allocation.
    """
    check_fit(fit)
    chosen = published_models() if models is None else tuple(map(read_model, _listed(models)))
    kind = kind or fit.kind_at([flops_6nd(model.params, model.tokens) for model in chosen])
    rows = padded_rows(len(chosen), SHARED)
    with precision():
        log_n, log_d = (jnp.log(jnp.asarray([getattr(chosen[i], name) for i in rows])) for name in ("params", "tokens"))
        judged = _judge(believe(fit, fixed=fixed, kind=kind), log_n, log_d)
    draws = {name: np.asarray(values)[:, : len(chosen)] for name, values in judged.items()}
    return Audit(chosen, draws, Basis.of(fit, SixND(), interval=kind))


def _listed(models: Any) -> Iterable[Any]:
    """One model or many: a pair of numbers is one."""
    one = isinstance(models, str | TrainedModel) or isinstance(models[0], float | int)
    return [models] if one else models


@program()
def _judge(belief: Belief, log_n: Array, log_d: Array) -> dict[str, Array]:
    """The draws of an `Audit`, each (draw, model)."""
    cost = SixND()

    def one(draw: Belief, log_n: Array, log_d: Array) -> dict[str, Array]:
        log_c = jnp.log(cost.total(jnp.exp(log_n), jnp.exp(log_d)))
        optimum = optimum_of(draw, cost, log_c)
        best = optimum.log_n
        best_d = tokens_along(cost, log_c)(best)
        here = draw.loss(log_n, log_d)
        law = draw.without_error.loss
        e_n, e_d = elasticities(law, log_n, log_d)
        return {
            "N_opt": jnp.exp(best),
            "D_opt": jnp.exp(best_d),
            "loss": here,
            "given_up": jnp.maximum(here - optimum.loss, 0.0),
            "wasted_compute": wasted_share(draw, cost, optimum, here, log_c),
            "overtraining": jnp.exp(log_d - log_n - best_d + best),
            "token_ratio": jnp.exp(log_d - balanced_log_tokens(law, log_n)),
            # Sardana et al. 2024 (arXiv 2401.00448): at the optimum of 6 N D + 2 N T, e_N / e_D = 1 + T / (3 D).
            "served": 3.0 * jnp.exp(log_d) * (e_n / e_d - 1.0),
        }

    return by_groups(jax.vmap(one, (None, 0, 0)), (belief.axes, None, None))(belief, log_n, log_d)
