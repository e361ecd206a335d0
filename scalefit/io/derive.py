"""Columns that follow from others: tokens from steps, N from a shape, and the third of N, D and C from two."""

import re
from collections.abc import Mapping
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Shaped

from scalefit.counting import architecture, flops_6nd, params_for, tokens_for
from scalefit.errors import OptionError, quoted
from scalefit.io.aliases import with_role
from scalefit.units import parse_quantity

if TYPE_CHECKING:
    import pandas as pd

Columns = dict[str, Shaped[np.ndarray, " run"]]
PLAUSIBLE_6ND = (0.5, 2.0)  # compute over 6 N D, between common rules of counting
LISTED_ROWS = 10
BATCH_IN_TOKENS = 1e5  # a batch as large as this is of tokens: no language model trains on so many sequences at once
_SIZE = re.compile(r"\d+(?:\.\d+)?\s*[kmb]", re.IGNORECASE)


def from_other_columns(frame: "pd.DataFrame", columns: Mapping[str, np.ndarray]) -> tuple[Columns, list[str]]:
    """Compute tokens and params that the table has no column of, from columns that it has.

    Parameters
    ----------
    frame
        The table under canonical names, plain.
    columns
        Name -> values (run,) of those that were read.

    Returns
    -------
    absent : dict
        Name -> values (run,), for "tokens" and "params" where they could be computed.
    notes : list of str
        A sentence that names what was computed, and how.
    """
    names = [str(name) for name in frame.columns if name not in ("params", "tokens", "flops", "loss")]
    found: Columns = {}
    notes = []
    missing = {"params", "tokens"} - set(columns)
    for name, rule in (("tokens", _tokens), ("params", _params)):
        if name in missing and not ({"flops", *({"params", "tokens"} - {name})} <= {*columns, *found}):
            values, note = rule(frame, names)
            if note:
                found[name] = values
                notes.append(f"{name} were computed {note}")
    if "unique_tokens" not in columns and (own := with_role(names, "epochs")):
        epochs = _numbers(frame[own])
        if np.nanmax(epochs, initial=0.0) > 1:
            notes.append(
                f"column {quoted(own)} exceeds 1, and no column is unique_tokens: laws of fresh data take repeated "
                "tokens for new ones. Add unique_tokens, and fit the data-constrained law"
            )
    return found, notes


def _tokens(frame: "pd.DataFrame", names: list[str]) -> tuple[Any, str]:
    """Steps times tokens of a step, or samples times their length."""
    role = {role: with_role(names, role) for role in ("steps", "batch", "sequence", "batch_tokens", "samples")}
    batch = role["batch"]
    if batch and role["sequence"] and np.nanmedian(_numbers(frame[batch])) >= BATCH_IN_TOKENS:
        role |= {"batch_tokens": role["batch_tokens"] or batch, "batch": None}
    for parts in (("steps", "batch_tokens"), ("samples", "sequence"), ("steps", "batch", "sequence")):
        used = [own for part in parts if (own := role[part])]
        if len(used) == len(parts):
            values = np.prod([_numbers(frame[name]) for name in used], axis=0)
            if _all_positive(values):
                return values, f"as {' x '.join(quoted(name) for name in used)}"
    return None, ""


def _params(frame: "pd.DataFrame", names: list[str]) -> tuple[Any, str]:
    """A size or a published architecture that every row names, or 12 layers width^2."""
    if (name := with_role(names, "size")) and all(isinstance(v, str) and _SIZE.fullmatch(v) for v in frame[name]):
        return _numbers(frame[name]), f"from the sizes in {quoted(name)}"
    if name := with_role(names, "architecture"):
        kinds = dict.fromkeys(frame[name])
        sizes = dict(takewhile(lambda found: found[1] is not None, ((value, _published(value)) for value in kinds)))
        if sizes and len(sizes) == len(kinds):
            values = np.array([sizes[value] for value in frame[name]], dtype=float)
            return values, f"from the published architectures in {quoted(name)}"
    layers, width = with_role(names, "layers"), with_role(names, "width")
    if layers and width:
        values = 12 * _numbers(frame[layers]) * _numbers(frame[width]) ** 2
        if _all_positive(values):
            return values, f"as 12 {quoted(layers)} x {quoted(width)}^2, without embeddings"
    return None, ""


def _published(name: Any) -> int | None:
    if not isinstance(name, str):
        return None
    try:
        return architecture(name.rsplit("/", 1)[-1]).total
    except OptionError:
        return None


def _numbers(column: Any) -> Float[np.ndarray, " run"]:
    if column.dtype.kind == "f":
        return column.to_numpy()
    return np.array([_number(value) for value in column], dtype=float)


def _number(value: Any) -> float:
    try:
        return parse_quantity(value) if value is not None else float("nan")
    except OptionError:
        return float("nan")


def _all_positive(values: Float[np.ndarray, " run"]) -> bool:
    return bool(values.size and np.all(np.isfinite(values) & (values > 0)))


def complete_6nd(columns: Mapping[str, np.ndarray]) -> tuple[Columns, list[str]]:
    """Compute the one column of params, tokens and flops that is absent, by C = 6 N D of the active parameters.

    Parameters
    ----------
    columns
        Name -> values (run,); active_params, where it is there beside params, is what a token meets.

    Returns
    -------
    absent : dict
        Name -> values (run,) of the absent column; empty where none or more than one is absent.
    notes : list of str
        A sentence that names what was computed; where all three are there and C leaves [0.5, 2] times 6 N D, one that
        names the rows.
    """
    present = {"params", "tokens", "flops"} & set(columns)
    if present == {"params", "tokens", "flops"}:
        return {}, _mismatch(
            columns["flops"] / flops_6nd(columns.get("active_params", columns["params"]), columns["tokens"])
        )
    met: Any = columns["active_params"] if "active_params" in columns else columns.get("params")
    of = " of the active parameters" if "active_params" in columns else ""
    if present == {"params", "tokens"}:
        return {"flops": flops_6nd(met, columns["tokens"])}, [f"flops were computed as 6 N D{of}"]
    if present == {"params", "flops"}:
        return {"tokens": tokens_for(columns["flops"], met)}, [f"tokens were computed from C = 6 N D{of}"]
    if present == {"tokens", "flops"}:
        return {"params": params_for(columns["flops"], columns["tokens"])}, ["params were computed from C = 6 N D"]
    return {}, []


def _mismatch(ratio: Float[np.ndarray, " run"]) -> list[str]:
    """A note on the rows whose compute is far from 6 N D."""
    off = np.flatnonzero((ratio < PLAUSIBLE_6ND[0]) | (ratio > PLAUSIBLE_6ND[1]))
    if not off.size:
        return []
    return [
        f"flops are {ratio[off].min():.3g} to {ratio[off].max():.3g} times 6 N D in {off.size} row(s) "
        f"({rows_listed(off)}); check that params and tokens are counted as the compute is"
    ]


def rows_listed(rows: Any) -> str:
    """Rows, counted from 1, the first of them where there are many."""
    return ", ".join(str(row + 1) for row in rows[:LISTED_ROWS]) + (", ..." if len(rows) > LISTED_ROWS else "")
