"""What looks like a mistake: counts that cannot be counts are refused, rows that repeat are warned of."""

from collections.abc import Mapping

import numpy as np

from scalefit._copies import first_alike
from scalefit.counting import flops_6nd
from scalefit.errors import DataError
from scalefit.io.columns import Chosen
from scalefit.io.derive import rows_listed

SMALLEST_PARAMS, SMALLEST_TOKENS = 1e4, 1e3
TOKENS_PER_PARAM = (0.01, 1e6)  # of the median run
OVER_6ND = (1e-3, 1e3)  # compute over 6 N D of the median run
USUAL_PARAMS = 1e5
_UNITS = "Write 70M or 7e7, or state the unit in the name, as in 'params (M)'"


def refuse_implausible(columns: Mapping[str, np.ndarray], chosen: Chosen, table: str) -> None:
    """Refuse a table whose counts are in another unit, or whose losses have the wrong sign.

    Parameters
    ----------
    columns
        Name -> values (run,).
    chosen
        Its columns, for their names.
    table
        What the table is called.

    Raises
    ------
    DataError
        All N lie below 1e4, all D below 1e3, the median run's tokens per parameter outside [0.01, 1e6], or its compute
        outside [1e-3, 1e3] times 6 N D.
    """
    for name, smallest in (("params", SMALLEST_PARAMS), ("tokens", SMALLEST_TOKENS)):
        if name in columns and columns[name].max() < smallest:
            raise DataError(
                f"{table}: {chosen.column(name)} are all below {smallest:g} (at most {columns[name].max():.4g}) and "
                f"look like millions or billions. {_UNITS}."
            )
    if {"params", "tokens"} <= set(columns):
        ratio = float(np.median(columns["tokens"] / columns["params"]))
        if not TOKENS_PER_PARAM[0] <= ratio <= TOKENS_PER_PARAM[1]:
            too_many = ratio > 1 and np.median(columns["params"]) > USUAL_PARAMS
            off, other = ("tokens", "params") if ratio < 1 or too_many else ("params", "tokens")
            raise DataError(
                f"{table}: the median is {ratio:.3g} tokens per parameter, so {chosen.column(off)} are in another unit "
                f"than {chosen.column(other)}. {_UNITS}."
            )
    if {"params", "tokens", "flops"} <= set(columns):
        ratio = float(np.median(columns["flops"] / flops_6nd(columns["params"], columns["tokens"])))
        if not OVER_6ND[0] <= ratio <= OVER_6ND[1]:
            raise DataError(
                f"{table}: the median is {ratio:.3g} times 6 N D, so {chosen.column('flops')} are in another unit. "
                "State it in the name, as in 'compute (EFLOP)', or leave the column out."
            )


def refuse_negated(loss: np.ndarray, chosen: Chosen, table: str) -> None:
    """Refuse losses that are all negative: log-likelihoods, a `DataError` that names the column."""
    finite = loss[np.isfinite(loss)]
    if finite.size and (finite < 0).all():
        raise DataError(
            f"{table}: {chosen.column('loss')} is negative in every row, as a log-likelihood is. "
            "Give its negative, which is the loss."
        )


def find_repeats(columns: Mapping[str, np.ndarray]) -> list[str]:
    """A sentence where rows repeat an earlier row in every number.

    Parameters
    ----------
    columns
        Name -> values (run,).

    Returns
    -------
    list of str
        At most one.
    """
    first = first_alike(columns)
    repeats = np.flatnonzero(first != np.arange(len(first)))
    if not repeats.size:
        return []
    return [f"{repeats.size} row(s) repeat an earlier row in every number ({rows_listed(repeats)}); remove the copies"]
