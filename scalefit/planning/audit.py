"""What was it worth? Any trained model against the compute-optimal one of its own budget, under a fit."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit._aot import cached_jit
from scalefit._batching import by_groups, padded_rows
from scalefit._intervals import interval
from scalefit._precision import precision
from scalefit._tables import interval_columns
from scalefit.costs.cost import SixND
from scalefit.counting import flops_6nd
from scalefit.fits.fit import Fit, check_fit
from scalefit.frontier.optimum import check_optimum, elasticities
from scalefit.io.published_models import TrainedModel, published_models, read_model
from scalefit.planning._loss_posterior import LossPosterior, loss_posterior
from scalefit.planning._regret import optimum_of, wasted_share
from scalefit.planning._solve import balanced_log_tokens, tokens_along
from scalefit.planning.assumptions import Assumptions

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
    slopes at a point, and by the law alone.
    """

    models: tuple[TrainedModel, ...]
    draws: dict[str, np.ndarray]
    assumptions: Assumptions

    @property
    def flops(self) -> np.ndarray:
        """Training compute of each model, 6 N D FLOP, (model,)."""
        return np.array([flops_6nd(model.params, model.tokens) for model in self.models])

    def summary(self, prob: float = 0.9) -> "pd.DataFrame":
        """Rows: models. Columns: (params, tokens, tokens_per_param, flops), and each draw's median, lower, upper."""
        return audit_table(self, prob)


def audit(fit: Fit, models: Any = None, *, discrepancy: bool | None = None, **fixed: Any) -> Audit:
    """Tokens per parameter, the optimum at the same budget, loss given up, compute wasted and implied inference.

    models : names of published models, (params, tokens) pairs or texts such as "70B:1.4T", one or a list; all published
    by default. All models and draws in one compiled call. The loss is what the fit's own recipe, data and tokenizer
    would have reached. discrepancy : as for `Fit.predict`. fixed : the law's further inputs.

    Raises `QuestionError` where a name is unknown or the law has no allocation.
    """
    check_fit(fit)
    chosen = published_models() if models is None else tuple(map(read_model, _listed(models)))
    discrepancy = fit.resolve(discrepancy)
    rows = padded_rows(len(chosen), SHARED)
    with precision():
        log_n, log_d = (jnp.log(jnp.asarray([getattr(chosen[i], name) for i in rows])) for name in ("params", "tokens"))
        judged = _judge(loss_posterior(fit, fixed=fixed, discrepancy=discrepancy), log_n, log_d)
    draws = {name: np.asarray(values)[:, : len(chosen)] for name, values in judged.items()}
    columns = zip(chosen, draws["N_opt"].T, draws["D_opt"].T, draws.pop("converged").T, strict=True)
    lost = [
        check_optimum(*each, what=f"the budget of {model.name}", remedy="Give a larger model")
        for model, *each in columns
    ]
    return Audit(chosen, draws, Assumptions.of(fit, SixND(), discrepancy=discrepancy, unconverged=max(lost)))


def _listed(models: Any) -> Iterable[Any]:
    """One model or many: a pair of numbers is one."""
    one = isinstance(models, str | TrainedModel) or isinstance(models[0], float | int)
    return [models] if one else models


@cached_jit()
def _judge(belief: LossPosterior, log_n: Array, log_d: Array) -> dict[str, Array]:
    """The draws of an `Audit`, each (draw, model)."""
    cost = SixND()

    def one(draw: LossPosterior, log_n: Array, log_d: Array) -> dict[str, Array]:
        log_c = jnp.log(cost.total(jnp.exp(log_n), jnp.exp(log_d)))
        optimum = optimum_of(draw, cost, log_c)
        best = optimum.log_n
        best_d = tokens_along(cost, log_c)(best)
        here = draw.loss(log_n, log_d)
        law = draw.law_only.loss
        e_n, e_d = elasticities(law, log_n, log_d)
        wasted, balanced = wasted_share(draw, cost, optimum, here, log_c), balanced_log_tokens(law, log_n)
        return {
            "N_opt": jnp.exp(best),
            "D_opt": jnp.exp(best_d),
            "loss": here,
            "given_up": jnp.maximum(here - optimum.loss, 0.0),
            "wasted_compute": wasted.x,
            "overtraining": jnp.exp(log_d - log_n - best_d + best),
            "token_ratio": jnp.exp(log_d - balanced.x),
            # Sardana et al. 2024 (arXiv 2401.00448): at the optimum of 6 N D + 2 N T, e_N / e_D = 1 + T / (3 D).
            "served": 3.0 * jnp.exp(log_d) * (e_n / e_d - 1.0),
            "converged": optimum.converged & wasted.converged & balanced.converged,
        }

    return by_groups(jax.vmap(one, (None, 0, 0)), (belief.axes, None, None))(belief, log_n, log_d)


def audit_table(audit: "Audit", prob: float = 0.9) -> "pd.DataFrame":
    """Rows: models. Columns: params, tokens, tokens_per_param, flops; each quantity of the audit's draws, interval."""
    import pandas as pd

    columns: dict[tuple[str, str], Any] = {
        ("params", ""): [model.params for model in audit.models],
        ("tokens", ""): [model.tokens for model in audit.models],
        ("tokens_per_param", ""): [model.tokens / model.params for model in audit.models],
        ("flops", ""): audit.flops,
    }
    for name, values in audit.draws.items():
        columns |= interval_columns(name, interval(values, prob))
    return pd.DataFrame(columns, index=pd.Index([model.name for model in audit.models], name="model"))
