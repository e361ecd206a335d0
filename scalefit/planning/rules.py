"""What rules of thumb would cost: the same budget, allocated without the posterior."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from scalefit._numerics import precision
from scalefit.counting import pf_days, share_6nd
from scalefit.errors import PlanError
from scalefit.fitted import Fit, check_fit
from scalefit.planning.basis import Basis
from scalefit.planning.belief import believe
from scalefit.planning.budget import read_budget
from scalefit.planning.cost import SixND
from scalefit.planning.machines import Machines
from scalefit.planning.price import informed, price

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
class Rules:
    """Allocations of one budget (FLOP), and the price of each.

    params : rule -> N. draws : rule -> name -> (draw,): `loss` and `regret` (nats), `wasted_compute` (share).
    """

    budget: float
    params: dict[str, float]
    draws: dict[str, dict[str, np.ndarray]]
    machines: Machines
    basis: Basis

    def summary(self, prob: float = 0.9) -> "pd.DataFrame":
        """Rows: rules. Columns: params, tokens, then regret, wasted compute and money, mean, lower and upper."""
        from scalefit.tables.plans import rules_table

        return rules_table(self, prob)

    def tokens(self, rule: str) -> float:
        """Training tokens under a rule."""
        return float(share_6nd(self.budget, self.params[rule]))


def rules_of_thumb(
    fit: Fit,
    budget: Any,
    *,
    point_fits: Mapping[str, Fit] | None = None,
    machines: Machines | None = None,
    kind: str | None = None,
    **fixed: Any,
) -> Rules:
    """What 20 tokens per parameter, Kaplan's allocation and the optimum of any point fits would waste at a budget.

    point_fits : name -> `Fit`; the plug-in optimum of each is the median of its draws'. Costs are C = 6 N D.
    kind : "mean", or "form" with the law's own error, the default beyond the data. fixed : the law's further inputs.
    Raises `PlanError` where a rule asks for more parameters than the budget can train on one token.
    """
    check_fit(fit)
    found, cost = read_budget(budget, machines), SixND()
    kind = kind or fit.kind_at(found.flops)
    params = {"20 tokens per parameter": twenty_to_one(found.flops), "Kaplan 2020": kaplan(found.flops)}
    for name, other in (point_fits or {}).items():
        params[name] = float(np.exp(np.median(np.log(other.frontier([found.flops], kind="mean").params))))
    if too_large := [name for name, n in params.items() if share_6nd(found.flops, n) < 1]:
        raise PlanError(f"{', '.join(too_large)} asks for a model the budget cannot train on one token; ask for more.")
    with precision():
        belief, log_c = believe(fit, fixed=fixed, kind=kind), jnp.log(jnp.asarray(found.flops, dtype=float))
        best = informed(belief, cost, log_c)
        sizes = {name: jnp.log(jnp.asarray(n, dtype=float)) for name, n in params.items()}
        priced = {name: price(belief, cost, best, log_n, log_c) for name, log_n in sizes.items()}
    draws = {name: {key: np.asarray(values) for key, values in each.items()} for name, each in priced.items()}
    return Rules(found.flops, params, draws, found.machines, Basis.of(fit, cost, interval=kind))
