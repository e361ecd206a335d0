import re
from dataclasses import replace

import numpy as np
import pytest
from bad_tables import BAD, GOOD, table
from conftest import TRUTH, isoflop_design, simulated

import scalefit as sf
from scalefit.diagnostics import explained, misfit, residuals
from scalefit.diagnostics.checks import Check, Health
from scalefit.diagnostics.convergence import chain_table, convergence
from scalefit.diagnostics.design import check_ray
from scalefit.diagnostics.health import assess
from scalefit.diagnostics.rows import check_rows
from scalefit.numerics.effective import effective_draws
from scalefit.text.fits import health_sentence


def checks(health):
    return {check.name: check for check in health.checks}


def assess_with(fit, draws=None, stats=None):
    draws = draws or fit.draws
    return assess(fit.bound, draws, fit.model.law.derived(draws), fit.stats if stats is None else stats)


def test_a_good_fit_is_ok_and_every_check_has_a_sentence(chinchilla_fit):
    health = chinchilla_fit.health
    assert health.verdict == "ok"
    assert not health.cautions
    assert {"bulk ESS", "tail ESS", "Pareto k", "modes", "one ray", "learning", "trend"} <= set(checks(health))
    assert all(check.sentence for check in health.checks)
    assert str(health).startswith("health: ok")


def test_a_samplers_own_figures_are_checked(nuts_fit):
    assert {"R-hat", "divergences", "E-BFMI", "tree depth"} <= set(checks(nuts_fit.health))
    np.testing.assert_array_equal(nuts_fit.stats["saturated"], nuts_fit.stats["num_steps"] >= 2**10 - 1)


@pytest.mark.parametrize(("k", "verdict"), [(0.5, "ok"), (0.8, "review"), (1.2, "fail")])
def test_heavy_importance_weights_are_not_trusted(small_fit, k, verdict):
    found = assess_with(small_fit, stats={"pareto_k": np.full((4, 500), k), "modes": np.full((4, 500), 1)})
    assert checks(found)["Pareto k"].verdict == verdict


def test_convergence_agrees_with_arviz(chinchilla_fit):
    from arviz_stats.base.array import array_stats

    axes = {"chain_axis": 0, "draw_axis": 1}
    for name, found in convergence(chinchilla_fit.draws).items():
        draws = chinchilla_fit.draws[name]
        assert found["r_hat"] == pytest.approx(float(array_stats.rhat(draws, method="rank", **axes)), rel=1e-9)
        # Autocorrelations are summed up to the same lag, but for a last term that ArviZ may add.
        bulk = array_stats.ess(draws, method="bulk", **axes)
        tail = array_stats.ess(draws, method="tail", prob=(0.05, 0.95), **axes)
        assert found["ess_bulk"] == pytest.approx(float(bulk), rel=0.02)
        assert found["ess_tail"] == pytest.approx(float(tail), rel=0.02)
        error = array_stats.mcse(draws, method="median", **axes)
        assert found["mcse_median"] == pytest.approx(float(error), rel=0.1)


def test_chains_that_disagree_fail(small_fit):
    apart = {name: values + np.arange(4)[:, None] * 5 * values.std() for name, values in small_fit.draws.items()}
    assert checks(assess_with(small_fit, apart, stats={}))["R-hat"].verdict == "fail"


def test_r_hat_of_one_weighted_sample_is_not_given(small_fit):
    """Its parts cannot disagree."""
    assert "R-hat" not in checks(small_fit.health)
    assert chain_table(small_fit.draws, stats=small_fit.stats)["r_hat"].isna().all()


def test_a_sampler_that_barely_moves_fails(small_fit):
    """Each chain a slow random walk: few effective draws."""
    rng = np.random.default_rng(0)
    walk = {n: v.mean() + v.std() * 0.05 * rng.normal(size=v.shape).cumsum(1) for n, v in small_fit.draws.items()}
    found = checks(assess_with(small_fit, walk, stats={}))
    assert found["bulk ESS"].verdict != "ok"
    assert "more draws" in found["bulk ESS"].sentence


