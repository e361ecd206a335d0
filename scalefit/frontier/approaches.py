"""Frontiers without a law: Approach 1 and 2 of Hoffmann et al. 2022 (arXiv 2203.15556, section 3), and one-variable
power laws as in Kaplan et al. 2020 (arXiv 2001.08361). Intervals are pairs bootstraps.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scalefit._tables import estimate_table
from scalefit.counting import tokens_for
from scalefit.errors import DataError, NoMinimumError, TooFewRunsError
from scalefit.runs import Runs
from scalefit.units import format_flops, positive_budgets

if TYPE_CHECKING:
    import pandas as pd


NEAR = 0.15  # runs within this of a budget, in ln compute, belong to it
LEAST_NOISE = 5e-4  # of ln loss


@dataclass(frozen=True, eq=False)
class PowerLawFrontier:
    """ln N_opt = level + a (ln C - centre): a compute-optimal path, first entry the estimate, then its resamples.

    a, level : (1 + resample,). flops, params : the optima the line went through, (point,). notes : what was left out.
    """

    method: str
    a: np.ndarray
    level: np.ndarray
    centre: float
    flops: np.ndarray
    params: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def b(self) -> np.ndarray:
        """The exponent of tokens, 1 - a."""
        return 1 - self.a

    def optimal_params(self, budgets: Any) -> np.ndarray:
        """N_opt at each budget (FLOP), (1 + resample, budget); D_opt is C / 6 N."""
        log_c = np.log(positive_budgets(budgets)) - self.centre
        return np.exp(self.level[:, None] + self.a[:, None] * log_c)

    def summary(self, budgets: Any = None, prob: float = 0.9) -> "pd.DataFrame":
        """Rows: a, b, and N_opt, D_opt, tokens per parameter at each budget; columns estimate, lower, upper."""
        return path_table(self, self.flops[-1:] if budgets is None else positive_budgets(budgets), prob)

    def quantities(self, budgets: np.ndarray) -> dict[str, np.ndarray]:
        """a, b, and the optimum at each budget, name -> (1 + resample,)."""
        found = {"a": self.a, "b": self.b}
        for budget, params in zip(budgets, self.optimal_params(budgets).T, strict=True):
            tokens, label = tokens_for(budget, params), format_flops(budget)
            found |= {
                f"N_opt[{label}]": params,
                f"D_opt[{label}]": tokens,
                f"tokens_per_param[{label}]": tokens / params,
            }
        return found


def isoflop(runs: Runs, budgets: Any = None, resamples: int = 1000, seed: int = 0) -> PowerLawFrontier:
    """Approach 2: a parabola of loss in ln N at each budget, then a line through the minima in ln C.

    budgets : FLOP; those the runs crowd around by default. A budget without three model sizes or without an interior
    minimum is left out with a note; with fewer than two left, `TooFewRunsError` or `NoMinimumError` says why.
    Known to be biased where alpha and beta differ and the sizes are off centre (Czech 2026, arXiv 2603.22339).
    """
    wanted = crowded_budgets(runs.flops, most=99) if budgets is None else positive_budgets(budgets)
    usable, refusals = [], []
    for budget in np.sort(wanted):
        members = np.flatnonzero(np.abs(np.log(runs.flops / budget)) < NEAR)
        try:
            minimum = vertex(np.log(runs.params[members]), runs.loss[members], budget)
            usable.append((budget, members, minimum))
        except DataError as refusal:
            refusals.append(refusal)
    if len(usable) < 2:
        raise refusals[0] if refusals else TooFewRunsError("the runs crowd around fewer than two budgets; add another.")
    log_c = np.log([budget for budget, *_ in usable])
    rng = np.random.default_rng(seed)
    again = [_resampled_vertices(runs, members, resamples, rng) for _, members, _ in usable]
    log_n = np.column_stack([np.r_[minimum, other] for (*_, minimum), other in zip(usable, again, strict=True)])
    return _path("isoflop", log_c, log_n, tuple(map(str, refusals)))


def vertex(log_n: np.ndarray, loss: np.ndarray, budget: float) -> float:
    """ln N at the minimum of the parabola through runs of one budget.

    Raises `TooFewRunsError` with fewer than three sizes, `NoMinimumError` where it opens downwards or its minimum lies
    outside the sizes tried.
    """
    if len(np.unique(log_n)) < 3:
        raise TooFewRunsError(f"fewer than three model sizes near {format_flops(budget)} FLOP; add runs there.")
    centre = log_n.mean()
    curve, slope, _ = np.polyfit(log_n - centre, loss, 2)
    best = centre - slope / (2 * curve)
    if curve <= 0 or not log_n.min() <= best <= log_n.max():
        raise NoMinimumError(
            f"no best size between the smallest and largest at {format_flops(budget)} FLOP; widen them."
        )
    return float(best)


def isoflop_minima(runs: Runs) -> list[tuple[float, float, float]]:
    """(flops, ln N, standard error) at the best size of every budget whose runs show one.

    A parabola of ln loss in ln N through the runs within a factor 8 of the best; its residuals, taken as 5e-4 at least,
    give the error. Left out: fewer than five runs, curvature within two errors of none, a minimum outside the runs or
    known to half an e-fold only.
    """
    line = np.round(np.log(runs.flops) / NEAR)
    found = (_minimum(runs.subset(line == budget)) for budget in np.unique(line))
    return [each for each in found if each is not None]


def _minimum(runs: Runs) -> tuple[float, float, float] | None:
    x, y = np.log(runs.params), np.log(runs.loss)
    near = np.abs(x - x[y.argmin()]) < np.log(8)
    if near.sum() < 5 or len(np.unique(x[near])) < 3:
        return None
    x, y, centre = x[near], y[near], x[near].mean()
    (curve, slope, level), cov = np.polyfit(x - centre, y, 2, cov="unscaled")
    left = y - np.polyval((curve, slope, level), x - centre)
    cov = cov * max(left @ left / max(len(x) - 3, 1), LEAST_NOISE**2)
    best, gradient = centre - slope / (2 * curve), np.array([slope / (2 * curve**2), -1 / (2 * curve), 0.0])
    error = float(np.sqrt(gradient @ cov @ gradient))
    clear = curve > 2 * np.sqrt(cov[0, 0]) and x.min() < best < x.max() and error < 0.5
    return (float(runs.flops.mean()), float(best), error) if clear else None


def _resampled_vertices(runs: Runs, members: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Vertices of resampled runs of one budget, (resample,), NaN where a resample has none."""
    log_n, loss = np.log(runs.params[members]), runs.loss[members]
    found = np.full(resamples, np.nan)
    for index in range(resamples):
        drawn = rng.integers(0, len(members), len(members))
        try:
            found[index] = vertex(log_n[drawn], loss[drawn], 1.0)
        except DataError:
            continue
    return found


