"""Checks of repeated data: whether the law knows of it, and whether the loss turns up with more tokens."""

from collections.abc import Iterator

import numpy as np

from scalefit.diagnostics.checks import Check
from scalefit.diagnostics.rows import percent, row_names
from scalefit.model.model import BoundModel
from scalefit.runs import Runs

ALIKE = 0.01  # in ln params and ln unique tokens
ONCE = 1.01  # epochs
LEAST_RISE, NOISES = 0.02, 4.0  # of ln loss above the least of its group: more than seeds differ by, and than the noise
LONG = 20  # runs of one size, for each of which two more neighbours count
USUAL_NOISE, FEWEST = 0.005, 6  # of ln loss, where fewer second differences of losses than that tell it


def check_repetition(bound: BoundModel) -> Iterator[Check]:
    """Check a table for repeated tokens that the law takes for new ones, and for overfitting.

    Parameters
    ----------
    bound
        The model bound to its table.

    Yields
    ------
    Check
        "repetition", where a table with unique tokens meets a law without, whose value is the most epochs; and
        "overfitting", where there are runs of one size on several numbers of tokens, whose value is the largest rise.
    """
    runs, law = bound.runs, bound.model.law
    if not {"params", "tokens"} <= set(runs.columns):
        return
    if "unique_tokens" in runs.columns and "unique_tokens" not in law.inputs and {"tokens", "flops"} & set(law.inputs):
        yield _repetition(runs, law.name)
    yield from _overfitting(runs)


def _repetition(runs: Runs, law: str) -> Check:
    epochs = runs.tokens / runs["unique_tokens"]
    repeated = epochs > ONCE
    if not repeated.any():
        return Check("repetition", "ok", float(epochs.max()), "no run repeats its tokens.")
    sentence = (
        f"{row_names(np.arange(len(runs)), repeated)} repeat their unique tokens, up to {epochs.max():.3g} times, and "
        f"the {law} law takes repeated tokens for new ones. Fit the data-constrained law (--law data-constrained)."
    )
    return Check("repetition", "review", float(epochs.max()), sentence)


def _overfitting(runs: Runs) -> Iterator[Check]:
    """Losses of one size and one data set that lie above the least with fewer tokens, and do not come down again."""
    groups = _groups(runs)
    if not groups:
        return
    log_loss = np.log(runs.loss)
    least = max(LEAST_RISE, NOISES * _noise([log_loss[rows] for rows in groups]))
    risen = np.zeros(len(runs))
    for rows in groups:
        values = _smooth(log_loss[rows])
        after = np.arange(len(rows)) > values.argmin()
        # The least of this and of all that follow: a single bad run does not count.
        lasting = np.minimum.accumulate(values[::-1])[::-1] - values.min()
        risen[rows] = np.where(after & (lasting > least), lasting, 0.0)
    if known := "unique_tokens" in runs.columns:
        risen = np.where(runs.tokens > ONCE * runs["unique_tokens"], risen, 0.0)
    if not (risen > 0).any():
        yield Check("overfitting", "ok", 0.0, "at equal N the loss falls with more tokens.")
        return
    where = row_names(np.arange(len(runs)), risen > 0)
    turned = f"the loss turns up with more tokens, by up to {percent(float(np.expm1(risen.max())))}, in {where}"
    if known:
        sentence = (
            f"at equal N and unique tokens {turned}: overfitting, which no law here describes. Leave these runs out, "
            "or give each at its least loss."
        )
    else:
        sentence = (
            f"at equal N {turned}: overfitting, other data or another tuning. Look at these runs, and add the column "
            "unique_tokens where data are repeated."
        )
    yield Check("overfitting", "review", float(risen.max()), sentence)


def _smooth(values: np.ndarray) -> np.ndarray:
    """Running medians of a long group, whose least and last runs are outliers; a short one as it is."""
    from scipy.ndimage import median_filter

    return median_filter(values, 2 * (len(values) // LONG) + 1, mode="nearest")


def _groups(runs: Runs) -> list[np.ndarray]:
    """Rows of one N and one number of unique tokens, where there are three or more, by their tokens."""
    unique = runs["unique_tokens"] if "unique_tokens" in runs.columns else np.ones(len(runs))
    key = np.round(np.log(np.stack([runs.params, unique], axis=1)) / ALIKE)
    _, member = np.unique(key, axis=0, return_inverse=True)
    order = np.lexsort((runs.tokens, member.ravel()))
    found = np.split(order, np.flatnonzero(np.diff(member.ravel()[order])) + 1)
    return [rows for rows in found if len(rows) > 2 and np.ptp(np.log(runs.tokens[rows])) > ALIKE]


def _noise(losses: list[np.ndarray]) -> float:
    """Of ln loss, from second differences along tokens, which a smooth curve leaves small."""
    bends = np.concatenate([np.diff(values, 2) for values in losses])
    return USUAL_NOISE if len(bends) < FEWEST else float(1.4826 * np.median(np.abs(bends)) / np.sqrt(6))
