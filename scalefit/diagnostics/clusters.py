"""Do rows share errors? By the clusters that the table names, or else by those that its columns suggest.

Where no cluster is named, rows may still be checkpoints of one run, repeated seeds or several evaluations of a run. The
correlation of residuals within such groups is compared with that of tables that the model draws: beyond `SURE` of their
standard deviations it is an alarm, in less than .2 % of tables of the model itself.
"""

import re
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from scalefit.diagnostics.checks import Check
from scalefit.diagnostics.explained import Explained
from scalefit.diagnostics.predictive import scores_of, standardised
from scalefit.diagnostics.rows import percent, row_names
from scalefit.runs import Runs

SURE, LEAST = 5.0, 0.2  # standard deviations of the replicates, and correlation within groups
FEWEST = 4  # groups of several rows
LIKE = re.compile(
    r"(^|[_\W])(run|runs|seed|id|uid|uuid|name|label|exp|experiment|checkpoint|ckpt|trial|replicate|job)s?([_\W]|$)",
    re.I,
)
INPUTS = ("params", "tokens")


def check_clusters(runs: Runs, found: Explained) -> Iterator[Check]:
    """Check that rows share no error but that of clusters.

    Parameters
    ----------
    runs
        The table.
    found
        Its residuals, and what law, discrepancy and clusters account for.

    Yields
    ------
    Check
        "clusters", whose value is the scale of the shared error over that of a run's own, where clusters are named;
        else the correlation within the groups that there may be; none where there are none.
    """
    if found.shared is not None:
        yield _named(runs, found)
        return
    groups = {name: np.unique(codes[found.of.rows], return_inverse=True)[1] for name, codes in _suggested(runs).items()}
    groups = {name: codes for name, codes in groups.items() if (np.bincount(codes) > 1).sum() >= FEWEST}
    if not groups:
        return
    scores, replicates = scores_of(found)
    tested = {
        name: standardised(lambda g, codes=codes: _within(g, codes), scores, replicates)  # type: ignore[misc]
        for name, codes in groups.items()
    }
    name = max(tested, key=lambda each: tested[each][1])
    correlation, z = tested[name]
    codes = groups[name]
    which = row_names(found.of.rows, codes == np.bincount(codes).argmax())
    by = f"the same {name}" if name in runs.columns else "the same params and tokens"
    if z < SURE or correlation < LEAST:
        sentence = f"rows with {by}, such as {which}, share no error beyond the model (correlation {correlation:.2f})."
        yield Check("clusters", "ok", correlation, sentence)
        return
    remedy = (
        f"Give cluster={name!r} (--cluster {name})"
        if name in runs.columns
        else ("Name the column of the run in cluster= (--cluster), or keep one row of each")
    )
    sentence = (
        f"residuals of rows with {by}, such as {which}, are correlated by {correlation:.2f}, as checkpoints, seeds or "
        f"evaluations of one run are, so that intervals are too narrow. {remedy}."
    )
    yield Check("clusters", "review", correlation, sentence)


def _named(runs: Runs, found: Explained) -> Check:
    assert found.shared is not None, "the table names clusters"
    by, several = ", ".join(runs.cluster), (np.bincount(found.shared.groups) > 1).sum()
    ratio = found.shared.scale / found.sigma
    if several < FEWEST:
        sentence = (
            f"{several} clusters by {by} have several rows, too few to tell the error that they share from that of "
            "single rows. Name another column, or leave it out."
        )
        return Check("clusters", "review", ratio, sentence)
    sentence = (
        f"rows of one {by} share an error of {percent(found.shared.scale)} of the loss, beside {percent(found.sigma)} "
        "of their own."
    )
    return Check("clusters", "ok", ratio, sentence)


def _suggested(runs: Runs) -> dict[str, Int[np.ndarray, " run"]]:
    """Groups of rows that may share an error, by the column that says so, or by their inputs."""
    found = {}
    inputs = [runs[name] for name in INPUTS if name in runs.columns]
    if len(inputs) == len(INPUTS):
        found[" and ".join(INPUTS)] = np.unique(np.stack(inputs), axis=1, return_inverse=True)[1].reshape(-1)
    for name, values in runs.columns.items():
        if LIKE.search(name):
            found[name] = np.unique(values, return_inverse=True)[1]
    return found


def _within(g: Float[np.ndarray, "replicate run"], codes: Int[np.ndarray, " run"]) -> Float[np.ndarray, " replicate"]:
    """Mean product of residuals of two rows of one group, over their mean square."""
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes)
    starts = np.cumsum(counts) - counts
    sums = np.add.reduceat(g[:, order], starts, axis=1)
    squares = np.add.reduceat(g[:, order] ** 2, starts, axis=1)
    pairs = counts > 1
    products = (sums[:, pairs] ** 2 - squares[:, pairs]).sum(axis=1) / (counts * (counts - 1.0)).sum()
    return products / np.maximum((g**2).mean(axis=1), 1e-12)
