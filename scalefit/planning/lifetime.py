"""Training against inference: the cheapest model of a given quality over its whole life, and the set to choose from.

Sardana et al. 2024 (arXiv 2401.00448), section 3: minimise 6 N D + 2 N T at equal loss. Under a posterior the size is
the decision, and training goes on until the quality is reached: for each size the tokens that takes, draw by draw,
then the size for which the expected total is least.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from jaxtyping import Float

from scalefit._intervals import interval
from scalefit._labelled import labelled
from scalefit._precision import precision
from scalefit._quantities import provenance, ranged, said, write
from scalefit._results import PROB, Result
from scalefit._tables import Table, draws_table, interval_columns
from scalefit.costs.cost import Cost
from scalefit.costs.lifetime import Lifetime
from scalefit.costs.machines import Machines
from scalefit.costs.measured import on_average, with_table
from scalefit.errors import QuestionError
from scalefit.fits.fit import Fit, check_fit
from scalefit.planning._loss_posterior import loss_posterior
from scalefit.planning._quality import (
    MOST_MISSED,
    TokensNeeded,
    cost_or_fallback,
    decide,
    least_costs,
    quality_of,
)
from scalefit.planning.assumptions import Assumptions
from scalefit.units import format_count, parse_quantity, percent

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


SIZES = 41  # of the Pareto set, the smallest an eighth of the largest
ANYWHERE = 1e10
COSTS = ("training", "serving", "total")


@dataclass(frozen=True, eq=False, repr=False)
class LifetimePlan(Result):
    """The cheapest model of a given quality over its whole life, against the one that is cheapest to train.

    Parameters
    ----------
    params
        The size to train.
    draws
        Name -> (draw,): tokens that it is trained on; training, serving and total cost, in the cost's unit; saved,
        share of the reference's total; wasted, share of the total that the draw's optimum would save. In a draw in
        which the size never reaches the quality, training stops when it has cost as much as the reference's total, and
        the reference is trained instead.
    reference
        (params, expected tokens) of the model that is cheapest to train, or was asked for.
    sizes, size_tokens
        The Pareto set of training against serving cost, and the tokens that each size needs, in the other draws as
        `draws` has them.
    cost, machines
        What a budget pays for, and what FLOP are computed on.
    assumptions
        The data, the model and the conventions behind the plan.
    reachable
        Share of the draws in which the size reaches the quality.
    """

    params: float
    draws: dict[str, np.ndarray]
    reference: tuple[float, float]
    sizes: Float[np.ndarray, " size"]
    size_tokens: Float[np.ndarray, "draw size"]
    cost: Cost
    machines: Machines
    assumptions: Assumptions
    reachable: float = 1.0

    @property
    def tokens(self) -> float:
        """Expected training tokens."""
        return float(self.draws["tokens"].mean())

    @property
    def flops(self) -> float:
        """Expected training compute, FLOP."""
        return float(self.cost.flops(self.params, self.tokens))

    def headline(self, prob: float = PROB) -> str:
        """What to train, and what it saves."""
        tokens, saved = (interval(self.draws[name], prob) for name in ("tokens", "saved"))
        total = said(float(self.draws["total"].mean()), self.cost.unit)
        saved[0] = self.draws["saved"].mean()
        return (
            f"Train {format_count(self.params)} parameters on {ranged(tokens, format_count)} tokens for a total cost "
            f"of {total}, which saves {ranged(saved, lambda value: write(value, 'share'))} of the total of "
            f"{format_count(self.reference[0])} parameters on {format_count(self.reference[1])} tokens "
            f"({provenance(self.assumptions.discrepancy, tokens, prob)})."
        )

    def summary(self, prob: float = PROB) -> "pd.DataFrame":
        """Tokens, costs and savings.

        Parameters
        ----------
        prob
            Probability of every interval, equal-tailed.

        Returns
        -------
        pandas.DataFrame
            Rows: those of `draws`. Columns: mean, median, lower, upper.
        """
        return self._table(prob).frame()

    def pareto(self, prob: float = PROB) -> "pd.DataFrame":
        """The Pareto set of training against serving cost.

        Parameters
        ----------
        prob
            Probability of every interval, equal-tailed.

        Returns
        -------
        pandas.DataFrame
            Rows: sizes. Columns: serving cost of the expected inference; tokens and training cost, each median, lower
            and upper.
        """
        tokens, cost = interval(self.size_tokens, prob), self.cost.averaged()
        columns: dict[tuple[str, str], Any] = {("serving", ""): cost.serving(self.sizes)}
        columns |= interval_columns("tokens", tokens) | interval_columns("training", cost.training(self.sizes, tokens))
        return Table("params", self.sizes, columns).frame()

    def to_xarray(self) -> "xr.Dataset":
        """The draws with names, each over `draw`, and the Pareto set over (draw, size).

        Returns
        -------
        xarray.Dataset
            Variables: those of `draws`, and size_tokens. Coordinate `size`: parameters. Attributes: params,
            reference_params, reference_tokens, reachable, discrepancy (0 or 1).
        """
        variables: dict[str, Any] = {name: ("draw", values) for name, values in self.draws.items()}
        variables["size_tokens"] = (("draw", "size"), self.size_tokens)
        attrs = {"params": self.params, "reachable": self.reachable, "discrepancy": self.assumptions.discrepancy}
        attrs |= {"reference_params": self.reference[0], "reference_tokens": self.reference[1]}
        units = {"size": "parameters", "size_tokens": "tokens", **dict.fromkeys(COSTS, self.cost.unit)}
        return labelled(variables, {"size": ("size", self.sizes)}, attrs, units)

    def _table(self, prob: float) -> Table:
        return draws_table(self.draws, prob, mean=True).in_units(dict.fromkeys(COSTS, self.cost.unit))


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

    Parameters
    ----------
    fit
        Any fit whose law takes params and tokens.
    quality
        A loss; a size, "7B", for the quality of the compute-optimal model of that size; or a run,
        "13B:260B" or a published name.
    cost
        A `Lifetime`, whose tokens may be uncertain; its compute is that which the table shows unless it is given.
    params, max_params
        Fix or cap the size.
    machines
        What FLOP are computed on.
    discrepancy
        As for `Fit.predict`.
    **fixed
        The law's inputs beyond params and tokens.

    Raises
    ------
    QuestionError
        No size reaches the quality.
    """
    check_fit(fit)
    discrepancy = fit.resolve(discrepancy)
    with precision():
        posterior = loss_posterior(fit, fixed=fixed, discrepancy=discrepancy)
        table = with_table(cost, fit.runs, posterior.count, fit.seed)
        cost, life = cast("Lifetime", on_average(table)), cast("Lifetime", table.sampled(posterior.count, fit.seed))
        level, size = quality_of(posterior, quality, fit.runs.unit, cost.of_training)
        about = float(np.log(ANYWHERE if size is None else size))
        cheapest = decide(TokensNeeded(posterior, level, about), life.of_training) if size is None else about
        needed = TokensNeeded(posterior, level, cheapest)
        at_reference = np.exp(needed(np.array([cheapest])))[0]
        before = life.total(np.exp(cheapest), at_reference)
        if params is None:
            cap = np.inf if max_params is None else float(np.log(parse_quantity(max_params)))
            best = decide(needed, life, cap, before)
        else:
            best = float(np.log(parse_quantity(params)))
        tokens = np.exp(needed(np.array([best])))[0]
        log_least, converged = least_costs(needed, life)
        sizes = np.exp(np.linspace(min(cheapest - np.log(8.0), best), max(cheapest, best), SIZES))
        size_tokens = np.exp(needed.near(np.log(sizes)))
    n = float(np.exp(best))
    total = cost_or_fallback(life, n, tokens, before)
    reached = np.isfinite(tokens)
    missed = float(np.mean(~reached))
    if missed > MOST_MISSED or not np.isfinite(total).all():
        raise QuestionError(
            f"{format_count(n)} parameters do not reach the quality in {percent(round(missed, 3))} of the draws. Allow "
            "more parameters."
        )
    tokens = np.where(reached, tokens, life.tokens_for(before, n))
    draws = {"tokens": tokens, "training": life.training(n, tokens), "serving": life.serving(n) + np.zeros(len(tokens))}
    draws |= {"total": total, "saved": 1 - total / before, "wasted": 1 - np.exp(log_least) / total}
    stopped = ~np.isfinite(size_tokens)
    kept = stopped.mean(axis=1) <= MOST_MISSED
    size_tokens = np.where(stopped, life.tokens_for(before, sizes[:, None]), size_tokens)
    return LifetimePlan(
        params=n,
        draws=draws,
        reference=(float(np.exp(cheapest)), float(at_reference[np.isfinite(at_reference)].mean())),
        sizes=sizes[kept],
        size_tokens=size_tokens[kept].T,
        cost=cost,
        machines=machines or Machines(),
        assumptions=Assumptions.of(fit, cost, discrepancy=discrepancy, unconverged=1 - float(np.mean(converged))),
        reachable=float(reached.mean()),
    )
