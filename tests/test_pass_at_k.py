"""pass@k: its exponent, its calibration, exact sums against quadrature."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

import scalefit as sf
from scalefit._precision import precision
from scalefit.downstream import observed_pass_at_k
from scalefit.downstream.scaled_beta import ScaledBeta, integrated_pass_at_k, mean_pass_at_k


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
        truth = integrated_pass_at_k(*(np.array([v]) for v in (a, b, 1.0)), 1e4)[0]
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
        pass_at = [integrated_pass_at_k(*(np.array([v]) for v in (0.3, 1.5, scale)), k)[0] for k in (1e7, 1e9)]
        left = -np.log(pass_at)
        assert np.log(left[0] / left[1]) / np.log(100) == pytest.approx(0.3, abs=2e-3)
    found = sf.fit_pass_at_k(benchmark(0.3, 1.5, 0), 100)
    assert abs(found.slope.mean() - 0.3) < 4 * found.slope.std(), "false alarm about 6e-5"


@pytest.mark.parametrize(("a", "b", "scale", "k"), [(0.1, 2.0, 1.0, 1e4), (0.5, 0.3, 0.7, 50), (3.0, 8.0, 0.2, 1e3)])
def test_quadrature_is_the_integral(a, b, scale, k):
    q = stats.beta(a, b)
    expected = integrate.quad(lambda u: 1 - (1 - scale * q.ppf(u)) ** k, 0, 1, limit=500)[0]
    assert integrated_pass_at_k(*(np.array([v]) for v in (a, b, scale)), k)[0] == pytest.approx(expected, abs=2e-5)


def test_the_closed_form_and_quadrature_agree():
    found = sf.fit_pass_at_k(benchmark(0.4, 2.0, 3), 100)
    a, b = (found.draws[name].reshape(-1)[:50] for name in "ab")
    np.testing.assert_allclose(found.predict([1e3])[:50, 0], integrated_pass_at_k(a, b, np.ones(50), 1e3), atol=1e-8)


def test_chunks_of_draws_are_integrated_alike():
    rng = np.random.default_rng(0)
    theta = {"a": rng.uniform(0.2, 1, 1203), "b": rng.uniform(1, 3, 1203), "scale": np.full(1203, 0.7)}
    np.testing.assert_array_equal(mean_pass_at_k(theta, 50.0), integrated_pass_at_k(*theta.values(), 50.0))


def test_trials_thinned_by_the_scale_are_the_scaled_beta():
    """The finite sum is the integral of the binomial over scale * Beta, to rounding."""
    a, b, scale, n = 0.6, 1.7, 0.55, 12
    q = stats.beta(a, b)
    for y in (0, 3, 12):
        mass = integrate.quad(lambda u, y=y: stats.binom.pmf(y, n, scale * q.ppf(u)), 0, 1, limit=400)[0]
        with precision("float64"):
            data = {name: jnp.array([float(v)]) for name, v in (("successes", y), ("trials", n), ("times", 1))}
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
    mean = found.predict([1, 100, 1e5])
    run = found.predict([1, 100, 1e5], noise=True)
    assert mean.shape == run.shape == (4000, 3)
    assert (np.diff(mean, axis=1) > 0).all()
    np.testing.assert_allclose(mean.mean(axis=0), run.mean(axis=0), atol=0.01)
    assert (run.std(axis=0) > 1.2 * mean.std(axis=0)).all()
    assert np.isnan(found.summary().loc["a", "r_hat"])  # of one weighted sample


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
        ([1, 5], 4, "problem 2: 5 successes"),
        ([1, 2.5], 4, "whole counts"),
        ([1, 2], [3], "shape"),
        ([1], 4, "two"),
    ],
)
def test_counts_that_cannot_be_are_refused(y, n, words):
    with pytest.raises(sf.DataError, match=words):
        sf.fit_pass_at_k(y, n)


def test_other_refusals():
    with pytest.raises(sf.ScalefitError, match="scale"):
        sf.fit_pass_at_k([1, 2], 4, scale=0)
    with pytest.raises(sf.ScalefitError, match="trials"):
        sf.fit_pass_at_k([1, 2], 5000, scale=None)
    with pytest.raises(sf.DataError, match="fit_pass_at_k"):
        observed_pass_at_k([1, 2], 4, 10)
    with pytest.raises(sf.DataError, match="attempts"):
        sf.fit_pass_at_k(benchmark(0.4, 2.0, 3), 100).predict([0.5])
