"""Measured: compute as the runs of a table logged it, where it is not 6 N D times one number."""

from dataclasses import dataclass, replace
from typing import Any, Self, final

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Float

from scalefit.costs.cost import Compute, Cost, SixND
from scalefit.costs.lifetime import Lifetime
from scalefit.counting import FLOPS_PER_PARAM_TOKEN, flops_6nd
from scalefit.runs import Runs
from scalefit.units import format_count

ROUNDED = 0.02  # in ln of C / 6 N D: what three digits of N, D and C leave open
SLOPE_SD = (0.1, 0.02)  # of the priors of p and r: a factor of 2 over three decades of N, and all but none with D
ROBUST = 4.0  # degrees of freedom of the scatter about the line: one wrong row does not move it
STEPS = 50  # of IRLS
LEAST_FREEDOM = 3


@final
@register_dataclass
@dataclass(frozen=True)
class Measured(Compute):
    """C = 6 N D times exp(level) (N/N_0)^p (D/D_0)^r, a line in logarithms that runs beyond the table too.

    Parameters
    ----------
    level
        ln of C / 6 N D in the middle of the table; a number, or draws (draw,).
    params_power, tokens_power
        p and r; numbers, or draws (draw,).
    middle_params, middle_tokens
        N_0 and D_0, the geometric means of the runs.
    """

    level: Any
    params_power: Any = 0.0
    tokens_power: Any = 0.0
    middle_params: Any = 1.0
    middle_tokens: Any = 1.0

    @classmethod
    def of(cls, runs: Runs, count: int = 1000, seed: int = 0) -> Self:
        """Learn the line from the runs.

        Parameters
        ----------
        runs
            With params, tokens and flops.
        count, seed
            Draws of its coefficients, and their seed.

        Returns
        -------
        Measured
            The cost, its coefficients draws (draw,): of a Student-t about the robust estimate, with a prior of
            powers around 0.
        """
        x = np.log(np.stack([runs.params, runs.tokens], axis=1))
        middle = x.mean(axis=0)
        design = np.column_stack([np.ones(len(x)), x - middle])
        mean, covariance = _line(design, _log_ratio(runs))
        rng, freedom = np.random.default_rng([seed, 2]), max(len(x) - design.shape[1], LEAST_FREEDOM)
        scale = np.sqrt(freedom / rng.chisquare(freedom, count))
        away = scale[:, None] * rng.multivariate_normal(np.zeros(3), covariance, count, method="eigh")
        draws = mean + away - away.mean(axis=0)  # their mean is the estimate, however many there are
        return cls(*draws.T, *map(float, np.exp(middle)))

    @property
    def growth(self) -> tuple[Any, Any]:
        """The power of tokens beyond 1, and D_0."""
        return self.tokens_power, self.middle_tokens

    def per_token(self, params: Any) -> Any:
        """FLOP of training on one token of D_0."""
        xp: Any = jnp if any(isinstance(v, jax.Array) for v in (params, self.level)) else np
        return FLOPS_PER_PARAM_TOKEN * params * xp.exp(self.level) * (params / self.middle_params) ** self.params_power

    def describe(self) -> str:
        """The line, and that it is one."""
        mean = self.averaged()
        n, d = map(format_count, (mean.middle_params, mean.middle_tokens))
        return (
            f"C = {np.exp(mean.level):.3g} x 6 N D (N/{n})^{mean.params_power:.3f} (D/{d})^{mean.tokens_power:.3f}, a "
            "line in logarithms through the compute of its runs, which is assumed to go on beyond them"
        )


def cost_of_runs(runs: Runs, count: int = 1000, seed: int = 0) -> Compute:
    """How a table prices N and D: by its own compute.

    Parameters
    ----------
    runs
        The table.
    count, seed
        Draws of what is uncertain, and their seed.

    Returns
    -------
    Compute
        6 N D where the table has no compute or that; 6 N D times a number where C / 6 N D is one, to rounding; else a
        `Measured`, learned from the rows.
    """
    if not ({"params", "tokens"} <= set(runs.columns) and {"flops", "active_params"} & set(runs.columns)):
        return SixND()
    ratio = _log_ratio(runs)
    if np.abs(ratio).max() <= ROUNDED:
        return SixND()
    if np.ptp(ratio) <= ROUNDED:
        return SixND(measured=float(np.exp(ratio.mean())))
    return Measured.of(runs, count, seed)


def _log_ratio(runs: Runs) -> Float[np.ndarray, " run"]:
    return np.log(runs.flops) - np.log(flops_6nd(runs.params, runs.tokens))


def _line(
    design: Float[np.ndarray, "run 3"], values: Float[np.ndarray, " run"]
) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3 3"]]:
    """Mean and covariance of the coefficients of a robust line, by IRLS under a prior of its two slopes."""
    prior = np.diag([0.0, *np.power(SLOPE_SD, -2.0)])
    weight, freedom = np.ones(len(values)), max(len(values) - design.shape[1], 1)
    for _ in range(STEPS):
        variance = max(_variance(design, values, weight, prior, freedom), ROUNDED**2 / 12)
        precision = design.T @ (weight[:, None] * design) / variance + prior
        mean = np.linalg.solve(precision, design.T @ (weight * values) / variance)
        weight = (ROBUST + 1) / (ROBUST + (values - design @ mean) ** 2 / variance)
    return mean, np.linalg.inv(precision)


def _variance(design: np.ndarray, values: np.ndarray, weight: np.ndarray, prior: np.ndarray, freedom: int) -> float:
    """Of the scatter about the line by weighted least squares, steadied by the prior."""
    gram = design.T @ (weight[:, None] * design)
    mean = np.linalg.solve(gram + 1e-3 * prior, design.T @ (weight * values))
    return float(weight @ (values - design @ mean) ** 2 / freedom)


def with_table(cost: Cost | None, runs: Runs, count: int, seed: int) -> Cost:
    """A cost for an answer from a fit: the table's compute where none is given, of the training of a `Lifetime` too.

    Parameters
    ----------
    cost
        A cost; None for the table's compute.
    runs
        The table.
    count, seed
        Draws of the answer, and their seed.

    Returns
    -------
    Cost
        The cost, amounts of it as uncertain as they were.
    """
    if cost is None:
        return cost_of_runs(runs, count, seed)
    if isinstance(cost, Lifetime) and cost.compute is None:
        return replace(cost, compute=cost_of_runs(runs, count, seed))
    return cost


def on_average(cost: Cost) -> Cost:
    """The same cost with the coefficients of `Measured` at their means; amounts stay as uncertain as they are."""
    if isinstance(cost, Lifetime) and isinstance(cost.compute, Measured):
        return replace(cost, compute=cost.compute.averaged())
    return cost.averaged() if isinstance(cost, Measured) else cost


def for_draws(cost: Cost, count: int, seed: int) -> Cost:
    """A cost to decide with: amounts that enter linearly at their expectation, coefficients of `Measured` as draws.

    Parameters
    ----------
    cost
        As `with_table` gives it.
    count, seed
        Draws of the answer, and their seed.

    Returns
    -------
    Cost
        Of numbers, or every number (draw,).
    """
    compute = cost.compute if isinstance(cost, Lifetime) else cost
    if not isinstance(compute, Measured):
        return cost.averaged()
    if isinstance(cost, Lifetime):
        cost = replace(cost.averaged(), compute=compute)
    return cost.sampled(count, seed)
