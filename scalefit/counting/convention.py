"""What N counts: all parameters, those without embeddings, or those a token meets. One never stands for another."""

from typing import Any

import numpy as np

from scalefit._registry import lookup
from scalefit.errors import DataError

CONVENTIONS = ("total", "non_embedding", "active")
OMEGA = 47491.0
"""`embedding_scale` of the Chinchilla models: Pearce & Song's, for 32,000 entries and a width of 39.2 layers."""


def check_convention(convention: str) -> str:
    """Check that a convention of counting N is known.

    Parameters
    ----------
    convention
        One of `CONVENTIONS`.

    Returns
    -------
    str
        The same convention.

    Raises
    ------
    OptionError
        It is another.
    """
    return lookup(convention, {known: known for known in CONVENTIONS}, "convention of counting N")


def refuse_mix(ours: str | None, theirs: str | None, what: str) -> None:
    """Refuse to mix two conventions of counting N; a convention that is not stated cannot be checked.

    Parameters
    ----------
    ours, theirs
        The two conventions, None where one is not stated.
    what
        What `theirs` belongs to, the subject of the error.

    Raises
    ------
    DataError
        Both are stated, and differ.
    """
    if ours and theirs and ours != theirs:
        raise DataError(
            f"{what} counts {theirs} params where {ours} params are meant. Convert them first, as in "
            f"runs.with_convention({ours!r}), or map a column that counts {ours} params."
        )


def embedding_scale(vocabulary: float, aspect: float) -> float:
    """The omega of N_T = N_E + omega N_E^(1/3).

    Parameters
    ----------
    vocabulary
        Entries V.
    aspect
        Width over layers, d / L.

    Returns
    -------
    float
        omega = V (aspect / 12)^(1/3): from N_E = 12 L d^2, embeddings are V d = omega N_E^(1/3).

    References
    ----------
    Pearce & Song 2024 (arXiv 2406.12907).
    """
    return vocabulary * (aspect / 12) ** (1 / 3)


def to_total(non_embedding: Any, omega: Any = OMEGA) -> Any:
    """All parameters of models, from those outside their embeddings: N_T = N_E + omega N_E^(1/3).

    Parameters
    ----------
    non_embedding
        N_E; a float or an array.
    omega
        `embedding_scale` of the models; a float or an array.

    Returns
    -------
    float or array
        N_T, elementwise.

    References
    ----------
    Pearce & Song 2024 (arXiv 2406.12907).
    """
    return non_embedding + omega * non_embedding ** (1 / 3)


def to_non_embedding(total: Any, omega: Any = OMEGA) -> Any:
    """Parameters of models outside their embeddings, from all of them: the inverse of `to_total`, in closed form.

    Parameters
    ----------
    total
        N_T; a float or an array.
    omega
        `embedding_scale` of the models; a float or an array.

    Returns
    -------
    float or array
        N_E, elementwise: x = N_E^(1/3) is the one real root of x^3 + omega x = N_T, by the hyperbolic form of
        Cardano's formula.
    """
    scale = np.sqrt(omega / 3)
    return (2 * scale * np.sinh(np.arcsinh(total / (2 * scale**3)) / 3)) ** 3
