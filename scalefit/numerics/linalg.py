"""Linear algebra on few numbers, where calling a library takes longer than the arithmetic."""

import numpy as np
from jaxtyping import Float


def small_matmul(a: Float[np.ndarray, "i j"], b: Float[np.ndarray, "j k"]) -> Float[np.ndarray, "i k"]:
    """a @ b without BLAS, whose threads cost more than they save where a thousand draws meet a few dozen numbers."""
    return np.einsum("ij,jk->ik", a, b)