def _path(method: str, log_c: np.ndarray, log_n: np.ndarray, notes: tuple[str, ...]) -> PowerLawFrontier:
    """Lines through (ln C, ln N), one a row of `log_n`, missing points left out; rows with fewer than two points go."""
    centre = float(log_c.mean())
    lines = [_line(log_c - centre, row) for row in log_n]
    level, a = np.array([line for line in lines if line is not None]).T
    lost = sum(line is None for line in lines)
    more = (f"{lost} of {len(lines) - 1} resamples had fewer than two budgets with a minimum and are left out",)
    return PowerLawFrontier(method, a, level, centre, np.exp(log_c), np.exp(log_n[0]), notes + (more if lost else ()))


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float] | None:
    """Intercept and slope of least squares where y is known; None from fewer than two points."""
    known = np.isfinite(y)
    if len(np.unique(x[known])) < 2:
        return None
    slope, intercept = np.polyfit(x[known], y[known], 1)
    return float(intercept), float(slope)


def envelope(runs: Runs, resamples: int = 1000, seed: int = 0) -> PowerLawFrontier:
    """Approach 1: a line through the runs that no cheaper run beats.

    From final losses instead of whole training curves. The luckiest run wins each budget, which biases it (a winner's
    curse). Raises `TooFewRunsError` where fewer than three runs are on the envelope.
    """
    rng = np.random.default_rng(seed)
    first = _undominated(runs.flops, runs.loss)
    if len(first) < 3:
        raise TooFewRunsError("fewer than three runs are the best for their compute; add runs at other budgets.")
    centre = float(np.log(runs.flops[first]).mean())
    lines = []
    for index in range(resamples + 1):
        drawn = np.arange(len(runs)) if index == 0 else rng.integers(0, len(runs), len(runs))
        best = drawn[_undominated(runs.flops[drawn], runs.loss[drawn])]
        lines.append(_line(np.log(runs.flops[best]) - centre, np.log(runs.params[best])))
    level, a = np.array([line for line in lines if line is not None]).T
    return PowerLawFrontier("envelope", a, level, centre, runs.flops[first], runs.params[first])