@pytest.mark.parametrize(("share", "verdict"), [(0.0, "ok"), (0.002, "review"), (0.05, "fail")])
def test_divergences(small_fit, share, verdict):
    diverging = np.random.default_rng(0).permuted(np.arange(2000) < 2000 * share).reshape(4, 500)
    assert checks(assess_with(small_fit, stats={"diverging": diverging}))["divergences"].verdict == verdict


def test_saturated_trees_and_low_e_bfmi_are_named(small_fit):
    energy = np.random.default_rng(0).normal(size=(4, 500)).cumsum(1)
    found = checks(assess_with(small_fit, stats={"saturated": np.ones((4, 500), bool), "energy": energy}))
    assert found["tree depth"].verdict == "review"
    assert found["E-BFMI"].verdict == "fail"


def test_a_single_ray_fails_and_says_which_run_would_help(quick):
    params = np.geomspace(1e8, 1e10, 80)
    x = {"params": params, "tokens": 20 * params}
    fit = sf.fit(sf.Runs({**x, "loss": sf.Model().simulate(TRUTH, x)}), engine=quick)
    ray = checks(fit.health)["one ray"]
    assert fit.health.verdict == "fail"
    assert ray.verdict == "fail"
    assert "not identified" in ray.sentence
    assert "20 tokens per parameter" in ray.sentence
    assert "Add runs" in ray.sentence
    assert "one ray" in health_sentence(fit.health)


def test_a_near_ray_is_reviewed():
    rng = np.random.default_rng(0)
    params = np.geomspace(1e8, 1e10, 40)
    x = {"params": params, "tokens": 20 * params * np.exp(rng.normal(0, 0.2, 40))}
    bound = sf.Model().bind(sf.Runs({**x, "loss": sf.Model().simulate(TRUTH, x)}))
    assert check_ray(bound).verdict == "review"


def test_a_single_budget_is_not_called_a_ray():
    """One isoFLOP line shows its own optimum; what it lacks is another budget."""
    params = np.geomspace(1e8, 1e10, 40)
    x = {"params": params, "tokens": 1e20 / 6 / params}
    check = check_ray(sf.Model().bind(sf.Runs({**x, "loss": sf.Model().simulate(TRUTH, x)})))
    assert check.verdict == "review"
    assert "other budgets" in check.sentence


def test_less_than_a_decade_is_reviewed_with_the_run_that_would_fix_it(quick):
    rng = np.random.default_rng(0)
    x = {"params": rng.uniform(1e9, 5e9, 80), "tokens": 10 ** rng.uniform(9, 11.5, 80)}
    fit = sf.fit(sf.Runs({**x, "loss": sf.Model().simulate(TRUTH, x)}), engine=quick)
    found = checks(fit.health)["range of params"]
    assert found.verdict == "review"
    assert "params below" in found.sentence
    assert checks(fit.health)["range of tokens"].verdict == "ok"


def test_a_posterior_as_wide_as_its_prior_is_named(quick):
    """Noise of 20 % drowns what eighty runs say."""
    x = isoflop_design()
    fit = sf.fit(sf.Runs({**x, "loss": sf.Model().simulate({**TRUTH, "sigma": 0.2, "nu": 50.0}, x)}), engine=quick)
    found = checks(fit.health)["learning"]
    assert found.verdict == "review"
    assert "alpha" in found.sentence
    assert fit.health.verdict != "ok"


def test_tails_heavier_than_cauchys_are_no_noise(small_fit):
    """A law that holds for a part of the table: said, with the number."""
    heavy = {**small_fit.draws, "nu": np.full_like(small_fit.draws["nu"], 0.8)}
    found = checks(assess_with(small_fit, heavy))["tails"]
    assert found.verdict == "review"
    assert "part of the table" in found.sentence
    assert checks(assess_with(small_fit))["tails"].verdict == "ok"


