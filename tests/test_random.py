"""Keys from seeds, and quasi-random points."""

import jax
import numpy as np
import pytest
from scipy.stats import qmc

from scalefit._random import prng_key, prng_keys, quasirandom


def test_keys_are_those_of_jax_in_any_precision():
    seeds = [0, 1, 2**31, 2**40 + 7]
    with jax.enable_x64(True):
        expected = [np.asarray(jax.random.PRNGKey(seed)) for seed in seeds]
    np.testing.assert_array_equal(prng_keys(seeds), expected)
    np.testing.assert_array_equal(prng_key(2**40 + 7), expected[-1])


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_points_fill_the_cube_more_evenly_than_chance(dim):
    """Their discrepancy is far below that of random points, whatever their number."""
    for count in (32, 100, 257):
        points = quasirandom(count, dim)
        random = np.random.default_rng(0).random((20, count, dim))
        assert points.shape == (count, dim)
        assert qmc.discrepancy(points) < 0.5 * np.median([qmc.discrepancy(each) for each in random])


def test_one_dimension_takes_multiples_of_the_golden_ratio():
    golden = 0.5 * (5**0.5 - 1)
    np.testing.assert_allclose(quasirandom(9, 1, first=0, offset=0.0)[:, 0], np.arange(9) * golden % 1, atol=1e-14)
