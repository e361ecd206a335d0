"""The posterior itself: the figures of the 240 and 245 runs, and prediction."""

from inspect import unwrap

import numpy as np
import pytest
from conftest import TRUTH, simulated
from scipy import stats

import scalefit as sf


def sd_of(draws):
    return float(np.asarray(draws).std())


def monte_carlo(draws):
    """Three standard errors of a quantile estimated from at least 1,000 effective draws, at the 5 % tail."""
    return 3 * sd_of(draws) * 2.1 / np.sqrt(1000)


def agrees(draws, median, lower, upper):
    """Median and 90 % interval within 0.15 posterior sd and Monte Carlo error of the published ones."""
    found = np.quantile(draws, [0.5, 0.05, 0.95])
    np.testing.assert_allclose(found, [median, lower, upper], atol=0.15 * sd_of(draws) + monte_carlo(draws))


def test_the_240_runs_give_the_known_posterior(chinchilla_fit):
    draws = {**chinchilla_fit.draws, **chinchilla_fit.law_derived}
    draws |= chinchilla_fit.optima([5.76e23], discrepancy=False)
    agrees(draws["E"], 1.807, 1.781, 1.833)
    agrees(draws["alpha"], 0.3455, 0.3295, 0.3607)
    agrees(draws["beta"], 0.3607, 0.3436, 0.3773)
    agrees(draws["a"], 0.5105, 0.494, 0.5275)
    agrees(np.log(draws["N_opt[5.76e23]"]), *np.log([7.12e10, 6.00e10, 8.51e10]))
    agrees(np.log(draws["tokens_per_param[5.76e23]"]), *np.log([18.9, 13.3, 26.7]))
    agrees(draws["loss[5.76e23]"], 1.969, 1.957, 1.982)
    assert np.median(draws["sigma"]) == pytest.approx(0.0041, abs=0.0001)
    assert np.median(draws["nu"]) == pytest.approx(2.8, abs=0.1)


def test_the_240_runs_mix_well(chinchilla_fit):
    table = chinchilla_fit.summary(budgets=[1e21, 5.76e23])
    law_only = table[table["posterior"] == "law only"]
    assert law_only[["ess_bulk", "ess_tail"]].min().min() >= 400
    assert law_only["r_hat"].isna().all()  # parts of one weighted sample cannot disagree
    assert set(table.loc[["N_opt[1e21]", "loss[5.76e23]"], "posterior"]) == {"with discrepancy"}
    assert chinchilla_fit.stats["pareto_k"].max() < 0.7


def test_five_outliers_do_not_move_a_student_t_but_do_move_a_normal():
    every = sf.datasets.load("chinchilla", outliers="keep")
    robust = sf.fit(every).optima([5.76e23], discrepancy=False)["tokens_per_param[5.76e23]"]
    agrees(np.log(robust), *np.log([17.5, 11.8, 25.7]))
    fragile = sf.fit(every, sf.Model(noise=sf.Normal()), engine=sf.MAP()).optima([5.76e23], discrepancy=False)
    assert np.median(fragile["tokens_per_param[5.76e23]"]) < 5


def test_summary_columns_and_rows(small_fit):
    table = small_fit.summary(prob=0.5, budgets="1e21")
    figures = ["median", "lower", "upper", "ess_bulk", "ess_tail", "r_hat", "mcse_median"]
    assert list(table.columns) == [*figures, "posterior"]
    assert set(table["posterior"][:9]) == {"law only"}
    assert list(table.index[:9]) == ["E", "A", "B", "alpha", "beta", "sigma", "nu", "a", "b"]
    assert "N_opt[1e21]" in table.index
    ends = table.loc["E", ["lower", "upper"]].astype(float)
    np.testing.assert_allclose(ends, np.quantile(small_fit.draws["E"], [0.25, 0.75]))


@pytest.mark.parametrize("prob", [0.0, 1.0, 90])
def test_probabilities_are_checked(small_fit, prob):
    with pytest.raises(sf.ScalefitError, match="between 0 and 1"):
        small_fit.summary(prob=prob)


def test_prediction_of_the_law_is_the_law(small_fit):
    x = {"N": [1e9, 2e9], "D": ["20B", "40B"]}
    mean = small_fit.predict(x, noise=False, discrepancy=False)
    t = {name: values[:, None] for name, values in small_fit.theta.items()}
    n, d = np.array([1e9, 2e9]), np.array([2e10, 4e10])
    np.testing.assert_allclose(mean, t["E"] + t["A"] * n ** -t["alpha"] + t["B"] * d ** -t["beta"], rtol=1e-10)


