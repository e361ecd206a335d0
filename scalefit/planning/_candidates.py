"""Runs that could be made next: a default grid over N and D around the data, or the user's table; and their limits."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from jaxtyping import Bool, Float

from scalefit.costs.cost import Cost
from scalefit.errors import DataError, OptionError, QuestionError
from scalefit.fits.fit import Fit
from scalefit.io.read import read_columns, read_inputs
from scalefit.units import parse_quantity

COMPUTES, RATIOS = 11, 11  # of the default grid
STEP = np.sqrt(3.0)  # between its computes
FURTHEST = 30.0  # times the largest run's compute: as far as held-out sweeps have tested predictions
SMALLER = 3.0  # times less than the smallest run: below it laws break
RATIO_REACH = 20.0  # times the middle ratio of tokens to parameters, or as far as the runs: beyond, laws are untested
REPLICATES = 8  # of the runs made, spread over compute
INSIDE = 0.99  # of the spend, so that rounding to three digits stays within it
DIVERGES = "diverges"
STEPS = 30


@dataclass(frozen=True, eq=False)
class Candidates:
    """Runs that could be made.

    Parameters
    ----------
    params, tokens
        The runs.
    diverges
        Probability that each fails and teaches nothing.
    kind
        "new", or "replicate" of a run made, or "given" by the user.
    """

    params: Float[np.ndarray, " run"]
    tokens: Float[np.ndarray, " run"]
    diverges: Float[np.ndarray, " run"]
    kind: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.params)

    def only(self, keep: Bool[np.ndarray, " run"]) -> Self:
        """Some of them."""
        columns = {name: getattr(self, name)[keep] for name in ("params", "tokens", "diverges")}
        return replace(self, **columns, kind=tuple(np.array(self.kind, dtype=object)[keep]))

    def within(self, cost: Cost, spend: float, max_params: Any, max_tokens: Any, ratios: Any) -> Self:
        """Those that cost at most the spend, and have at most so many parameters and tokens and such a ratio.

        Raises
        ------
        OptionError
            A limit is not a positive number, or the ratios are no range.
        QuestionError
            None is left.
        """
        most_n, most_d = (np.inf if most is None else parse_quantity(most) for most in (max_params, max_tokens))
        low, high = (0.0, np.inf) if ratios is None else map(parse_quantity, ratios)
        if not (most_n > 0 and most_d > 0 and 0 <= low < high):
            raise OptionError(
                "a limit of the runs is not positive, or ratios fall. Write max_params='3B' or ratios=(2, 200)."
            )
        per = self.tokens / self.params
        keep = (cost.training(self.params, self.tokens) <= spend) & (self.params <= most_n) & (self.tokens <= most_d)
        kept = self.only(keep & (per >= low) & (per <= high))
        if not len(kept):
            raise QuestionError("no candidate run is within the spend and the limits. Raise the spend or a limit.")
        return kept


def default_candidates(fit: Fit, cost: Cost, spend: float, budget: float, max_params: Any = None) -> Candidates:
    """A grid of compute and tokens per parameter, and replicates of runs made.

    Parameters
    ----------
    fit
        Of the runs made.
    cost, spend, budget
        Of a run; the most that all new runs may cost; and that of the run to be planned.
    max_params
        A cap: a run above it is replaced by one of as many parameters as it allows and as much compute.
    """
    runs = fit.runs
    per = runs.tokens / runs.params
    made = np.asarray(cost.training(runs.params, runs.tokens), dtype=float)
    top = INSIDE * min(spend, budget, FURTHEST * made.max())
    levels = top * STEP ** -np.arange(COMPUTES)
    middle = float(np.exp(np.log(per).mean()))
    least, most = min(middle / RATIO_REACH, per.min()), max(middle * RATIO_REACH, per.max())
    levels = levels[levels >= made.min() / SMALLER]
    price, ratio = (grid.ravel() for grid in np.meshgrid(levels, np.geomspace(least, most, RATIOS)))
    params = np.sqrt(price / 6 / ratio)
    for _ in range(STEPS):  # costs grow about as the square along a ray
        params = params * np.sqrt(price / cost.training(params, ratio * params))
    if max_params is not None:
        params = np.minimum(params, parse_quantity(max_params))
    tokens = np.asarray(cost.tokens_for(price + cost.serving(params), params), dtype=float)
    pairs = zip(params, tokens, strict=True)
    rounded = np.array([[float(f"{value:.3g}") for value in pair] for pair in pairs]).reshape(-1, 2)
    inside = (rounded[:, 1] / rounded[:, 0] > 0.98 * least) & (rounded[:, 1] / rounded[:, 0] < 1.02 * most)
    new = np.unique(rounded[inside & (rounded.min(axis=1) >= 1)], axis=0)
    order = np.argsort(runs.flops)
    again = order[np.unique(np.linspace(0, len(order) - 1, REPLICATES).round().astype(int))]
    both = np.concatenate([new, np.column_stack([runs.params[again], runs.tokens[again]])])
    return Candidates(both[:, 0], both[:, 1], np.zeros(len(both)), ("new",) * len(new) + ("replicate",) * len(again))


def read_candidates(source: Any, fit: Fit) -> Candidates:
    """The user's table: params and tokens, or one of them and flops, and a column "diverges" where there is one.

    Raises
    ------
    DataError
        A column is absent, or a probability does not lie from 0 to below 1.
    """
    found = read_inputs(source, ("params", "tokens"), fit.runs.convention, fit.mean_cost)
    params, tokens = found["params"], found["tokens"]
    if not (np.isfinite(params) & np.isfinite(tokens) & (params > 0) & (tokens > 0)).all():
        raise DataError("a candidate run has params or tokens that are not positive. Correct its row.")
    try:
        diverges = read_columns(source, (DIVERGES,))[DIVERGES]
    except DataError:
        diverges = np.zeros(len(params))
    if not ((diverges >= 0) & (diverges < 1)).all():
        raise DataError(f"column {DIVERGES!r} is a probability from 0 to below 1. Correct its values.")
    return Candidates(params, tokens, diverges, ("given",) * len(params))
