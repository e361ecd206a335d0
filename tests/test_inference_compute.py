"""pass@k: its exponent, its calibration, exact sums against quadrature; accuracy that cannot pass its bound."""

import numpy as np
import pytest
from scipy import integrate, stats

import scalefit as sf
from scalefit._precision import precision
from scalefit.downstream import observed_pass_at_k
from scalefit.downstream.pass_at_k import ScaledBeta, _by_quadrature


def benchmark(a, b, seed, problems=150, trials=100, scale=1.0):
    rng = np.random.default_rng(seed)
    return rng.binomial(trials, scale * rng.beta(a, b, problems))


@pytest.fixture(scope="module")
def places():
    """Where pass@10,000 of the truth fell among its draws, for 60 benchmarks drawn from the prior; 100 trials each."""
    found = []
    for seed in range(60):
        rng = np.random.default_rng(1000 + seed)
        a, b = np.exp(rng.normal(np.log(0.5), 1.0)), np.exp(rng.normal(np.log(2.0), 1.5))
        fitted = sf.fit_pass_at_k(benchmark(a, b, seed), 100, seed=seed)
        truth = _by_quadrature(*(np.array([v]) for v in (a, b, 1.0)), 1e4)[0]
        found.append((fitted.predict(1e4)[:, 0] < truth).mean())
    return np.array(found)


@pytest.mark.slow
def test_predictions_at_larger_k_hold_what_they_promise(places):
    """False alarm: 60 calibrated 90 % intervals hold fewer than 47 with a probability of .20 %.

    The second line is the power: intervals as narrow as 60 % ones would be caught, all but once in 470.
    """
    assert (np.abs(places - 0.5) < 0.45).sum() >= 47
    assert (np.abs(places - 0.5) < 0.30).sum() < 47


def test_the_power_law_in_k_has_the_exponent_of_the_beta():
    """-ln pass@k ~ k^-a (Schaeffer et al. 2025), with any scale: the slope between 1e7 and 1e9 attempts."""
    for scale in (1.0, 0.6):
        pass_at = [_by_quadrature(*(np.array([v]) for v in (0.3, 1.5, scale)), k)[0] for k in (1e7, 1e9)]
        left = -np.log(pass_at)
        assert np.log(left[0] / left[1]) / np.log(100) == pytest.approx(0.3, abs=2e-3)
    found = sf.fit_pass_at_k(benchmark(0.3, 1.5, 0), 100)
    assert abs(found.slope.mean() - 0.3) < 4 * found.slope.std(), "false alarm about 6e-5"


@pytest.mark.parametrize(("a", "b", "scale", "k"), [(0.1, 2.0, 1.0, 1e4), (0.5, 0.3, 0.7, 50), (3.0, 8.0, 0.2, 1e3)])
def test_quadrature_is_the_integral(a, b, scale, k):
    q = stats.beta(a, b)
    expected = integrate.quad(lambda u: 1 - (1 - scale * q.ppf(u)) ** k, 0, 1, limit=500)[0]
    assert _by_quadrature(*(np.array([v]) for v in (a, b, scale)), k)[0] == pytest.approx(expected, abs=2e-5)


def test_the_closed_form_and_quadrature_agree():
    found = sf.fit_pass_at_k(benchmark(0.4, 2.0, 3), 100)
    a, b = (found.draws[name].reshape(-1)[:50] for name in "ab")
    np.testing.assert_allclose(found.predict([1e3])[:50, 0], _by_quadrature(a, b, np.ones(50), 1e3), atol=1e-8)


def test_trials_thinned_by_the_scale_are_the_scaled_beta():
    """The finite sum is the integral of the binomial over scale * Beta, to rounding."""
    a, b, scale, n = 0.6, 1.7, 0.55, 12
    q = stats.beta(a, b)
    for y in (0, 3, 12):
        mass = integrate.quad(lambda u, y=y: stats.binom.pmf(y, n, scale * q.ppf(u)), 0, 1, limit=400)[0]
        with precision("float64"):
            data = {name: np.array([float(v)]) for name, v in (("successes", y), ("trials", n), ("times", 1))}
            found = ScaledBeta(scale, n).log_likelihood({"a": a, "b": b}, data)
        assert float(found) == pytest.approx(np.log(mass), abs=1e-4)


@pytest.mark.slow
def test_an_inferred_scale_is_found():
    """Within 4 posterior standard deviations: false alarm about 6e-5. A scale of 1 is excluded."""
    y = benchmark(2.0, 1.0, 5, problems=300, trials=40, scale=0.5)
    found = sf.fit_pass_at_k(y, 40, scale=None)
    scale = found.draws["scale"]
    assert abs(scale.mean() - 0.5) < 4 * scale.std()
    assert np.quantile(scale, 0.999) < 0.7


def test_a_new_benchmark_varies_more_than_the_mean_over_problems():
    found = sf.fit_pass_at_k(benchmark(0.4, 2.0, 3), 100)
    mean, run = (found.predict([1, 100, 1e5], kind) for kind in ("mean", "run"))
    assert mean.shape == run.shape == (4000, 3)
    assert (np.diff(mean, axis=1) > 0).all()
    np.testing.assert_allclose(mean.mean(axis=0), run.mean(axis=0), atol=0.01)
    assert (run.std(axis=0) > 1.2 * mean.std(axis=0)).all()
    assert found.summary().loc["a", "r_hat"] < 1.01


def test_the_observed_estimate_is_unbiased():
    """1 - C(n-y, k) / C(n, k), by enumeration; the plug-in 1 - (1 - y/n)^k is not."""
    p, n, k = 0.3, 8, 3
    mass = stats.binom.pmf(np.arange(n + 1), n, p)
    found = [observed_pass_at_k([y, y], n, k) for y in range(n + 1)]
    assert mass @ found == pytest.approx(1 - 0.7**3, abs=1e-12)
    assert abs(mass @ (1 - (1 - np.arange(n + 1) / n) ** k) - (1 - 0.7**3)) > 0.01


@pytest.mark.parametrize(
    ("y", "n", "words"),
    [
        ([1, 5], 4, "problem 2: 5 successes in 4"),
        ([1, 2.5], 4, "whole counts"),
        ([1, 2], [3], "two problems"),
        ([1], 4, "two"),
    ],
)
def test_counts_that_cannot_be_are_refused(y, n, words):
    with pytest.raises(sf.DataError, match=words):
        sf.fit_pass_at_k(y, n)


def test_other_refusals():
    with pytest.raises(sf.ScalefitError, match="scale is a probability"):
        sf.fit_pass_at_k([1, 2], 4, scale=0)
    with pytest.raises(sf.ScalefitError, match="too many for a scale"):
        sf.fit_pass_at_k([1, 2], 5000, scale=None)
    with pytest.raises(sf.DataError, match="fit_pass_at_k predicts it"):
        observed_pass_at_k([1, 2], 4, 10)
    with pytest.raises(sf.DataError, match="positive"):
        sf.fit_accuracy_of_compute([0, 1, 2, 3], [0.1, 0.2, 0.3, 0.4])


@pytest.fixture(scope="module")
def bounded():
    """R0 .2, A .8, C_mid 30, B .9, measured on 1,000 items."""
    compute = np.geomspace(0.1, 1000, 20)
    expected = 0.2 + 0.6 / (1 + (30 / compute) ** 0.9)
    return sf.fit_accuracy_of_compute(compute, np.random.default_rng(2).binomial(1000, expected) / 1000, items=1000)


def test_the_bounded_form_is_recovered(bounded):
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
