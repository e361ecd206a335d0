"""R-hat, effective sample sizes and Monte Carlo errors.

NumPyro's estimators on rank-normalised half chains, all quantities at once: ArviZ's figures, which the tests compare,
without the seconds that importing ArviZ takes.

References
----------
Vehtari et al. 2021 (arXiv 1903.08008).
"""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from scalefit._intervals import interval
from scalefit._tables import INTERVAL
from scalefit.diagnostics.checks import Draws, Health, Stats
from scalefit.numerics.effective import effective_draws

if TYPE_CHECKING:
    import pandas as pd

FIGURES = ("r_hat", "ess_bulk", "ess_tail", "mcse_median")
ONE_SD_BELOW, ONE_SD_ABOVE = 0.1586553, 0.8413447  # of a normal distribution, in probability


def convergence(quantities: Draws, stats: Stats | None = None) -> dict[str, dict[str, float]]:
    """Rank-normalised split R-hat, bulk and tail ESS, and the standard error of the median.

    Parameters
    ----------
    quantities
        Quantity -> draws (chain, draw).
    stats
        The sampler's own numbers. Where they say that the draws are resampled from one weighted sample, the ESS is that
        of the weights, and there is no R-hat: parts of one sample cannot disagree.

    Returns
    -------
    dict
        Quantity -> figure -> number, figures being those of `FIGURES`. Constant draws, as of a point fit, give NaN.
    """
    names = list(quantities)
    draws = np.stack([np.asarray(quantities[name], dtype=float) for name in names], axis=-1)
    figures = np.full((len(FIGURES), len(names)), np.nan)
    moving = np.ptp(draws, axis=(0, 1)) > 0
    if draws.shape[1] >= 4 and moving.any():
        moved = draws[..., moving]
        figures[:, moving] = _weighted_figures(moved, stats) if stats and is_weighted(stats) else _figures(moved)
    return {name: dict(zip(FIGURES, map(float, figures[:, i]), strict=True)) for i, name in enumerate(names)}


def is_weighted(stats: Stats) -> bool:
    """Whether draws with these statistics are resampled from one weighted sample."""
    return "pareto_k" in stats


def known_stats(health: Health) -> Stats:
    """What the health of draws says of their statistics: whether they are resampled from one weighted sample."""
    weighted = [np.array([check.value]) for check in health.checks if check.name == "Pareto k"]
    return {"pareto_k": weighted[0]} if weighted else {}


def _weighted_figures(
    draws: Float[np.ndarray, "chain draw quantity"], stats: Stats
) -> Float[np.ndarray, "figure quantity"]:
    if "log_weight" not in stats:
        return np.concatenate([np.full((1, draws.shape[-1]), np.nan), _figures(draws)[1:]])
    flat = draws.reshape(-1, draws.shape[-1])
    ordered = np.sort(flat, axis=0)
    log_weight, k = np.ravel(stats["log_weight"]).astype(float), float(np.ravel(stats["pareto_k"])[0])

    def ess_below(prob: float) -> np.ndarray:
        return effective_draws((flat <= np.quantile(ordered, prob, axis=0)).astype(float), log_weight, k)

    bulk = effective_draws(_normal_scores(draws).reshape(flat.shape), log_weight, k)
    tail = np.minimum(ess_below(0.05), ess_below(0.95))
    return np.stack([np.full(len(bulk), np.nan), bulk, tail, _median_error(ordered, ess_below(0.5))])


def _figures(draws: Float[np.ndarray, "chain draw quantity"]) -> Float[np.ndarray, "figure quantity"]:
    from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

    half = draws.shape[1] // 2
    halves = np.concatenate([draws[:, :half], draws[:, -half:]])
    ordered = np.sort(draws.reshape(-1, draws.shape[-1]), axis=0)

    def ess_below(prob: float) -> np.ndarray:
        return effective_sample_size((halves <= np.quantile(ordered, prob, axis=0)).astype(float))

    folded = np.abs(draws - np.median(draws, axis=(0, 1)))
    worse_r_hat = np.maximum(*(split_gelman_rubin(_normal_scores(each)) for each in (draws, folded)))
    bulk = effective_sample_size(_normal_scores(halves))
    tail = np.minimum(ess_below(0.05), ess_below(0.95))
    return np.stack([worse_r_hat, bulk, tail, _median_error(ordered, ess_below(0.5))])


def _normal_scores(draws: Float[np.ndarray, "chain draw quantity"]) -> Float[np.ndarray, "chain draw quantity"]:
    """Normal quantiles of the ranks over all chains; ties share their mean rank."""
    from scipy.special import ndtri

    flat = draws.reshape(-1, draws.shape[-1])
    ranks = np.stack([_mean_ranks(column) for column in flat.T], axis=-1)
    return ndtri((ranks - 0.375) / (len(flat) + 0.25)).reshape(draws.shape)


def _mean_ranks(values: Float[np.ndarray, " draw"]) -> Float[np.ndarray, " draw"]:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def _median_error(
    ordered: Float[np.ndarray, "draw quantity"], ess: Float[np.ndarray, " quantity"]
) -> Float[np.ndarray, " quantity"]:
    """Half the distance of the order statistics one standard error either side of the median (ibid., section 4.4)."""
    from scipy.special import betaincinv

    ends = [betaincinv(0.5 * ess + 1, 0.5 * ess + 1, p) for p in (ONE_SD_BELOW, ONE_SD_ABOVE)]
    places = np.nan_to_num(np.asarray(ends)) * len(ordered) - np.array([[1], [0]])
    rows = np.clip(places, 0, len(ordered) - 1).astype(int)
    low, high = np.take_along_axis(ordered, rows, axis=0)
    return np.where(np.isnan(ess), np.nan, (high - low) / 2)


def chain_table(draws: Draws, prob: float = 0.9, stats: Stats | None = None) -> "pd.DataFrame":
    """Intervals of quantities, and how well the chains mixed.

    Parameters
    ----------
    draws
        Quantity -> draws (chain, draw).
    prob
        Probability of every interval, equal-tailed.
    stats
        The sampler's own numbers, as for `convergence`.

    Returns
    -------
    pandas.DataFrame
        Rows: quantities. Columns: median, lower, upper, ess_bulk, ess_tail, r_hat (NaN for one weighted sample),
        mcse_median.
    """
    import pandas as pd

    rows = convergence(draws, stats)
    for name, values in draws.items():
        rows[name] |= dict(zip(INTERVAL, interval(values, prob, axis=(0, 1)), strict=True))
    columns = [*INTERVAL, "ess_bulk", "ess_tail", "r_hat", "mcse_median"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("quantity")
