"""Which rows are runs: those that are not finished, diverged or have no loss are left out and counted."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool

from scalefit.errors import DataError
from scalefit.io.aliases import with_role
from scalefit.io.cells import is_diverged, is_missing
from scalefit.io.columns import Chosen

if TYPE_CHECKING:
    import pandas as pd

_FINISHED = frozenset({"finished", "complete", "completed", "done", "success", "succeeded", "ok", "true", "1", "1.0"})
_UNFINISHED = frozenset({
    "running", "crashed", "failed", "failure", "killed", "preempted", "preempting", "pending", "scheduled", "queued",
    "canceled", "cancelled", "aborted", "stopped", "timeout", "oom", "diverged", "error", "incomplete", "unfinished",
    "interrupted", "out_of_memory", "node_fail", "false", "0", "0.0", "nan",
})  # fmt: skip


def finished_rows(frame: "pd.DataFrame", chosen: Chosen, table: str) -> tuple["pd.DataFrame", list[str]]:
    """Leave out rows that are no finished run.

    Parameters
    ----------
    frame
        The table under canonical names, plain.
    chosen
        Its columns.
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
    unfinished = _unfinished(frame, chosen)
    loss = frame["loss"].to_numpy()
    if loss.dtype.kind == "f":
        missing, diverged = np.isnan(loss), np.isinf(loss)
    else:
        missing = np.array([is_missing(value) for value in loss], dtype=bool)
        diverged = np.array([is_diverged(value) for value in loss], dtype=bool)
    reasons = {
        "not finished": unfinished,
        "without a loss": missing & ~unfinished,
        "diverged": diverged & ~unfinished,
    }
    counts = {reason: int(rows.sum()) for reason, rows in reasons.items() if rows.any()}
    if not counts:
        return frame, []
    said = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    keep = ~(unfinished | missing | diverged)
    if not keep.any():
        raise DataError(f"{table}: the table has no runs that finished with a loss ({said}). Add one.")
    left_out = len(frame) - int(keep.sum())
    return frame[keep], [f"{left_out} row(s) are left out: {said}; keep_unfinished=True (--keep-unfinished) keeps them"]


def _unfinished(frame: "pd.DataFrame", chosen: Chosen) -> Bool[np.ndarray, " run"]:
    """Rows whose state says that the run has not finished; a column with other words is no state."""
    none = np.zeros(len(frame), dtype=bool)
    taken = {"params", "tokens", "flops", "loss", *chosen.given}
    column = with_role([str(name) for name in frame.columns if name not in taken], "state")
    if column is None:
        return none
    states = [_state(value) for value in frame[column]]
    known = {state for state in states if state}
    if not known <= _FINISHED | _UNFINISHED:
        return none
    return np.array([state in _UNFINISHED for state in states], dtype=bool)


def _state(value: Any) -> str:
    return "" if value is None or value != value else str(value).strip().lower().replace(" ", "_")
