"""Audits: any trained model against the compute-optimal one of its own budget, under a fit."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from scalefit._intervals import interval
from scalefit._labelled import labelled
from scalefit._precision import precision
from scalefit._quantities import loss_units, provenance, ranged, write
from scalefit._results import PROB, Result
from scalefit._tables import Table, interval_columns
from scalefit.costs.cost import Compute
from scalefit.fits.fit import Fit, check_fit
from scalefit.frontier.optimum import check_optimum
from scalefit.io.published_models import TrainedModel, published_models, read_model
from scalefit.planning._audit_draws import audit_draws
from scalefit.planning._loss_posterior import costs_of, loss_posterior
from scalefit.planning.assumptions import Assumptions

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


SHOWN = ("wasted_compute", "given_up", "N_opt", "D_opt", "overtraining", "served")


@dataclass(frozen=True, eq=False, repr=False)
class Audit(Result):
    """Trained models judged by one fit, at the compute that its table shows.

    Parameters
    ----------
    models
        The models.
    draws
        Name -> (draw, model): N_opt and D_opt of the model's own budget; loss and given_up (loss above the optimum's),
        had the fit's recipe trained it; wasted_compute, share of the budget; overtraining, tokens per
        parameter over those of the optimum of the same compute; token_ratio, tokens over those that make the size
        compute-optimal; served, the inference tokens that justify the size (negative: none do): those with which it is
        the cheapest of its quality by 6 N D + 2 N T.
    assumptions
        The data, the model and the conventions behind the answer.
    """

    models: tuple[TrainedModel, ...]
    draws: dict[str, np.ndarray]
    assumptions: Assumptions

    @property
    def flops(self) -> Float[np.ndarray, " model"]:
        """Training compute of each model, FLOP."""
        return np.array([self.assumptions.flops(model.params, model.tokens) for model in self.models])

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
        attrs = {"discrepancy": self.assumptions.discrepancy}
        return labelled(variables, coords, attrs, loss_units(self.assumptions.loss_unit))

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
        names = [model.name for model in self.models]
        return Table("model", names, columns).loss_in(self.assumptions.loss_unit)


def audit(
    fit: Fit,
    models: Any = None,
    *,
    cost: Compute | None = None,
    discrepancy: bool | None = None,
    **fixed: Any,
) -> Audit:
    """Compare trained models with the optimum of the same budget: loss given up, compute wasted, implied inference.

    Losses are those that the fit's own recipe, data and tokenizer would reach.

    Parameters
    ----------
    fit
        Any fit whose law takes params and tokens.
    models
        Names of published models, (params, tokens) pairs or texts such as "70B:1.4T", one or a list; all published
        models by default.
    cost
        The compute that the table shows by default; `costs.SixND()` is 6 N D whatever that is.
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
    params, tokens = (np.array([getattr(model, name) for model in chosen]) for name in ("params", "tokens"))
    with precision():
        posterior = loss_posterior(fit, fixed=fixed, discrepancy=discrepancy)
        shown, priced = costs_of(fit, posterior, cost)
        draws = audit_draws(posterior, priced, params, tokens)
    columns = zip(chosen, draws["N_opt"].T, draws["D_opt"].T, draws.pop("converged").T, strict=True)
    lost = [
        check_optimum(*each, what=f"the budget of {model.name}", remedy="Give a larger model")
        for model, *each in columns
    ]
    return Audit(chosen, draws, Assumptions.of(fit, shown, discrepancy=discrepancy, unconverged=max(lost)))
