"""Accuracy against compute: the published equation, recovered, and never past its bound."""

import numpy as np
import pytest

import scalefit as sf


@pytest.fixture(scope="module")
def bounded():
    """R0 .2, A .8, C_mid 30, B .9, measured on 1,000 items."""
    compute = np.geomspace(0.1, 1000, 20)
    expected = 0.2 + 0.6 / (1 + (30 / compute) ** 0.9)
    return sf.fit_accuracy_of_compute(compute, np.random.default_rng(2).binomial(1000, expected) / 1000, items=1000)


def test_the_bounded_curve_is_recovered(bounded):
    """Four parameters within 4 posterior standard deviations: false alarm about 3e-4."""
    for name, value in {"R0": 0.2, "A": 0.8, "B": 0.9}.items():
        assert abs(bounded.draws[name].mean() - value) < 4 * bounded.draws[name].std()
    log_mid = np.log(bounded.draws["C_mid"])
    assert abs(log_mid.mean() - np.log(30)) < 4 * log_mid.std()
    theta = {name: draws.reshape(-1, 1) for name, draws in bounded.draws.items()}
    by_hand = theta["R0"] + (theta["A"] - theta["R0"]) / (1 + (theta["C_mid"] / 7.0) ** theta["B"])
    np.testing.assert_allclose(np.sort(bounded.accuracy(7.0), axis=0), np.sort(by_hand, axis=0), rtol=1e-9)


def test_more_compute_never_passes_the_bound(bounded):
    """Tutorials: accuracy * (1 + .1 ln(1 + C/C0)) of .91 is past 1 at 100 times; +7 % already at once."""
    assert 0.91 * (1 + 0.1 * np.log1p(100)) > 1.3
    assert np.log1p(1) * 0.1 > 0.06
    draws = bounded.accuracy(np.geomspace(1e-3, 1e9, 13))
    assert (np.diff(draws, axis=1) >= 0).all()
    assert (draws[:, -1] <= bounded.draws["A"].max()).all()
    assert (draws <= 1).all()
    np.testing.assert_allclose(np.median(draws[:, 0]), 0.2, atol=0.03)


def test_compute_that_is_not_positive_is_refused(bounded):
    with pytest.raises(sf.DataError, match="compute"):
        sf.fit_accuracy_of_compute([0, 1, 2, 3], [0.1, 0.2, 0.3, 0.4])
    with pytest.raises(sf.DataError, match="compute"):
        bounded.accuracy(-1.0)


def test_one_evaluation_varies_more_than_the_curve(bounded):
    assert bounded.accuracy(30.0, noise=True).std() > 1.2 * bounded.accuracy(30.0).std()
