"""Posteriors with discrepancy of many fits at once: in threads the draws of one alone, in lanes the same posterior."""

import numpy as np
import pytest
from conftest import simulated

import scalefit as sf
from scalefit._aot import on_host
from scalefit._precision import precision
from scalefit.infer import _with_discrepancy
from scalefit.infer._with_discrepancy import draw_discrepancies, drawn_in_lanes
from scalefit.sampling.discrepancy_posterior import sampled_on

ENGINE = sf.AIS(chains=4, draws=200, block=500, rounds=8)
BUDGET = 1e22


def table(seed):
    return simulated(seed=seed, sizes=7)


@pytest.fixture(scope="module")
def fits():
    return sf.fit_many([table(0), {"N": [1e9], "D": [2e10], "loss": [3.0]}, table(1), table(2)], engine=ENGINE)


def test_many_at_once_are_the_draws_of_each_alone(fits):
    """Rows and summaries ask for all of them; a table that failed has no part in it."""
    rows = fits.summary(budgets=[BUDGET])
    assert rows.loc[1, ("failure", "")]
    for i, fit in fits.fitted():
        alone = np.quantile(fit.optima([BUDGET])["N_opt[1e22]"], [0.5, 0.05, 0.95])
        np.testing.assert_allclose(rows.loc[i, "N_opt[1e22]"].to_numpy(float)[:3], alone, rtol=1e-12)


def test_a_fit_that_has_its_draws_keeps_them(fits):
    fit = fits[0]
    kept = fit.discrepancy_posterior
    draw_discrepancies([fit])
    assert fit.discrepancy_posterior is kept


def test_a_fit_whose_draws_fail_leaves_the_others_theirs(fits, monkeypatch):
    """It says why when it is asked itself."""
    good, bad = fits[0], fits[2]

    def failing(bound, theta, seed):
        if seed == bad.seed:
            raise np.linalg.LinAlgError("a matrix is singular")
        return sampled_on(bound, theta, seed)

    monkeypatch.setattr(_with_discrepancy, "sampled_on", failing)
    draw_discrepancies([bad, good])
    assert "discrepancy_posterior" in vars(good)
    assert "discrepancy_posterior" not in vars(bad)


def test_lanes_draw_the_posterior_of_each_table(fits):
    """Means differ by rounding, or where that changed a step of the adaptation by Monte Carlo error.

    Of 21 differences of two means of 500 draws or more in effect, one is above 0.25 standard deviations in less than
    one of a thousand tests; tables that change places are three times as far apart.
    """
    some = [fit for _, fit in fits.fitted()]
    with precision():
        lanes, latent, _ = drawn_in_lanes(some, most=2)
        singly = [on_host(sampled_on(fit.bound, fit.theta, fit.seed).drawn) for fit in some]

    def off(name, i, j):
        return abs(lanes[name][i].mean() - singly[j][name].mean()) / singly[j][name].std()

    apart = [off(name, i, i) for i in range(3) for name in singly[i]]
    assert len(apart) == 21
    assert max(apart) < 0.25
    assert min(max(off(name, i, (i + 1) % 3) for name in singly[0]) for i in range(3)) > 0.5, "places would be noticed"
    assert latent["weights"].shape[:3] == (3, 4, 250)
