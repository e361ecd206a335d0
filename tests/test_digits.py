"""Digits that are written are larger than their Monte Carlo error: other seeds repeat them."""

import numpy as np
import pytest

from scalefit._digits import DRAWS, DRAWS_OF_WASTE, monte_carlo_errors, rounded, rounded_like, rounded_quantile, written
from scalefit._intervals import interval
from scalefit._quantities import write
from scalefit.units import format_count


@pytest.mark.parametrize("draw", [lambda z: 1.82 + 0.06 * z, lambda z: 5e10 * np.exp(z), lambda z: 0.002 - 0.01 * z])
def test_errors_are_those_of_as_many_draws(draw):
    rng = np.random.default_rng(0)
    found = np.array([interval(draw(rng.normal(size=DRAWS)), 0.9) for _ in range(400)])
    expected = monte_carlo_errors(np.median(found, axis=0))
    # The standard deviation of 400 is known to 3.5 %; wrong by a quarter one time in a million.
    np.testing.assert_allclose(found.std(axis=0), expected, rtol=0.25)


def test_a_quantile_has_the_digits_that_other_draws_repeat():
    """Of standard normal draws the .95 quantile is known to .067: one decimal at most, and none of 100 times that."""
    found = [rounded_quantile(np.random.default_rng(seed).normal(size=DRAWS_OF_WASTE), 0.95) for seed in range(20)]
    assert all(value == round(value, 1) for value in found)
    assert rounded_quantile(100 * np.random.default_rng(0).normal(size=DRAWS_OF_WASTE), 0.95) % 10 == 0


def test_seeds_agree_to_a_unit_in_the_last_place():
    rng = np.random.default_rng(1)
    printed = np.array([rounded(interval(5e10 * np.exp(rng.normal(size=DRAWS)), 0.9)) for _ in range(10)])
    for values in printed.T:
        unit = 10 ** np.floor(np.log10(values.min()))
        assert np.ptp(values) <= 1.01 * unit


def test_numbers_of_a_narrow_interval_have_the_same_decimals():
    assert written(np.array([2.1003, 2.0901, 2.1109]), write) == ["2.100", "2.090", "2.111"]
    assert written(np.array([7.13e9, 5.42e9, 8.7e9]), format_count) == ["7.1B", "5.4B", "8.7B"]


def test_a_point_estimate_and_certain_numbers_keep_their_digits():
    assert rounded(np.array([1.2345, np.nan, np.nan]))[0] == 1.2345
    assert rounded(np.array([0.5, 0.5, 0.5])).tolist() == [0.5, 0.5, 0.5]
    assert rounded_like(7.1234e9, np.array([7e9, np.nan, np.nan])) == 7.1234e9


def test_one_digit_is_always_written():
    assert rounded(np.array([0.04, 1e-6, 30.0]))[0] == 0.04


def test_numbers_of_a_wide_interval_have_digits_of_their_own():
    assert written(np.array([4.8e10, 1.48e10, 3.7e11]), format_count) == ["50B", "15B", "400B"]