def test_prediction_of_a_run_adds_noise_and_repeats(small_fit):
    x = simulated()
    run, again, other = (small_fit.predict(x, seed=seed) for seed in (None, small_fit.seed, 9))
    np.testing.assert_array_equal(run, again)
    assert (run != other).all()
    assert run.shape == (1000, len(x))
    assert (np.ptp(run, axis=0) > np.ptp(small_fit.predict(x, noise=False), axis=0)).all()
    assert small_fit.predict(x, discrepancy=False).shape == (2000, len(x))


def test_in_sample_run_intervals_cover(small_fit):
    """90 % intervals hold 90 % of 80 runs from the model itself. False alarms: 1 in 1,000."""
    runs = simulated()
    low, high = np.quantile(small_fit.predict(runs), [0.05, 0.95], axis=0)
    inside = int(((low < runs.loss) & (runs.loss < high)).sum())
    allowed = stats.binom(80, 0.9).ppf([0.0005, 0.9995])
    assert allowed[0] <= inside <= allowed[1]


def test_prediction_refuses_what_it_cannot_do(small_fit):
    with pytest.raises(sf.DataError, match="lack tokens"):
        small_fit.predict({"params": [1e9]})
    with pytest.raises(sf.DataError, match="row 1: tokens is not positive"):
        small_fit.predict({"params": [1e9], "tokens": [-1e10]})


# Unwrapped, for the check of types in the test run would come first.
ASKED_OF_A_FIT = {
    "plan": lambda fit: unwrap(sf.plan)(fit, 1e22),
    "target": lambda fit: unwrap(sf.target)(fit, 2.2),
    "lifetime": lambda fit: unwrap(sf.lifetime)(fit, "7B", sf.costs.Lifetime(1e12)),
    "rules_of_thumb": lambda fit: unwrap(sf.rules_of_thumb)(fit, 1e22),
    "audit": lambda fit: unwrap(sf.audit)(fit, "gpt-3"),
    "compare_runs": lambda fit: unwrap(sf.compare_runs)(fit, "gopher", "chinchilla"),
    "loss_surface": lambda fit: unwrap(sf.loss_surface)(fit, [1e9], [1e10]),
    "reconcile": lambda fit: unwrap(sf.reconcile)(fit),
    "plots.frontier": lambda fit: unwrap(sf.plots.frontier)(fit),
    "plots.isoflops": lambda fit: unwrap(sf.plots.isoflops)(fit),
    "plots.surface": lambda fit: unwrap(sf.plots.surface)(fit),
}


@pytest.mark.parametrize("ask", ASKED_OF_A_FIT.values(), ids=ASKED_OF_A_FIT)
def test_what_is_no_fit_is_refused_in_words(ask, chinchilla):
    with pytest.raises(sf.OptionError, match=r"Runs, not a fit.*sf.fit\(runs\)"):
        ask(chinchilla)
    with pytest.raises(sf.OptionError, match=r"str, not a fit.*sf.load\(path\)"):
        ask("fit.nc")


def test_planned_runs_need_only_their_inputs(small_fit):
    planned = {"N": [1e9], "D": [2e10], "loss": [np.nan], "val_loss": [np.nan], "note": ["later"]}
    assert small_fit.predict(planned, noise=False, discrepancy=False).shape == (2000, 1)


def test_names_will_do_and_seeds_are_checked(quick):
    assert sf.Model(law="chinchilla", noise="normal") == sf.Model(noise=sf.Normal())
    with pytest.raises(sf.OptionError, match="magic"):
        sf.fit(simulated(), engine="magic")
    with pytest.raises(sf.OptionError, match="seed"):
        sf.fit(simulated(), engine=quick, seed=-1)


def test_engines_options_are_checked():
    for bad in ({"chains": 0}, {"draws": 1}, {"warmup": -1}, {"target_accept": 1.0}):
        with pytest.raises(sf.OptionError):
            sf.NUTS(**bad)


def test_draws_do_not_depend_on_progress(small_fit, quick, capsys):
    shown = sf.fit(simulated(), engine=quick, progress=True)
    for name, values in small_fit.draws.items():
        np.testing.assert_array_equal(values, shown.draws[name])


def test_truth_is_the_same_whichever_unit(quick):
    """Counts in millions and loss in bits: the same exponents, draw for draw up to rounding."""
    runs = simulated()
    scaled = sf.Runs({"params": runs.params * 1e3, "tokens": runs.tokens * 1e3, "loss": runs.loss / np.log(2)})
    plain, other = (sf.fit(table, engine=quick) for table in (runs, scaled))
    assert np.median(other.draws["alpha"]) == pytest.approx(np.median(plain.draws["alpha"]), abs=1e-3)
    assert np.median(other.draws["E"]) == pytest.approx(np.median(plain.draws["E"]) / np.log(2), rel=1e-3)
    assert np.median(plain.draws["alpha"]) == pytest.approx(TRUTH["alpha"], abs=0.03)
