"""What a table of task losses and accuracies must be, each refusal in one sentence."""

from typing import Any

import numpy as np

from scalefit.errors import DataError

SLACK = 0.1  # measured accuracy may lie this far below the floor: small models do worse than guessing
LEAST = 4


def checked(loss: Any, accuracy: Any, items: Any, floor: float | None) -> dict[str, np.ndarray]:
    """Columns accuracy, loss and, where given, items, each (model,) of float; raises `DataError` on nonsense."""
    columns = {"loss": _column("task loss", loss), "accuracy": _column("accuracy", accuracy)}
    if len(columns["loss"]) != len(columns["accuracy"]):
        lengths = f"{len(columns['loss'])} task losses and {len(columns['accuracy'])} accuracies"
        raise DataError(f"there are {lengths}; give one of each for every model.")
    if len(columns["loss"]) < LEAST:
        raise DataError(f"{len(columns['loss'])} models cannot show a curve; give {LEAST} or more.")
    if np.ptp(columns["loss"]) < 1e-9 * np.abs(columns["loss"]).max():
        raise DataError("the task loss is the same for every model, so its effect on accuracy cannot be seen.")
    if items is not None:
        columns["items"] = _items(items, len(columns["loss"]))
    _plausible(columns, floor)
    return columns


def _column(name: str, values: Any) -> np.ndarray:
    try:
        column = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise DataError(f"the {name} must be numbers.") from None
    if column.ndim != 1:
        raise DataError(f"the {name} has shape {column.shape}; give one number for every model.")
    if bad := np.flatnonzero(~np.isfinite(column)).tolist():
        raise DataError(f"model {bad[0] + 1}: the {name} is not a finite number; correct or remove it.")
    return column


def _items(items: Any, count: int) -> np.ndarray:
    """One number of items for every model; one number holds for all."""
    column = _column("number of items", np.resize(items, count) if np.ndim(items) == 0 else items)
    if len(column) != count or (column < 1).any():
        raise DataError(f"items are the questions of the task: one number of 1 or more, or one for each of {count}.")
    return column


def _plausible(columns: dict[str, np.ndarray], floor: float | None) -> None:
    loss, accuracy = columns["loss"], columns["accuracy"]
    if accuracy.max() > 1:
        raise DataError(f"an accuracy of {accuracy.max():g} is more than all items; give shares, not percentages.")
    least = (floor or 0.0) - (SLACK if floor else 0.0)
    if accuracy.min() < max(least, 0.0):
        below = f"far below the guessing floor of {floor:g}" if floor else "below zero"
        raise DataError(f"an accuracy of {accuracy.min():g} lies {below}; check the floor, and that it is no error.")
    if np.ptp(accuracy) > 0.05 and np.corrcoef(loss, accuracy)[0, 1] > 0.8:
        raise DataError("accuracy rises with the task loss; check that it is an accuracy and no error rate.")
