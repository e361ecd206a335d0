"""Audits: any trained model against the compute-optimal one of its own budget, under a fit."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from scalefit._aot import cached_jit
from scalefit._batching import by_groups, padded_rows
from scalefit._intervals import interval
from scalefit._labelled import labelled
from scalefit._precision import precision
from scalefit._quantities import provenance, ranged, write
from scalefit._results import PROB, Result
from scalefit._tables import Table, interval_columns
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
    import xarray as xr


SHARED = 4  # audits of up to so many models, and of as many more, share a program


SHOWN = ("wasted_compute", "given_up", "N_opt", "D_opt", "overtraining", "served")


@dataclass(frozen=True, eq=False, repr=False)
class Audit(Result):
    """Trained models judged by one fit, with C = 6 N D.

    Parameters
    ----------
    models
        The models.
    draws
        Name -> (draw, model): N_opt and D_opt of the model's own budget; loss and given_up (loss above the optimum's),
        nats per token, had the fit's recipe trained it; wasted_compute, share of the budget; overtraining, tokens per
        parameter over those of the optimum of the same compute; token_ratio, tokens over those that make the size
        compute-optimal; served, the inference tokens that justify the size (negative: none do). The last two are slopes
        at a point, of the law only.
    assumptions
        The data, the model and the conventions behind the answer.
    """

    models: tuple[TrainedModel, ...]
    draws: dict[str, np.ndarray]
    assumptions: Assumptions

    @property
    def flops(self) -> Float[np.ndarray, " model"]:
        """Training compute of each model, 6 N D FLOP."""
        return np.array([flops_6nd(model.params, model.tokens) for model in self.models])

    def headline(self, prob: float = PROB) -> str:
        """The model that wastes the largest share of its compute, and the one that wastes the smallest."""
        ends = interval(self.draws["wasted_compute"], prob)
        least, most = int(np.argmin(ends[0])), int(np.argmax(ends[0]))
        share = lambda index: ranged(ends[:, index], lambda value: write(value, "share"))
        how = provenance(self.assumptions.discrepancy, ends[:, most], prob)
        if least == most:
            return f"{self.models[most].name} wastes {share(most)} of its training compute ({how})."
        return (
            f"Of {len(self.models)} models {self.models[most].name} wastes the largest share of its training compute, "
            f"{share(most)}, and {self.models[least].name} the smallest, {share(least)} ({how})."
        )

    def summary(self, prob: float = PROB) -> "pd.DataFrame":
        """Every model against the optimum of its own budget.

        Parameters
        ----------
        prob
            Probability of every interval, equal-tailed.

        Returns
        -------
        pandas.DataFrame
            Rows: models. Columns: params, tokens, tokens_per_param, flops; and those of `draws`, each median, lower and
            upper.
        """
        return self._all_columns(prob).frame()

    def to_xarray(self) -> "xr.Dataset":
        """The draws with names, over (draw, model).

        Returns
        -------
        xarray.Dataset
            Variables: those of `draws`. Coordinates of `model`: its name, params, tokens and flops. Attribute:
            discrepancy (0 or 1).
        """
        coords: dict[str, Any] = {
            "model": ("model", [model.name for model in self.models]),
            "params": ("model", [model.params for model in self.models]),
            "tokens": ("model", [model.tokens for model in self.models]),
            "flops": ("model", self.flops),
        }
        variables = {name: (("draw", "model"), values) for name, values in self.draws.items()}
        return labelled(variables, coords, {"discrepancy": self.assumptions.discrepancy})

    def _table(self, prob: float) -> Table:
        return self._all_columns(prob).only(("params", "tokens", *SHOWN))

    def _all_columns(self, prob: float) -> Table:
        columns: dict[tuple[str, str], Any] = {
            ("params", ""): [model.params for model in self.models],
            ("tokens", ""): [model.tokens for model in self.models],
            ("tokens_per_param", ""): [model.tokens / model.params for model in self.models],
            ("flops", ""): self.flops,
        }
        for name, values in self.draws.items():
            columns |= interval_columns(name, interval(values, prob))
        return Table("model", [model.name for model in self.models], columns)


def audit(fit: Fit, models: Any = None, *, discrepancy: bool | None = None, **fixed: Any) -> Audit:
    """Compare trained models with the optimum of the same budget: loss given up, compute wasted, implied inference.

    Losses are those that the fit's own recipe, data and tokenizer would reach.

    Parameters
    ----------
    fit
        Any fit whose law takes params and tokens.
    models
        Names of published models, (params, tokens) pairs or texts such as "70B:1.4T", one or a list; all published
        models by default.
    discrepancy
        As for `Fit.predict`.
    **fixed
        The law's inputs beyond params and tokens.

    Raises
    ------
    OptionError
        A model is unknown.
    QuestionError
        The law has no allocation, or the optimum of a budget is less than one parameter or token.
    """
    check_fit(fit)
    if models is None:
        chosen = published_models()
    else:
        one = isinstance(models, str | TrainedModel) or isinstance(models[0], float | int)  # a pair of numbers is one
        chosen = tuple(map(read_model, [models] if one else models))
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


@cached_jit()
def _judge(posterior: LossPosterior, log_n: Float[Array, " model"], log_d: Float[Array, " model"]) -> dict[str, Array]:
    """The draws of an `Audit`, name -> (draw, model)."""
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

    return by_groups(jax.vmap(one, (None, 0, 0)), (posterior.axes, None, None))(posterior, log_n, log_d)