def test_ess_of_weighted_draws_is_that_of_repeated_samples():
    """A normal proposal with two thirds of the target's scale: Pareto k is .56, as on tables of twelve runs.

    300 samples give the ESS of a mean within 8 % (one standard deviation), and 25 % off is seen in one seed of 400.
    Autocorrelation, which sees copies only, is too sure by more than that.
    """
    import jax
    from blackjax.diagnostics import psis_weights

    samples, draws, scale = 300, 1000, 0.66
    rng = np.random.default_rng(0)
    z = scale * rng.standard_normal((samples, 2 * draws))
    log_weight, k = map(np.asarray, jax.jit(jax.vmap(psis_weights))(0.5 * z**2 * (1 / scale**2 - 1)))
    places = (rng.random((samples, 1)) + np.arange(draws)) / draws
    edges = np.exp(log_weight).cumsum(axis=1)
    kept = np.stack([np.searchsorted(e / e[-1], at) for e, at in zip(edges, places, strict=True)])
    values = np.abs(np.take_along_axis(z, kept, axis=1))
    relative = np.take_along_axis(log_weight, kept, axis=1) + np.log(2 * draws)
    true = values.var() / values.mean(axis=1).var()
    ours = [effective_draws(v[:, None], w, float(shape))[0] for v, w, shape in zip(values, relative, k, strict=True)]
    by_chains = [convergence({"z": v.reshape(4, -1)})["z"]["ess_bulk"] for v in values[:20]]
    assert np.mean(ours) == pytest.approx(true, rel=0.25)
    assert np.mean(by_chains) > 1.25 * true


def start(runs: sf.Runs) -> dict[str, np.ndarray]:
    """Parameters that are right for no table: the checks move to the mode themselves."""
    n, d, loss = (np.exp(np.log(values).mean()) for values in (runs.params, runs.tokens, runs.loss))
    theta = {"E": 0.6 * loss, "A": 0.2 * loss * n**0.35, "B": 0.2 * loss * d**0.35, "alpha": 0.35, "beta": 0.35}
    return {name: np.array([[value]]) for name, value in theta.items()}


def found_in(runs: sf.Runs, model: sf.Model | None = None) -> dict:
    """Checks of the table and of the model on it: milliseconds, without a fit."""
    bound = (model or sf.Model()).bind(runs)
    return {check.name: check for check in (*check_rows(runs), *misfit.check_misfit(bound, start(runs)))}


def alarms(runs: sf.Runs, model: sf.Model | None = None) -> list[str]:
    return [name for name, check in found_in(runs, model).items() if check.verdict != "ok"]


def test_good_tables_raise_no_alarm():
    """Forty tables of the model itself: at most one; of 400, one in a hundred did."""
    assert sum(bool(alarms(table(kind, seed))) for kind in GOOD for seed in range(20)) <= 1


