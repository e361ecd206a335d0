"""Histories: logs with a row for each step become one row a run, at its last evaluation or its smallest loss."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from scalefit.errors import OptionError, quoted
from scalefit.io.aliases import recognise, stated_convention, with_role
from scalefit.io.formats import Logged

if TYPE_CHECKING:
    import pandas as pd

HOW = ("last", "minimum", "all")


class Steps(NamedTuple):
    """Which columns of a history are its runs and its steps; None where there is no column of runs."""

    run: str | None
    step: str


def check_history(how: str | None) -> None:
    """Refuse a way of shortening histories that there is not."""
    if how is not None and how not in HOW:
        raise OptionError(f"history {how!r} is unknown. Choose {', '.join(map(repr, HOW))}.")


def find_steps(logged: Logged, asked: bool) -> Steps | None:
    """Where a table is a history: steps that rise within each run, and no tokens or compute in each row.

    Parameters
    ----------
    logged
        The table.
    asked
        Whether the user asks for one row a run; then tokens in each row do not matter.

    Returns
    -------
    Steps or None
        None for a table of runs.
    """
    columns = list(logged.frame.columns)
    step = with_role(columns, "step")
    if step is None or len(logged.frame) < 2:
        return None
    run = with_role([column for column in columns if column != step], "run")
    if not (logged.history or asked):
        quantities = {found[0] for column in columns if (found := recognise(column))}
        if quantities & {"tokens", "flops"} or len(logged.frame) < 3:
            return None
    steps = _numbers(logged.frame[step])
    if not logged.history and not np.isfinite(steps).all():
        return None
    if run is None:
        rises = np.diff(steps[np.isfinite(steps)])
        return Steps(None, step) if (rises >= 0).all() and (rises > 0).any() and one_size(logged.frame) else None
    codes = _codes(logged.frame, run)
    order = np.argsort(codes, kind="stable")
    same = codes[order][1:] == codes[order][:-1]
    rises = np.diff(steps[order])[same]
    if same.any() and (logged.history or ((rises >= 0).all() and (rises > 0).any())):
        return Steps(run, step)
    return None


def one_size(frame: "pd.DataFrame") -> bool:
    """Whether no column of parameters has more than one value: rows may then be of one run."""
    sizes = [c for c in frame.columns if stated_convention(c) or (recognise(c) or ("",))[0] == "params"]
    return all(frame[column].nunique() <= 1 for column in sizes)


def one_row_a_run(frame: "pd.DataFrame", steps: Steps, loss: str | None, how: str) -> "pd.DataFrame":
    """The row of each run's last, or smallest, loss; what other rows of the run log is carried forward to it.

    Parameters
    ----------
    frame
        The history.
    steps
        Its columns of runs and steps.
    loss
        Its column of losses; None takes each run's last row.
    how
        "last" or "minimum".

    Returns
    -------
    pandas.DataFrame
        One row a run, in the order in which runs first come.
    """
    codes = _codes(frame, steps.run)
    order = np.lexsort((_numbers(frame[steps.step]), codes))
    ordered, codes = frame.iloc[order], codes[order]
    groups = ordered.groupby(codes, sort=False)
    # Constants of a run may be logged once, before or after.
    filled = groups.ffill()
    constant = groups.nunique() <= 1
    for column in filled.columns:
        if filled[column].isna().any() and constant[column].all() and column != loss:
            filled[column] = filled.groupby(codes)[column].bfill()
    rows = np.arange(len(ordered))
    values = _numbers(ordered[loss]) if loss else rows.astype(float)
    usable = np.isfinite(values)
    chosen = []
    for mine in np.split(rows, np.flatnonzero(np.diff(codes)) + 1):
        good = mine[usable[mine]]
        if not good.size:
            chosen.append(mine[-1])
        else:
            chosen.append(good[-1] if how == "last" else good[np.argmin(values[good])])
    picked = filled.iloc[chosen].copy()
    if loss:
        picked[loss] = ordered[loss].iloc[chosen]
    return picked.reset_index(drop=True)


def history_note(steps: Steps, loss: str | None, how: str) -> str:
    """What the rows of a history were shortened by, the end of a sentence."""
    where = "at its last loss" if how == "last" else "at its smallest loss"
    by = f" by {quoted(steps.run)}" if steps.run else ""
    return f"{by}, each {where}{f' {quoted(loss)}' if loss else ''}"


def _codes(frame: "pd.DataFrame", run: str | None) -> np.ndarray:
    """The number of each row's run, in the order in which runs first come; rows without a name are one run."""
    import pandas as pd

    return pd.factorize(frame[run].map(str))[0] if run else np.zeros(len(frame), dtype=int)


def _numbers(column: Any) -> np.ndarray:
    import pandas as pd

    return pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)
