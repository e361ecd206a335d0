"""Posterior predictive checks of named statistics of the residuals: spread, skewness, and correlation along a run."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from scalefit.diagnostics.checks import Check
from scalefit.diagnostics.explained import CLIP, Explained
from scalefit.diagnostics.rows import row_names

REPLICATES = 200
SURE = 2.8, 3.5  # standard deviations of the replicates; along compute, where careful sweeps differ too
LONG_SURE = 4.0
LEAST_FACTOR = 1.6  # of the noise, from one third of the runs to another
LEAST_SKEWNESS, SKEWNESS_SURE = 1.0, 5.0
LEAST_LAG, LONG = 0.4, 8  # correlation, and rows of one size that a curve of one run has at least
EVEN_LAG, EVEN, EVEN_SURE = 0.2, 0.35, 3.0  # the same where tokens lie evenly, as checkpoints do
FEWEST = 4  # pairs of neighbours on each of two sizes
LIKE_SIZE = 0.01  # in ln N

Statistic = Callable[[Float[np.ndarray, "replicate run"]], Float[np.ndarray, " replicate"]]


def check_predictive(found: Explained, axes: Sequence[Any]) -> Iterator[Check]:
    """Compare statistics of the residuals with those of replicates that the model draws.

    Parameters
    ----------
    found
        The residuals, and what law and discrepancy account for.
    axes
        What runs are ordered by, each with `name` and `log`.

    Yields
    ------
    Check
        "spread", "skewness", and "one run" where sizes have several runs each.
    """
    scores, replicates = scores_of(found)
    far = lambda statistic: standardised(statistic, scores, replicates)
    yield _spread(found, axes, scores, far)
    yield _skewness(found, scores, far)
    sizes = axes[-1].log
    order, same = _neighbours(sizes, found.of.at.sum(axis=1))
    if same.sum() >= 2 * FEWEST:
        yield _one_run(found, sizes, order, same, scores, far)


def scores_of(found: Explained) -> tuple[Float[np.ndarray, " run"], Float[np.ndarray, "replicate run"]]:
    """What is left to noise in units of its scale, and the same of replicates."""
    rng, (runs, some) = np.random.default_rng(0), found.basis.shape
    size = np.sqrt(max(float(found.gaussian @ found.whiten(found.gaussian)) / runs, 1e-12))
    normal = rng.standard_normal((some, REPLICATES)), rng.standard_normal((runs, REPLICATES))
    drawn = size * (found.basis @ normal[0] + normal[1] * found.sigma)
    if found.shared is not None:
        of_clusters = rng.standard_normal((int(found.shared.groups.max()) + 1, REPLICATES))
        drawn += size * found.shared.scale * of_clusters[found.shared.groups]
    left = [np.clip(found.whiten(y) / found.sigma, -CLIP, CLIP) for y in (found.gaussian, drawn)]
    return left[0], left[1].T


def standardised(statistic: Statistic, scores: np.ndarray, replicates: np.ndarray) -> tuple[float, float]:
    """A statistic, and how many standard deviations of the replicates' it lies off theirs."""
    own, others = float(statistic(scores[None])[0]), statistic(replicates)
    return own, (own - others.mean()) / max(float(others.std()), 1e-9)


def _spread(found: Explained, axes: Sequence[Any], scores: np.ndarray, far: Any) -> Check:
    """The noise of the thirds of the runs at either end of each axis."""
    worst = 0.0, 1.0, axes[0], False
    for axis in axes:
        ranks = np.argsort(np.argsort(axis.log, kind="stable")) / len(scores) - 0.5
        low, high = ranks < -1 / 6, ranks > 1 / 6
        ratio = lambda g, low=low, high=high: _size(g[:, high]) - _size(g[:, low])
        along = lambda g, ranks=ranks: _correlation(np.abs(g), ranks)
        compute, factor = axis.name == "compute", float(np.exp(ratio(scores[None])[0]))
        z = max((far(statistic)[1] for statistic in (along, ratio)[: 1 if compute else 2]), key=abs)
        bad = abs(z) >= SURE[compute] and max(factor, 1 / factor) >= LEAST_FACTOR
        worst = max(worst, (z, factor, axis, bad), key=lambda w: (w[3], abs(w[0])))
    z, factor, axis, bad = worst
    if not bad:
        return Check("spread", "ok", z, "the noise is about as large among small runs as among large ones.")
    more, less = ("most", "least") if factor > 1 else ("least", "most")
    cut = np.quantile(axis.log, 2 / 3 if factor > 1 else 1 / 3)
    noisy = (axis.log >= cut) if factor > 1 else (axis.log <= cut)
    sentence = (
        f"the noise is {max(factor, 1 / factor):.1f} times as large in the third of the runs with {more} {axis.name} "
        f"as in that with {less}, mostly in {row_names(found.of.rows, np.abs(scores) * noisy)}. Tune all runs alike, "
        "or leave out those that are known to be noisy."
    )
    return Check("spread", "review", z, sentence)


