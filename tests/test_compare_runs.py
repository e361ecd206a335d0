"""Audits of trained models and comparisons of candidates, against published figures and closed forms."""

from dataclasses import replace
from inspect import unwrap

import numpy as np
import pytest

import scalefit as sf
from scalefit.io.published_models import published_models, read_model

BESIROGLU = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}


def test_models_are_read_by_name_or_numbers():
    assert read_model("llama 3 8b").params == 8_030_261_248
    assert (read_model("70B:1.4T").params, read_model((70e9, 1.4e12)).tokens) == (70e9, 1.4e12)
    assert all(model.source for model in published_models())
    with pytest.raises(sf.ScalefitError, match="did you mean GPT-3"):
        read_model("gpt-5")
    with pytest.raises(sf.ScalefitError, match="as in 70B:1.4T"):
        read_model("70B:1.4T:3")
    with pytest.raises(sf.ScalefitError, match="two counts"):
        read_model((0, 1e9))


def test_training_compute_of_published_models(law_fit):
    """Chinchilla was trained with Gopher's compute, not with GPT-3's."""
    found = sf.audit(law_fit, ["gopher", "chinchilla", "gpt-3", "llama-3-405b"])
    np.testing.assert_allclose(found.flops, [5.04e23, 5.88e23, 3.143e23, 3.79e25], rtol=1e-3)


def test_the_inference_that_a_size_implies(point_fit):
    """T = 3 D (e_N / e_D - 1), with the constants of Besiroglu et al. 2024."""
    found = sf.audit(point_fit(**BESIROGLU), ["8B:15T", "chinchilla"])
    served = found.draws["served"][0]
    np.testing.assert_allclose(1 + served / 3 / [15e12, 1.4e12], [5.218, 1.031], rtol=1e-3)
    np.testing.assert_allclose(served, [1.90e14, 1.28e11], rtol=5e-3)


def test_an_audit_is_the_plan_turned_round(law_fit):
    """The same regret and waste as a plan held to that size; each model alone as among ten."""
    ten = sf.audit(law_fit, published_models()[:10])
    for index, model in enumerate(ten.models[:3]):
        plan = sf.plan(law_fit, 6 * model.params * model.tokens, params=model.params)
        np.testing.assert_allclose(ten.draws["given_up"][:, index], plan.draws["regret"], atol=1e-12)
        np.testing.assert_allclose(ten.draws["wasted_compute"][:, index], plan.draws["wasted_compute"], atol=1e-9)
        np.testing.assert_allclose(ten.draws["N_opt"][:, index], plan.draws["N_opt"], rtol=1e-9)
    table = ten.summary(0.9)
    assert table.loc["Gopher", ("N_opt", "lower")] < table.loc["Gopher", ("N_opt", "median")]


def test_undertrained_is_a_ratio_of_tokens_not_of_compute(law_fit):
    """GPT-3, Gopher, MT-NLG lack a factor of 10 to 40 in tokens at their size, and wasted 40 to 65 % of compute."""
    found = sf.audit(law_fit, ["gpt-3", "gopher", "mt-nlg"])
    missing = 1 / np.median(found.draws["token_ratio"], axis=0)
    wasted = np.median(found.draws["wasted_compute"], axis=0)
    assert (missing > 9).all()
    assert missing[2] > 30
    assert (wasted < 0.7).all()
    np.testing.assert_array_less(1 / (1 - wasted), missing / 3)


def test_llama_was_overtrained_on_purpose(law_fit):
    found = sf.audit(law_fit, ["llama-1-7b", "chinchilla"])
    assert np.median(found.draws["overtraining"], axis=0)[0] > 5
    assert np.median(found.draws["served"], axis=0)[0] > 1e12
    low, high = np.quantile(found.draws["overtraining"][:, 1], [0.05, 0.95])
    assert low < 1 < high


def test_chinchilla_beats_gopher(law_fit):
    """Difference .026 [.020, .033] nats (95 %); certain by the law, .93 as one run each. Monte Carlo error of a
    quantile is below .001; of the chance, .005 a standard error."""
    found = sf.compare_runs(law_fit, "gopher", "chinchilla")
    low, middle, high = np.quantile(found.draws["difference"], [0.025, 0.5, 0.975])
    assert (low, middle, high) == pytest.approx((0.020, 0.026, 0.033), abs=0.001)
    assert found.chance == 1.0
    assert found.chance_one_run == pytest.approx(0.93, abs=0.015)
    reverse = sf.compare_runs(law_fit, "chinchilla", "gopher")
    assert reverse.chance == 0.0
    np.testing.assert_allclose(reverse.draws["speedup"], 1 / found.draws["speedup"], rtol=1e-6)