def _undominated(flops: np.ndarray, loss: np.ndarray) -> np.ndarray:
    """Indices of the runs with a lower loss than every cheaper one, by compute."""
    order = np.lexsort((loss, flops))
    before = np.minimum.accumulate(np.r_[np.inf, loss[order][:-1]])
    return order[loss[order] < before]


def crowded_budgets(flops: np.ndarray, most: int = 8) -> np.ndarray:
    """Budgets with most runs within `NEAR` in ln compute, at least twice that apart, ascending."""
    log_c = np.log(flops)
    chosen: list[float] = []
    left = np.ones(len(log_c), dtype=bool)
    while left.any() and len(chosen) < most:
        near = np.abs(log_c[:, None] - log_c[None, left]) < NEAR
        centre = log_c[np.argmax(np.where(left, near.sum(1), -1))]
        chosen.append(log_c[left & (np.abs(log_c - centre) < NEAR)].mean())
        left &= np.abs(log_c - centre) >= 2 * NEAR
    return np.exp(np.sort(chosen))


@dataclass(frozen=True, eq=False)
class SingleVariableFit:
    """L = E + (scale / x)^alpha in one variable, first entry the estimate, then its resamples, each (1 + resample,)."""

    E: np.ndarray
    scale: np.ndarray
    alpha: np.ndarray

    def predict(self, x: Any) -> np.ndarray:
        """Loss at each x, (1 + resample, x), nats per token."""
        x = np.atleast_1d(np.asarray(x, dtype=float))
        return self.E[:, None] + (self.scale[:, None] / x) ** self.alpha[:, None]

    def summary(self, prob: float = 0.9) -> "pd.DataFrame":
        """Rows: E, scale, alpha; columns estimate, lower, upper."""
        from scalefit._tables import estimate_table

        return estimate_table({"E": self.E, "scale": self.scale, "alpha": self.alpha}, prob)


def power_law(x: Any, loss: Any, offset: bool = True, resamples: int = 200, seed: int = 0) -> SingleVariableFit:
    """Kaplan et al.'s L(N), L(D) or L(C) (2020, equations 1.1 to 1.3), with an irreducible loss E if `offset`.

    x, loss : (run,), positive. Least squares on ln loss. Raises `TooFewRunsError` with fewer runs than parameters.
    """
    x, loss = np.asarray(x, dtype=float), np.asarray(loss, dtype=float)
    if len(np.unique(x)) < (3 if offset else 2):
        raise TooFewRunsError(f"a power law needs {3 if offset else 2} different x at least; add runs.")
    solve = _with_offset if offset else _without_offset
    rng = np.random.default_rng(seed)
    found = [solve(np.log(x), np.log(loss))]
    while len(found) <= resamples:
        drawn = rng.integers(0, len(x), len(x))
        if len(np.unique(x[drawn])) >= (3 if offset else 2):
            found.append(solve(np.log(x[drawn]), np.log(loss[drawn])))
    return SingleVariableFit(*np.array(found).T)


def _without_offset(log_x: np.ndarray, log_loss: np.ndarray) -> tuple[float, float, float]:
    slope, intercept = np.polyfit(log_x, log_loss, 1)
    return 0.0, float(np.exp(-intercept / slope)), float(-slope)


def _with_offset(log_x: np.ndarray, log_loss: np.ndarray) -> tuple[float, float, float]:
    from scipy.optimize import least_squares

    centre, least = log_x.mean(), np.exp(log_loss.min())

    def misfit(p: np.ndarray) -> np.ndarray:
        return np.logaddexp(p[0], p[1] - np.exp(p[2]) * (log_x - centre)) - log_loss

    starts = [(np.log(share * least), np.log((1 - share) * least), np.log(0.3)) for share in (0.1, 0.5, 0.9)]
    fits = [least_squares(misfit, start, x_scale="jac", xtol=1e-12, ftol=1e-12, gtol=1e-12) for start in starts]
    e, k, log_alpha = min(fits, key=lambda fit: fit.cost).x
    alpha = np.exp(log_alpha)
    return float(np.exp(e)), float(np.exp(centre + k / alpha)), float(alpha)


def path_table(path: "PowerLawFrontier", budgets: np.ndarray, prob: float = 0.9) -> "pd.DataFrame":
    """Rows: a, b, and the optimum at each budget; columns estimate, lower, upper."""
    return estimate_table(path.quantities(budgets), prob)
