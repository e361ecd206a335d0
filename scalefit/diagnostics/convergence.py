"""R-hat, effective sample sizes and Monte Carlo errors (Vehtari et al. 2021, arXiv 1903.08008).

NumPyro's estimators on rank-normalised half chains, all quantities at once: ArviZ's figures, which the tests compare,
without the seconds that importing ArviZ takes.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from scalefit._intervals import interval
from scalefit._tables import INTERVAL

if TYPE_CHECKING:
    import pandas as pd

if TYPE_CHECKING:
    pass


FIGURES = ("r_hat", "ess_bulk", "ess_tail", "mcse_median")


def superchains(stats: Mapping[str, np.ndarray]) -> int | None:
    """How many groups of chains began at one point each, None where every chain began at its own."""
    return len(np.unique(stats["superchain"])) if "superchain" in stats else None


def convergence(quantities: Mapping[str, np.ndarray], superchains: int | None = None) -> dict[str, dict[str, float]]:
    """Rank-normalised split R-hat, bulk and tail ESS, and the standard error of the median, of each quantity.

    quantities : name -> (chain, draw). superchains : where this many consecutive groups of chains each began at one
    point, the nested R-hat instead, made for many short chains. Constant draws, as of a point fit, give NaN.
    """
    names = list(quantities)
    draws = np.stack([np.asarray(quantities[name], dtype=float) for name in names], axis=-1)
    figures = np.full((len(FIGURES), len(names)), np.nan)
    moving = np.ptp(draws, axis=(0, 1)) > 0
    if draws.shape[1] >= 4 and moving.any():
        figures[:, moving] = _figures(draws[..., moving], superchains)
    return {name: dict(zip(FIGURES, map(float, figures[:, i]), strict=True)) for i, name in enumerate(names)}


def _figures(draws: np.ndarray, superchains: int | None) -> np.ndarray:
    """(figure, quantity) for draws (chain, draw, quantity)."""
    from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

    halves, ordered = _halves(draws), np.sort(draws.reshape(-1, draws.shape[-1]), axis=0)
    folded = np.abs(draws - np.median(draws, axis=(0, 1)))
    scores = _normal_scores(draws), _normal_scores(folded)
    r_hat = np.maximum(*(split_gelman_rubin(s) if superchains is None else nested(s, superchains) for s in scores))

    def ess_below(value: np.ndarray) -> np.ndarray:
        return effective_sample_size((halves <= value).astype(float))

    tail = np.minimum(*(ess_below(q) for q in np.quantile(ordered, [0.05, 0.95], axis=0)))
    middle = _median_error(ordered, ess_below(np.quantile(ordered, 0.5, axis=0)))
    return np.stack([r_hat, effective_sample_size(_normal_scores(halves)), tail, middle])


def nested(draws: np.ndarray, superchains: int) -> np.ndarray:
    """Nested R-hat (Margossian et al. 2024, arXiv 2110.13017, equation 9) of draws (chain, draw, quantity)."""
    grouped = draws.reshape(superchains, -1, *draws.shape[1:])
    chains = grouped.mean(axis=2)
    within = chains.var(axis=1, ddof=1) + grouped.var(axis=2, ddof=1).mean(axis=1)
    return np.sqrt(1 + chains.mean(axis=1).var(axis=0, ddof=1) / within.mean(axis=0))


def _halves(draws: np.ndarray) -> np.ndarray:
    half = draws.shape[1] // 2
    return np.concatenate([draws[:, :half], draws[:, -half:]])


def _normal_scores(draws: np.ndarray) -> np.ndarray:
    """Normal quantiles of the ranks over all chains; ties share their mean rank."""
    from scipy.special import ndtri

    flat = draws.reshape(-1, draws.shape[-1])
    ranks = np.stack([_mean_ranks(column) for column in flat.T], axis=-1)
    return ndtri((ranks - 0.375) / (len(flat) + 0.25)).reshape(draws.shape)


def _mean_ranks(values: np.ndarray) -> np.ndarray:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def _median_error(ordered: np.ndarray, ess: np.ndarray) -> np.ndarray:
    """Half the distance of the order statistics one standard error either side of the median (ibid., section 4.4)."""
    from scipy.special import betaincinv

    ends = [betaincinv(0.5 * ess + 1, 0.5 * ess + 1, p) for p in (0.1586553, 0.8413447)]
    places = np.nan_to_num(np.asarray(ends)) * len(ordered) - np.array([[1], [0]])
    rows = np.clip(places, 0, len(ordered) - 1).astype(int)
    low, high = np.take_along_axis(ordered, rows, axis=0)
    return np.where(np.isnan(ess), np.nan, (high - low) / 2)


def chain_table(draws: Mapping[str, np.ndarray], prob: float = 0.9, superchains: int | None = None) -> "pd.DataFrame":
    """Rows: quantities, name -> (chain, draw); columns median, lower, upper, and how well the chains mixed."""
    import pandas as pd

    rows = convergence(draws, superchains)
    for name, values in draws.items():
        rows[name] |= dict(zip(INTERVAL, interval(values, prob, axis=(0, 1)), strict=True))
    columns = [*INTERVAL, "ess_bulk", "ess_tail", "r_hat", "mcse_median"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("quantity")
