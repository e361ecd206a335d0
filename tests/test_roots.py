"""Roots in a bracket, and whether they were found."""

import jax
import jax.numpy as jnp
import numpy as np

from scalefit._batching import by_groups
from scalefit._roots import find_root


def cube(wanted):
    return lambda u: (wanted - u**3, -3 * u**2)


def test_a_root_is_that_of_its_bracket_or_the_nearer_end():
    with jax.enable_x64(True):
        root = lambda wanted: find_root(cube(wanted), *jnp.asarray([0.0, 2.0, 0.1]))
        found = by_groups(root, (0,))(jnp.asarray([-1.0, 1e-3, 1.0, 7.9, 20.0, np.nan]))
    np.testing.assert_allclose(found.x, [0.0, 0.1, 1.0, 7.9 ** (1 / 3), 2.0, np.nan], atol=1e-12)
    np.testing.assert_array_equal(found.converged, [True, True, True, True, True, False])


def test_a_search_that_is_cut_short_says_so():
    with jax.enable_x64(True):
        ends = jnp.asarray([0.0, 2.0, 0.1])
        whole, cut = find_root(cube(1.0), *ends), find_root(cube(1.0), *ends, steps=2)
    assert whole.converged
    assert not cut.converged
    assert abs(float(cut.x) - 1) > 1e-3


def test_a_tolerance_is_kept():
    with jax.enable_x64(True):
        near = find_root(cube(1.0), *jnp.asarray([0.0, 2.0, 0.1]), within=0.1)
    assert near.converged
    assert 1e-12 < abs(float(near.x) - 1) < 0.1
