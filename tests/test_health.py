import numpy as np
import pytest
from conftest import TRUTH, isoflop_design

import scalefit as sf
from scalefit.diagnostics.convergence import convergence
from scalefit.diagnostics.design import check_ray
from scalefit.diagnostics.health import assess


def checks(health):
    return {check.name: check for check in health.checks}


def assess_with(fit, draws=None, stats=None):
    draws = draws or fit.draws
    return assess(fit.bound, draws, fit.model.law.derived(draws), fit.stats if stats is None else stats)


def test_a_good_fit_is_ok_and_every_check_has_a_sentence(chinchilla_fit):
    health = chinchilla_fit.health
    assert health.verdict == "ok"
    assert not health.cautions
    assert {"R-hat", "bulk ESS", "tail ESS", "Pareto k", "modes", "one ray", "learning"} <= set(checks(health))
    assert all(check.sentence for check in health.checks)
    assert str(health).startswith("health: ok")


def test_a_samplers_own_figures_are_checked(nuts_fit):
    assert {"divergences", "E-BFMI", "tree depth"} <= set(checks(nuts_fit.health))
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
    assert assess_with(small_fit, apart).verdict == "fail"
    assert checks(assess_with(small_fit, apart))["R-hat"].verdict == "fail"


def test_a_sampler_that_barely_moves_fails(small_fit):
    """Each chain a slow random walk: few effective draws."""
    rng = np.random.default_rng(0)
    walk = {n: v.mean() + v.std() * 0.05 * rng.normal(size=v.shape).cumsum(1) for n, v in small_fit.draws.items()}
    found = checks(assess_with(small_fit, walk))
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