EXPECTED = {
    "two corpora .3 nats apart": {"populations", "noise"},
    "level shift with compute": {"level"},
    "level shift with size": {"level"},
    "under-tuned small runs": {"spread", "level", "trend"},
    "under-tuned large runs": {"spread", "level", "trend"},
    "heteroscedastic noise": {"spread"},
    "checkpoints as rows": {"one run"},
    "rows twice": {"copies"},
    "noise of 2.5 to 6 %": {"noise"},
    "one size off": {"level"},
    "three diverged runs": {"far runs"},
    "loss rises with N": {"size"},
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_bad_tables_raise_the_alarm_meant_for_them(kind):
    """At most one of five is missed. Of forty at most six of any kind were, which fails one choice of seeds in six.

    Kaplan's law is seen by its exponents: tests/test_compare_laws.py.
    """
    assert sum(bool(EXPECTED[kind] & set(alarms(table(kind, seed)))) for seed in range(5)) >= 4


def test_every_bad_kind_is_tested():
    assert set(EXPECTED) == set(BAD) - {"Kaplan's law"}


def test_checks_are_of_law_and_discrepancy():
    """Without the discrepancy most tables that have one would alarm; with a rough one few shifts would."""
    law_only = [alarms(table("law and discrepancy", seed), sf.Model(discrepancy=None)) for seed in range(10)]
    assert sum(map(bool, law_only)) >= 5
    loose = sf.Model(discrepancy=sf.Discrepancy.fixed(0.2, 0.3, 0.015))
    assert sum("level" in alarms(table("level shift with compute", seed), loose) for seed in range(5)) <= 2


def test_the_240_runs_need_their_discrepancy(chinchilla, chinchilla_fit):
    """The honest verdict: the law alone misses them, law and discrepancy do not."""
    trend = checks(chinchilla_fit.health)["trend"]
    assert trend.verdict == "ok"
    assert "discrepancy accounts for a trend" in trend.sentence
    law_only = found_in(chinchilla, sf.Model(discrepancy=None))["trend"]
    assert law_only.verdict == "review"
    assert law_only.value < 1e-10
    assert "include the discrepancy" in law_only.sentence


def test_sentences_name_rows_worst_first():
    runs = simulated()
    loss = runs.loss.copy()
    loss[[4, 30, 61]] *= [1.6, 1.3, 1.4]
    far = found_in(replace(runs, columns={**runs.columns, "loss": loss}))["far runs"]
    assert re.findall(r"row (\d+)", far.sentence) == ["5", "62", "31"]
    twice = runs.subset([*range(len(runs)), 7, 9])
    assert "rows 81 and 82" in found_in(twice)["copies"].sentence


def test_a_floor_that_falls_with_compute_is_named():
    """Beyond the middle of the data the floor goes down with compute, faster than the discrepancy was learned to."""
    x = isoflop_design()
    flops = 6 * x["params"] * x["tokens"]
    drift = np.maximum(np.log(flops / flops.min()) - 2.3, 0.0)
    loss = sf.Model().simulate({**TRUTH, "sigma": 0.001}, x) - 0.04 * drift**2
    found = found_in(sf.Runs({**x, "loss": loss}))
    assert found["floor"].verdict == "review"
    assert found["floor"].value > 0.1
    assert found_in(simulated())["floor"].verdict == "ok"


def test_exact_and_long_tables_raise_no_alarm(monkeypatch):
    """Values of the law without noise; a table of which some rows are looked at."""
    x = isoflop_design()
    exact = TRUTH["E"] + TRUTH["A"] / x["params"] ** TRUTH["alpha"] + TRUTH["B"] / x["tokens"] ** TRUTH["beta"]
    assert alarms(sf.Runs({**x, "loss": exact})) == []
    monkeypatch.setattr(residuals, "MANY", 50)
    assert len(residuals.residuals_of(sf.Model().bind(simulated()), start(simulated())).rows) == 40
    assert alarms(simulated()) == []


def test_the_covariance_of_residuals_is_that_of_the_kernel():
    """A mean over scales."""
    at = np.random.default_rng(0).normal(0, 3, (40, 2))
    scales = [((0.02, 4.0, 0.01, 4.0, 3.0), 3.0), ((0.1, 8.0, 0.02, 4.0, 3.0), 1.0)]
    basis = explained.discrepancy_basis(scales, at, 1e-10)
    exact = sum(w / 4 * explained.kernel(s, at[:, None], at[None]) for s, w in scales)
    np.testing.assert_allclose(basis @ basis.T, exact, atol=1e-9)


def test_causes_are_told_before_their_effects():
    """What the draws show follows from the table and from the model, in this order."""
    few, shift = Check("bulk ESS", "review", 300, "few draws."), Check("level", "review", 0, "one size is off. Look.")
    ray = Check("one ray", "review", 1.1, "all runs lie on one path. Add runs.")
    assert "one size is off" in health_sentence(Health((few, shift)))
    assert "one path" in health_sentence(Health((ray, shift, few)))
