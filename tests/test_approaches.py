import numpy as np
import pytest
from conftest import TRUTH, isoflop_design

import scalefit as sf
from scalefit.errors import NoMinimumError, TooFewRunsError


def noise_free(alpha, beta, width=4.0, off_centre=1.0):
    """Runs on isoFLOP lines centred on the true optimum of each, or a factor beside it."""
    theta = {**TRUTH, "alpha": alpha, "beta": beta, "A": 1e9**alpha, "B": 2e10**beta}
    flops = np.repeat(np.geomspace(1e19, 1e22, 7), 9)
    a = beta / (alpha + beta)
    log_g = (np.log(alpha / beta) + np.log(theta["A"]) - np.log(theta["B"])) / (alpha + beta)
    best = np.exp(log_g) * (flops / 6) ** a
    params = best * off_centre * np.tile(np.geomspace(1 / width, width, 9), 7)
    tokens = flops / 6 / params
    loss = theta["E"] + theta["A"] * params**-alpha + theta["B"] * tokens**-beta
    return sf.Runs({"params": params, "tokens": tokens, "loss": loss}), a, best[::9]


def test_approach_2_is_exact_where_it_should_be():
    """alpha = beta on grids centred on the optimum: the parabola's minimum is the optimum (1e-6)."""
    runs, a, best = noise_free(0.35, 0.35)
    path = sf.approaches.isoflop(runs, resamples=20)
    assert path.a[0] == pytest.approx(a, abs=1e-6)
    np.testing.assert_allclose(path.params, best, rtol=1e-6)


def test_approach_2_has_its_known_bias_and_a_law_has_not():
    """alpha / beta = 3 on wide grids beside the optimum: minima are shifted, and by how much depends on the grid."""
    runs, _, best = noise_free(0.6, 0.2, width=8.0)
    shifted = np.log(sf.approaches.isoflop(runs, resamples=20).params / best)
    assert np.abs(shifted).min() > 0.05
    for engine in (sf.Huber(), sf.VPNLS()):
        exact = sf.fit(runs, engine=engine).frontier(runs.flops[::9]).params[0]
        np.testing.assert_allclose(exact, best, rtol=1e-5)


def test_published_exponents_of_the_chinchilla_runs(chinchilla):
    """Hoffmann et al. 2022, Table 2: a = .50 (Approach 1), .49 (Approach 2)."""
    for approach, a in ((sf.approaches.envelope, 0.50), (sf.approaches.isoflop, 0.49)):
        path = approach(chinchilla, resamples=200)
        table = path.summary(budgets=[5.76e23])
        assert path.a[0] == pytest.approx(a, abs=0.02)
        assert table.loc["a", "lower"] < path.a[0] < table.loc["a", "upper"]
        assert table.loc["tokens_per_param[5.76e23]", "estimate"] == pytest.approx(23, abs=4)


def test_resamples_repeat_with_their_seed(chinchilla):
    first, again, other = (sf.approaches.isoflop(chinchilla, resamples=20, seed=s).a for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first[1:] != other[1:]).any()


def test_refusals_have_types_and_reasons():
    runs, *_ = noise_free(0.35, 0.35, width=2.0, off_centre=20.0)
    with pytest.raises(NoMinimumError, match="no best size between"):
        sf.approaches.isoflop(runs)
    x = {name: values[::5] for name, values in isoflop_design().items()}
    with pytest.raises(TooFewRunsError, match="fewer than three model sizes"):
        sf.approaches.isoflop(sf.Runs({**x, "loss": sf.Model().simulate(TRUTH, x)}))
    with pytest.raises(TooFewRunsError, match="a power law needs 3"):
        sf.approaches.power_law([1e8, 1e9], [3.0, 2.5])
    for bad in ([3.0, np.nan, 2.0], [3.0, 0.0, 2.0], [3.0, 2.0]):
        with pytest.raises(sf.DataError, match="positive numbers"):
            sf.approaches.power_law([1e8, 1e9, 1e10], bad)


def test_a_budget_without_a_minimum_is_left_out_with_a_note(chinchilla):
    assert any("no best size" in note for note in sf.approaches.isoflop(chinchilla, resamples=5).notes)


@pytest.mark.parametrize("offset", [True, False])
def test_power_laws_come_back(offset):
    """Kaplan's L(N) constants (2020, equation 1.1), with and without an irreducible loss."""
    x = np.geomspace(1e6, 1e10, 20)
    fit = sf.approaches.power_law(x, 1.5 * offset + (8.8e13 / x) ** 0.076, offset=offset, resamples=10)
    assert fit.alpha[0] == pytest.approx(0.076, rel=1e-4)
    assert fit.scale[0] == pytest.approx(8.8e13, rel=1e-2)
    assert fit.E[0] == pytest.approx(1.5 * offset, abs=1e-3)
    np.testing.assert_allclose(fit.predict(1.5e9)[0, 0], 1.5 * offset + 2.3036, atol=1e-4)
