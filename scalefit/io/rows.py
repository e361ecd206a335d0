"""Which rows are runs: those that have no loss, diverged or have not finished are left out and counted."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool

from scalefit.errors import DataError
from scalefit.io.aliases import with_role
from scalefit.io.cells import is_diverged, is_missing
from scalefit.io.columns import Chosen

if TYPE_CHECKING:
    import pandas as pd

_UNFINISHED = frozenset({
    "running", "crashed", "failed", "failure", "killed", "preempted", "preempting", "pending", "scheduled", "queued",
    "canceled", "cancelled", "aborted", "stopped", "timeout", "oom", "diverged", "error", "incomplete", "unfinished",
    "interrupted", "out_of_memory", "node_fail", "nan",
})  # fmt: skip
_NO, _YES = frozenset({"false", "no", "0", "0.0"}), frozenset({"true", "yes", "1", "1.0"})


def finished_rows(
    frame: "pd.DataFrame", chosen: Chosen, keep_unfinished: bool, table: str
) -> tuple["pd.DataFrame", list[str]]:
    """Leave out rows that are no finished run with a loss.

    Parameters
    ----------
    frame
        The table under canonical names, plain.
    chosen
        Its columns.
    keep_unfinished
        Whether runs that have a loss are kept although they have not finished, or are marked as diverged.
    table
        What the table is called.

    Returns
    -------
    frame : pandas.DataFrame
        The rows of finished runs; the index has their places in the source.
    notes : list of str
        How many rows were left out, and why.

    Raises
    ------
    DataError
        No row is left.
    """
    none = np.zeros(len(frame), dtype=bool)
    unfinished = none if keep_unfinished else _unfinished(frame, chosen)
    loss = frame["loss"].to_numpy()
    if loss.dtype.kind == "f":
        missing, diverged = np.isnan(loss), np.isinf(loss)
    else:
        missing = np.array([is_missing(value) for value in loss], dtype=bool)
        diverged = np.array([is_diverged(value) for value in loss], dtype=bool)
    diverged = diverged | (none if keep_unfinished else _marked(frame, "diverged"))
    reasons = {
        "not finished": unfinished,
        "without a loss": missing & ~unfinished,
        "diverged": diverged & ~unfinished & ~missing,
    }
    counts = {reason: int(rows.sum()) for reason, rows in reasons.items() if rows.any()}
    if not counts:
        return frame, []
    said = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    keep = ~(unfinished | missing | diverged)
    if not keep.any():
        raise DataError(
            f"{table}: the table has no runs that finished with a loss ({said}). Add one, or keep these with "
            "keep_unfinished=True (--keep-unfinished)."
        )
    remedy = "; keep_unfinished=True (--keep-unfinished) keeps runs with a loss" if unfinished.any() else ""
    return frame[keep], [f"{len(frame) - int(keep.sum())} row(s) are left out: {said}{remedy}"]


def _unfinished(frame: "pd.DataFrame", chosen: Chosen) -> Bool[np.ndarray, " run"]:
    """Rows whose state is none of a finished run, or that are not marked as finished."""
    taken = {"params", "tokens", "flops", "loss", *chosen.given}
    names = [str(name) for name in frame.columns if name not in taken]
    found = np.zeros(len(frame), dtype=bool)
    for role, words in (("state", _UNFINISHED), ("finished", _NO)):
        if column := with_role(names, role):
            found |= _one_of(frame[column], words)
    return found


def _marked(frame: "pd.DataFrame", role: str) -> Bool[np.ndarray, " run"]:
    """Rows that a column of marks says yes of."""
    column = with_role([str(name) for name in frame.columns], role)
    if column is None:
        return np.zeros(len(frame), dtype=bool)
    return _one_of(frame[column], _YES)


def _one_of(column: Any, words: frozenset[str]) -> Bool[np.ndarray, " run"]:
    import pandas as pd

    codes, kinds = pd.factorize(column, use_na_sentinel=False)  # a state is one of a few words
    return np.array([_word(kind) in words for kind in kinds], dtype=bool)[codes]


def _word(value: Any) -> str:
    return "" if value is None or value != value else str(value).strip().lower().replace(" ", "_")
