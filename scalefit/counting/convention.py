"""What N counts: all parameters, those without embeddings, or those a token meets. One never stands for another."""

from typing import Any

import numpy as np

from scalefit.errors import DataError

CONVENTIONS = ("total", "non_embedding", "active")
OMEGA = 47491.0
"""`embedding_scale` of the Chinchilla models: Pearce & Song's, for 32,000 entries and a width of 39.2 layers."""


def check_convention(convention: str) -> str:
    """The convention, if it is one of `CONVENTIONS`; raises `DataError` otherwise."""
    if convention not in CONVENTIONS:
        raise DataError(f"N is counted as {', '.join(CONVENTIONS)}; not as {convention!r}.")
    return convention


def refuse_mix(ours: str | None, theirs: str | None, what: str) -> None:
    """Raise `DataError` where both sides say how they count N, and differ; what nobody said cannot be checked."""
    if ours and theirs and ours != theirs:
        raise DataError(
            f"{what}: params are {theirs} ones, where {ours} ones are meant; convert them first, "
            f"as in runs.with_convention({ours!r}), or name a column that counts so."
        )


def embedding_scale(vocabulary: float, aspect: float) -> float:
    """omega of N_T = N_E + omega N_E^(1/3) for a vocabulary and an aspect ratio d / L.

    From N_E = 12 L d^2, embeddings are V d = V (aspect / 12)^(1/3) N_E^(1/3) (Pearce & Song 2024, arXiv 2406.12907).
    """
    return vocabulary * (aspect / 12) ** (1 / 3)


def to_total(non_embedding: Any, omega: Any = OMEGA) -> Any:
    """All parameters of models with `non_embedding` of them outside their embeddings; floats or arrays.

    N_T = N_E + omega N_E^(1/3), Pearce & Song 2024 (arXiv 2406.12907).
    """
    return non_embedding + omega * non_embedding ** (1 / 3)


def to_non_embedding(total: Any, omega: Any = OMEGA) -> Any:
    """The inverse of `to_total`, in closed form; floats or arrays.

    x = N_E^(1/3) is the one real root of x^3 + omega x = N_T, by the hyperbolic form of Cardano's formula.
    """
    scale = np.sqrt(omega / 3)
    return (2 * scale * np.sinh(np.arcsinh(total / (2 * scale**3)) / 3)) ** 3
