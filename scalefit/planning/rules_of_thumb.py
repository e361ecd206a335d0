"""What rules of thumb would cost: the same budget, allocated without the posterior."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from scalefit._intervals import interval
from scalefit._precision import precision
from scalefit._tables import two_level
from scalefit.costs.budget import read_budget
from scalefit.costs.cost import SixND
from scalefit.costs.machines import Machines
from scalefit.counting import pf_days, tokens_for
from scalefit.errors import QuestionError
from scalefit.fits.fit import Fit, check_fit
from scalefit.frontier.optimum import check_optimum
from scalefit.planning._loss_posterior import loss_posterior
from scalefit.planning._regret import informed, price
from scalefit.planning.assumptions import Assumptions
from scalefit.units import format_flops

if TYPE_CHECKING:
    import pandas as pd


TOKENS_PER_PARAM = 20.0


def twenty_to_one(flops: float) -> float:
    """N of D = 20 N, sqrt(C / 120): what is commonly read into Hoffmann et al. 2022 (arXiv 2203.15556), Table 3."""
    return float(np.sqrt(flops / (6 * TOKENS_PER_PARAM)))


def kaplan(flops: float) -> float:
    """N = 1.3e9 (C / PF-day)^0.73, without embeddings (Kaplan et al. 2020, arXiv 2001.08361, section 6.1)."""
    return float(1.3e9 * pf_days(flops) ** 0.73)


@dataclass(frozen=True, eq=False)
class RulesOfThumb:
    """Allocations of one budget (FLOP), and the price of each.

    params : rule -> N. draws : rule -> name -> (draw,): `loss` and `regret` (nats), `wasted_compute` (share).
    """

    budget: float
    params: dict[str, float]
    draws: dict[str, dict[str, np.ndarray]]
    machines: Machines
    assumptions: Assumptions

    def summary(self, prob: float = 0.9) -> "pd.DataFrame":
        """Rows: rules. Columns: params, tokens, then regret, wasted compute and money, mean, lower and upper."""
        return rules_table(self, prob)

    def tokens(self, rule: str) -> float:
        """Training tokens under a rule."""
        return float(tokens_for(self.budget, self.params[rule]))


def rules_of_thumb(
    fit: Fit,
    budget: Any,
    *,
    point_fits: Mapping[str, Fit] | None = None,
    machines: Machines | None = None,
    discrepancy: bool | None = None,
    **fixed: Any,
) -> RulesOfThumb:
    """What 20 tokens per parameter, Kaplan's allocation and the optimum of any point fits would waste at a budget.

    point_fits : name -> `Fit`; the plug-in optimum of each is the median of its draws'. Costs are C = 6 N D.
    discrepancy : as for `Fit.predict`. fixed : the law's further inputs.
    Raises `QuestionError` where a rule asks for more parameters than the budget can train on one token.
    """
    check_fit(fit)
    found, cost = read_budget(budget, machines), SixND()
    discrepancy = fit.resolve(discrepancy)
    params = {"20 tokens per parameter": twenty_to_one(found.flops), "Kaplan 2020": kaplan(found.flops)}
    for name, other in (point_fits or {}).items():
        params[name] = float(np.exp(np.median(np.log(other.frontier([found.flops], discrepancy=False).params))))
    if too_large := [name for name, n in params.items() if tokens_for(found.flops, n) < 1]:
        raise QuestionError(
            f"{', '.join(too_large)} asks for a model the budget cannot train on one token; ask for more."
        )
    with precision():
        belief, log_c = loss_posterior(fit, fixed=fixed, discrepancy=discrepancy), jnp.log(jnp.asarray(found.flops, dtype=float))
        best = informed(belief, cost, log_c)
        sizes = {name: jnp.log(jnp.asarray(n, dtype=float)) for name, n in params.items()}
        priced = {name: price(belief, cost, best, log_n, log_c) for name, log_n in sizes.items()}
    draws = {name: {key: np.asarray(values) for key, values in each.items()} for name, each in priced.items()}
    converged = np.all([each.pop("converged") for each in draws.values()], axis=0)
    n, what = np.exp(np.asarray(best.log_n)), f"a budget of {format_flops(found.flops)} FLOP"
    lost = check_optimum(n, tokens_for(found.flops, n), converged, what=what, remedy="Use a larger budget")
    assumptions = Assumptions.of(fit, cost, discrepancy=discrepancy, unconverged=lost)
    return RulesOfThumb(found.flops, params, draws, found.machines, assumptions)


def rules_table(rules: "RulesOfThumb", prob: float = 0.9) -> "pd.DataFrame":
    """Rows: rules of thumb. Columns: params, tokens; regret, wasted compute and money, each mean, lower, upper."""
    worth, rows = float(rules.machines.money(rules.budget)), {}
    for rule, draws in rules.draws.items():
        waste = draws["wasted_compute"]
        row: dict[tuple[str, str], Any] = {("params", ""): rules.params[rule], ("tokens", ""): rules.tokens(rule)}
        for name, values in (("regret", draws["regret"]), ("wasted_compute", waste), ("wasted_money", worth * waste)):
            _, low, high = interval(values, prob)
            row |= {(name, "mean"): values.mean(), (name, "lower"): low, (name, "upper"): high}
        rows[rule] = row
    return two_level(rows, "rule")