def test_a_recipe_twice_as_good_in_both_is_worth_four_times_the_compute(law_fit):
    """L_B(N, D) = L_A(2N, 2D), so L*_B(C) = L*_A(4C) in every draw, however draws are paired."""
    theta = law_fit.draws
    better = {"A": theta["A"] * 2 ** -theta["alpha"], "B": theta["B"] * 2 ** -theta["beta"]}
    one_draw = {name: values[:1, :1] for name, values in (theta | better).items()}
    a = replace(law_fit, draws={name: values[:1, :1] for name, values in theta.items()})
    found = sf.compare_runs((a, replace(law_fit, draws=one_draw)), 1e23, 1e23)
    assert found.draws["speedup"] == pytest.approx(4, rel=1e-6)
    whole = sf.compare_runs((law_fit, replace(law_fit, draws=theta | better)), 1e23, 1e23)
    assert np.median(whole.draws["speedup"]) == pytest.approx(4, rel=0.05)
    assert whole.draws["speedup"].std() > 0.05  # independent posteriors: draws are paired at random


def test_a_better_recipe_against_more_compute(point_fit):
    """Loss lower by g equals [(L (1 - g) - E) / (L - E)]^(-1/gamma) times the compute."""
    fit, t = point_fit(**BESIROGLU), BESIROGLU
    gamma = t["alpha"] * t["beta"] / (t["alpha"] + t["beta"])
    loss = fit.frontier([1e23]).loss[0, 0]
    factor = ((0.99 * loss - t["E"]) / (loss - t["E"])) ** (-1 / gamma)
    found = sf.compare_runs(fit, "1e23", "1e23", gains=(0, "1%"))
    assert found.draws["speedup"][0] == pytest.approx(factor, rel=1e-6)
    assert sf.compare_runs(fit, 1.02 * factor * 1e23, "1e23", gains=(0, "1%")).chance == 0.0
    assert sf.compare_runs(fit, 0.98 * factor * 1e23, "1e23", gains=(0, "1%")).chance == 1.0


def test_budgets_are_spent_at_their_plans(law_fit):
    found = sf.compare_runs(law_fit, "1e23", "$1M")
    assert found.a.params == pytest.approx(sf.plan(law_fit, 1e23).params, rel=1e-9)
    assert found.b.flops == pytest.approx(1e6 / 2 * 989.4e12 * 0.4 * 3600)


def test_a_loss_no_compute_reaches_is_an_infinite_speedup(point_fit):
    found = sf.compare_runs(point_fit(**BESIROGLU), "1e23", "1e23", gains=(0, "30%"))
    assert np.isinf(found.draws["speedup"]).all()


def test_questions_that_are_none(small_fit, point_fit):
    with pytest.raises(sf.OptionError, match="fit"):
        unwrap(sf.compare_runs)("1e21", "1e22", "1e23")  # the check of types in the test run would come first
    with pytest.raises(sf.QuestionError, match="7B"):
        sf.compare_runs(small_fit, "7B", "1e22")
    with pytest.raises(sf.QuestionError, match="less than one parameter"):
        sf.compare_runs(point_fit(), 10.0, "chinchilla")
    for gain in (1.0, "-2%"):
        with pytest.raises(sf.ScalefitError):
            sf.compare_runs(small_fit, "1e21", "1e22", gains=(0, gain))


def test_a_loss_no_size_reaches_asks_for_no_cap_that_was_not_given(point_fit):
    fit = point_fit()
    draws = {name: np.repeat(values, 10, axis=1) for name, values in fit.draws.items()}
    draws["A"] = draws["A"] * np.repeat([1, 1e4], [8, 2])
    with pytest.raises(sf.ScalefitError, match=r"no size reaches .* Use a higher loss or less confidence\.$"):
        sf.target(replace(fit, draws=draws), draws["E"][0, 0] + 0.2)


def test_a_high_loss_takes_what_its_plan_takes(point_fit):
    found = sf.target(point_fit(), 100)
    assert found.draws["budget"] == pytest.approx(found.even.cost, rel=1e-3)