def _skewness(found: Explained, scores: np.ndarray, far: Any) -> Check:
    skewness, z = far(lambda g: _moment(g, 3) / _moment(g, 2) ** 1.5)
    if abs(z) < SKEWNESS_SURE or abs(skewness) < LEAST_SKEWNESS:
        return Check("skewness", "ok", skewness, f"the skewness of the residuals is {skewness:.2f}.")
    side, reason = ("above", "as if not tuned") if skewness > 0 else ("below", "as if evaluated on other data")
    sentence = (
        f"many runs lie far {side} the model and few far on the other side (skewness {skewness:.1f}), {reason}, most "
        f"{row_names(found.of.rows, np.sign(skewness) * scores)}. Tune these runs, or leave them out."
    )
    return Check("skewness", "review", skewness, sentence)


def _one_run(found: Explained, sizes: np.ndarray, order: np.ndarray, same: np.ndarray, scores: Any, far: Any) -> Check:
    lag, z = far(lambda g: _lag(g[:, order], same))
    first = np.flatnonzero(np.append(True, ~same))
    length = np.diff(np.append(first, len(order)))
    long = float(np.average(length, weights=length))
    tokens = np.exp((found.of.at.sum(axis=1) / 2)[order])
    curves = [np.diff(tokens[i : i + n]) for i, n in zip(first, length, strict=True) if n >= FEWEST + 1]
    even = np.mean([steps.std() < EVEN * steps.mean() for steps in curves]) if curves else 0.0
    bad = (long >= LONG and lag >= LEAST_LAG and z >= LONG_SURE) or (even > 0.5 and lag >= EVEN_LAG and z >= EVEN_SURE)
    if not bad:
        return Check("one run", "ok", lag, f"residuals of neighbours of one size are correlated by {lag:.2f}.")
    i = int(length.argmax())
    rows = np.isin(np.arange(len(order)), order[first[i] : first[i] + length[i]])
    beyond, remedy = ("", "Name the column of the run in cluster= (--cluster), or keep the last row of each run")
    if found.shared is not None:
        beyond, remedy = " beyond the error that clusters share", "Keep the last row of each run, or fewer of its rows"
    sentence = (
        f"residuals of neighbours of one size are correlated by {lag:.2f}{beyond}, as if rows were checkpoints of one "
        f"run, such as {row_names(found.of.rows, rows)}, so that intervals are too narrow. {remedy}."
    )
    return Check("one run", "review", lag, sentence)


def _neighbours(sizes: Float[np.ndarray, " run"], tokens: Float[np.ndarray, " run"]) -> tuple[np.ndarray, np.ndarray]:
    """Rows in the order of size and then tokens, and whether each is of the size of the one before, (run - 1,)."""
    order = np.lexsort((tokens, np.round(sizes / LIKE_SIZE)))
    return order, np.diff(np.round(sizes / LIKE_SIZE)[order]) == 0


def _size(g: Float[np.ndarray, "replicate run"]) -> Float[np.ndarray, " replicate"]:
    return 0.5 * np.log(np.maximum((g**2).mean(1), 1e-12))


def _lag(g: Float[np.ndarray, "replicate run"], same: np.ndarray) -> Float[np.ndarray, " replicate"]:
    before, after = g[:, :-1][:, same], g[:, 1:][:, same]
    before, after = (each - each.mean(1, keepdims=True) for each in (before, after))
    size = np.sqrt((before**2).sum(1) * (after**2).sum(1))
    return (before * after).sum(1) / np.maximum(size, 1e-12)


def _correlation(
    g: Float[np.ndarray, "replicate run"], x: Float[np.ndarray, " run"]
) -> Float[np.ndarray, " replicate"]:
    g, x = g - g.mean(1, keepdims=True), x - x.mean()
    return g @ x / np.maximum(np.sqrt((g**2).sum(1) * (x @ x)), 1e-12)


def _moment(g: Float[np.ndarray, "replicate run"], order: int) -> Float[np.ndarray, " replicate"]:
    return np.maximum(((g - g.mean(1, keepdims=True)) ** order).mean(1), 1e-12 if order == 2 else -np.inf)
