"""Results in plain words: every number with its interval, every extrapolation with its caution."""

import numpy as np


def loss_caution(loss: float, seen: np.ndarray) -> str:
    """Whether a task loss lies outside the table, and what that means; empty inside it."""
    if seen.min() <= loss <= seen.max():
        return ""
    side, end = ("below", seen.min()) if loss < seen.min() else ("above", seen.max())
    return (
        f"A task loss of {loss:g} lies {side} the table's {end:.4g}: an extrapolation. Its interval takes the curve's "
        f"form for granted, and its ceiling is then mostly the prior's."
    )
