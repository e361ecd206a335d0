"""What a table of task losses and accuracies must be, each refusal in one sentence."""

from typing import Any

import numpy as np
from jaxtyping import Float

from scalefit.errors import DataError

SLACK = 0.1  # measured accuracy may lie this far below the floor: small models do worse than guessing
LEAST = 4


def check_columns(loss: Any, accuracy: Any, items: Any, floor: float | None) -> dict[str, Float[np.ndarray, " model"]]:
    """Check a table of task losses and accuracies.

    Parameters
    ----------
    loss, accuracy
        Numbers (model,).
    items
        Questions of the task: one number, numbers (model,), or None where unknown.
    floor
        Accuracy of guessing, None where unknown.

    Returns
    -------
    dict
        loss, accuracy and, where given, items -> floats (model,).

    Raises
    ------
    DataError
        The table is too short, columns differ in length or are not finite numbers, or accuracies are not plausible.
    """
    columns = {"loss": _column("task loss", loss), "accuracy": _column("accuracy", accuracy)}
    count = len(columns["loss"])
    if count != len(columns["accuracy"]):
        lengths = f"{count} task losses and {len(columns['accuracy'])} accuracies"
        raise DataError(f"there are {lengths}. Give one of each for every model.")
    if count < LEAST:
        raise DataError(f"{count} models are too few for a curve. Give {LEAST} or more.")
    if np.ptp(columns["loss"]) < 1e-9 * np.abs(columns["loss"]).max():
        raise DataError("the task loss is the same for every model. Give models of different losses.")
    if items is not None:
        columns["items"] = _items(items, count)
    _refuse_implausible(columns["loss"], columns["accuracy"], floor or 0.0)
    return columns


def _column(name: str, values: Any) -> Float[np.ndarray, " model"]:
    try:
        column = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise DataError(f"the {name} is not numeric. Give one number for every model.") from None
    if column.ndim != 1:
        raise DataError(f"the {name} has shape {column.shape}. Give one number for every model.")
    if bad := np.flatnonzero(~np.isfinite(column)).tolist():
        raise DataError(f"model {bad[0] + 1}: the {name} is not a finite number. Correct or remove it.")
    return column


def _items(items: Any, count: int) -> Float[np.ndarray, " model"]:
    """A number of items for every model; one number holds for all."""
    column = _column("number of items", np.resize(items, count) if np.ndim(items) == 0 else items)
    if len(column) != count:
        raise DataError(f"there are {len(column)} numbers of items for {count} models. Give one, or one a model.")
    if (column < 1).any():
        raise DataError(f"{column.min():g} items are too few for an accuracy. Give 1 or more.")
    return column


def _refuse_implausible(loss: Float[np.ndarray, " model"], accuracy: Float[np.ndarray, " model"], floor: float) -> None:
    if accuracy.max() > 1:
        raise DataError(f"an accuracy of {accuracy.max():g} is above 1. Give shares, not percentages.")
    if accuracy.min() < 0:
        raise DataError(f"an accuracy of {accuracy.min():g} is below 0. Give shares.")
    if accuracy.min() < floor - SLACK:
        raise DataError(
            f"an accuracy of {accuracy.min():g} lies far below the floor of {floor:g}. "
            "Correct the floor, or give accuracies instead of error rates."
        )
    if np.ptp(accuracy) > 0.05 and np.corrcoef(loss, accuracy)[0, 1] > 0.8:
        raise DataError("accuracy rises with the task loss. Give accuracies instead of error rates.")
