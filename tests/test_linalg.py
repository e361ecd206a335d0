"""Small systems against LAPACK and BLAS."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from scalefit.numerics.linalg import small_solve


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_small_systems_are_solved_as_by_lapack(n):
    rng = np.random.default_rng(n)
    root = rng.normal(size=(50, n, n))
    a, b = root @ root.mT + 0.1 * np.eye(n), rng.normal(size=(50, n))
    with jax.enable_x64(True):
        found = jax.vmap(small_solve)(jnp.asarray(a), jnp.asarray(b))
    np.testing.assert_allclose(found, np.linalg.solve(a, b[..., None])[..., 0], rtol=1e-8)
