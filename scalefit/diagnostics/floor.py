"""Is the law's floor E still moving? Whether it falls when the runs of most compute are added."""

from collections.abc import Iterator

import numpy as np

from scalefit.diagnostics.checks import Check, grade
from scalefit.diagnostics.explained import Explained
from scalefit.model.model import BoundModel

MOST_COMPUTE = 1 / 3  # of the runs, that are left out
HALF_90, SURE = 1.645, 2.58  # standard deviations: half a 90 % interval, and one case in two hundred


def check_floor(bound: BoundModel, found: Explained) -> Iterator[Check]:
    """Check whether E falls by more than its interval when the third of the runs of most compute is added.

    Both by generalised least squares under noise and discrepancy. The estimate from all runs is efficient, so that the
    variance of the difference is the difference of the variances.

    Parameters
    ----------
    bound
        The model bound to its table.
    found
        The residuals, and what law and discrepancy account for.

    Yields
    ------
    Check
        "floor", whose value is the fall in nats; none for a law without E.

    References
    ----------
    Hausman 1978, Econometrica 46, 1251.
    """
    names = bound.model.law_space.names
    compute = found.of.at[:, 0]
    fewer = np.flatnonzero(compute <= np.quantile(compute, 1 - MOST_COMPUTE))
    if "E" not in names or len(fewer) <= 2 * len(names):
        return
    i = names.index("E")
    (some, some_variance), (every, variance) = (found.estimate(i, rows) for rows in (fewer, slice(None)))
    fall, apart = some - every, np.sqrt(max(some_variance - variance, 1e-12))
    moving = fall > max(HALF_90 * np.sqrt(variance), SURE * apart)
    space, of = bound.model.law_space, found.of
    at = {"E": of.mode[i] + of.width[i] * np.array([some, every])}
    before, after = np.asarray(space.constrain(at)["E"], dtype=float) * bound.unit["loss"]
    sentence = (
        f"by {found.model}, E is {before:.3f} without the third of the runs of most compute, and {after:.3f} with them"
    )
    if moving:
        sentence += (
            ", a fall beyond its interval, so that E may fall further with more compute. "
            "Take E and answers far beyond the data as upper limits, and add runs of more compute"
        )
    yield Check("floor", grade(fall, not moving, True), before - after, f"{sentence}.")
