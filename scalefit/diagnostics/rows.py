"""Rows that no model mends: copies, and losses that rise with size at equal tokens; and how rows are named."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from scalefit._copies import first_alike
from scalefit.diagnostics.checks import Check
from scalefit.errors import shortened
from scalefit.runs import Runs
from scalefit.units import format_count

SHOWN = 6
LABELS = ("name", "run", "run_name", "run_id", "id", "label")
LONGEST_LABEL = 40
ALIKE = 0.02  # in ln tokens
SURE = 3.5  # standard errors of a slope
FEWEST_PAIRS = 5


def check_rows(runs: Runs, params: int = 0) -> Iterator[Check]:
    """Check a table for copies of rows, and for losses that rise with N at equal D.

    Parameters
    ----------
    runs
        The table.
    params
        Of the law, that are to be inferred: with no more different runs than these, a law through all of them.

    Yields
    ------
    Check
        "copies", and "size" where runs of several sizes have the same number of tokens.
    """
    yield _copies(runs, params)
    if {"params", "tokens"} <= set(runs.columns):
        yield from _size(runs)


def _copies(runs: Runs, params: int) -> Check:
    rows = np.arange(len(runs))
    first = first_alike(runs.columns)
    again = first != rows
    if not again.any():
        return Check("copies", "ok", 0, "no row is a copy of another.")
    sentence = (
        f"{row_names(rows, again)} repeat other rows in every number, up to {np.bincount(first).max()} times, so "
        "that intervals are too narrow. Remove the copies."
    )
    different = len(runs) - int(again.sum())
    if different <= params:
        sentence += f" The {different} different runs cannot determine the {params} parameters of the law. Add runs."
        return Check("copies", "fail", int(again.sum()), sentence)
    return Check("copies", "review", int(again.sum()), sentence)


def _size(runs: Runs) -> Iterator[Check]:
    """The slope of ln loss in ln N among runs of equal D."""
    groups = np.round(np.log(runs.tokens) / ALIKE).astype(int)
    _, groups = np.unique(groups, return_inverse=True)
    count = np.bincount(groups)
    log_n, log_loss = (
        v - np.bincount(groups, v)[groups] / count[groups] for v in map(np.log, (runs.params, runs.loss))
    )
    pairs, square = len(runs) - len(count), float(log_n @ log_n)
    if pairs < FEWEST_PAIRS or square / pairs < 0.05:
        return
    slope = float(log_n @ log_loss) / square
    error = float(np.sqrt(((log_loss - slope * log_n) ** 2).sum() / (pairs * square)))
    if slope <= SURE * error:
        yield Check("size", "ok", slope, "at equal tokens the loss falls with N.")
        return
    worst = (log_n > 0) & (log_loss > 0)
    sentence = (
        f"at equal tokens the loss rises with N, by {10**slope - 1:.1%} for ten times N, in "
        f"{row_names(np.arange(len(runs)), worst)} (N from {format_count(runs.params[worst].min())}), which no scaling "
        "law describes. Tune the larger models, or look for overfitting."
    )
    yield Check("size", "fail", slope, sentence)


def row_names(rows: Any, which: Any) -> str:
    """Rows in words, counted from 1.

    Parameters
    ----------
    rows
        Of the table, counted from 0, (run,).
    which
        A mask (run,), whose rows are all meant, or numbers (run,), whose largest are.
    """
    which = np.asarray(which)
    if which.dtype != bool:
        meant, more = np.sort(np.argsort(-which, kind="stable")[:SHOWN]), 0
    else:
        meant = np.flatnonzero(which)
        more = max(0, len(meant) - SHOWN)
    *others, last = [str(int(row) + 1) for row in np.asarray(rows)[meant[: SHOWN if more else None]]]
    if more:
        return f"rows {', '.join([*others, last])} and {more} more"
    return f"rows {', '.join(others)} and {last}" if others else f"row {last}"


def label_column(runs: Runs) -> str | None:
    """The text column by which rows are known: the first whose values are all different, those of `LABELS` before."""
    texts = [name for name, values in runs.columns.items() if values.dtype.kind == "U"]
    own = [name for name in texts if len(np.unique(runs[name])) == len(runs)]
    return min(own, key=lambda name: (name.lower() not in LABELS, own.index(name)), default=None)


def row_label(runs: Runs, row: int) -> str:
    """A row in words, counted from 1, with its label where the table has labels."""
    column = label_column(runs)
    return f"row {row + 1}" + (f" {shortened(str(runs[column][row]), LONGEST_LABEL)}" if column else "")


def percent(share: float) -> str:
    """A share with two digits."""
    return f"{100 * share:.2g}%"
