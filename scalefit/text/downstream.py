"""Sentences about accuracy on a task."""

import numpy as np
from jaxtyping import Float


def loss_caution(loss: float, table: Float[np.ndarray, " model"]) -> str:
    """Caution against a task loss outside the table.

    Parameters
    ----------
    loss
        The task loss that accuracy is predicted at.
    table
        Task losses of the models of the fit, (model,).

    Returns
    -------
    str
        Two sentences; empty where the loss lies inside the table.
    """
    if table.min() <= loss <= table.max():
        return ""
    side, end = ("below", table.min()) if loss < table.min() else ("above", table.max())
    return (
        f"The task loss {loss:g} is an extrapolation: it lies {side} {end:.4g}, the end of the table. "
        "The interval assumes that the link function holds there, and its ceiling rests mostly on the prior."
    )
