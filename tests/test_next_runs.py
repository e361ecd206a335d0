"""Which runs next: values against closed forms, batches, limits, the answer and its command."""

import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import TRUTH, ray

import scalefit as sf
from scalefit import plots
from scalefit._precision import precision
from scalefit.model.noise import Normal
from scalefit.numerics.batches import Purse, greedy
from scalefit.numerics.sample_information import Decision, GaussianStep, outcomes, variance_gain
from scalefit.planning._reweighing import Reweighing, tail_shapes

OPTIONS = np.linspace(-4, 4, 161)
CURVATURE, NOISE = 0.02, 0.5
BUDGET, SPEND = 5.76e23, 1e22


@pytest.fixture(scope="module")
def normals():
    """Standard normals with exactly their moments: 4,000 draws of three numbers."""
    z = np.random.default_rng(0).standard_normal((4000, 3))
    z -= z.mean(axis=0)
    return np.linalg.solve(np.linalg.cholesky(z.T @ z / len(z)), z.T).T


@pytest.fixture(scope="module")
def quadratic(normals):
    """A loss that is quadratic around an optimum with a standard normal prior, on a grid of options."""
    return Decision(0.5 * CURVATURE * (OPTIONS - normals[:, [0]]) ** 2)


@pytest.fixture(scope="module")
def found(small_fit):
    return sf.next_runs(small_fit, BUDGET, spend=SPEND)


def exact(runs):
    """Value of runs that see the optimum with noise: half the curvature times the variance they take away."""
    return 0.5 * CURVATURE * runs / (runs + NOISE)


def test_outcomes_have_exactly_the_moments_of_normals():
    z = outcomes(4)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(z.T @ z / len(z), np.eye(4), atol=1e-12)


def test_value_of_runs_is_that_of_the_closed_form(normals, quadratic):
    step = GaussianStep.of(quadratic.asked, normals[:, :2], NOISE)
    value = quadratic.gain(step)
    assert value[0] == pytest.approx(exact(1), rel=0.02)
    assert value[1] < 0.01 * value[0]  # of a run that sees something else
    assert quadratic.gain(step.given(0))[0] == pytest.approx(exact(2) - exact(1), rel=0.05)
    assert quadratic.after(step.given(0).given(0))[0].mean() == pytest.approx(exact(2), rel=0.03)
    assert quadratic.regret == pytest.approx(0.5 * CURVATURE, rel=0.02)


def test_a_batch_knows_what_its_earlier_runs_teach(normals, quadratic):
    """Two runs see the same sum of two numbers, a third one of them alone: it follows the first, not its copy."""
    seen = np.column_stack([normals[:, 0] + normals[:, 1], normals[:, 0] + 1.001 * normals[:, 1], normals[:, 1]])
    step = GaussianStep.of(quadratic.asked, seen, 0.05)
    taken, gained = greedy(step, lambda _: quadratic.gain, np.ones(3), Purse(2.0, 2))
    assert taken[0] in (0, 1)
    assert taken[1] == 2
    assert gained[1] > 0


def test_a_batch_stays_within_its_purse(normals, quadratic):
    cost = np.array([3.0, 1.0, 1.0])
    step = GaussianStep.of(quadratic.asked, normals[:, [0, 0, 1]] + 0.5 * normals[:, [1, 2, 2]], NOISE)
    gains = lambda _: quadratic.gain
    taken, _ = greedy(step, gains, cost, Purse(5.0, 3))
    assert cost[taken].sum() <= 5.0
    assert len(greedy(step, gains, cost, Purse(100.0, 3, repeats=False))[0]) == len(
        set(greedy(step, gains, cost, Purse(100.0, 3, repeats=False))[0])
    )
    assert greedy(step, gains, cost, Purse(0.5, 3))[0] == []
    assert greedy(step, gains, cost, Purse(100.0, 3), lambda gain, cost: gain - cost)[0] == []


def test_variance_gain_is_the_share_of_variance(normals):
    step = GaussianStep.of(normals[:, :1], normals[:, :1], NOISE)
    assert variance_gain(0, 1.0)(step)[0] == pytest.approx(1 / (1 + NOISE), rel=1e-3)


def test_reweighing_agrees_with_the_gaussian_step(normals, quadratic):
    """128 outcomes: their mean is within 12 % of the closed form in nearly all seeds, and half the value is not."""
    theta = {"sigma": np.full(len(normals), np.sqrt(NOISE))}
    with precision():
        value = Reweighing(quadratic, normals, Normal(), theta, 0).value([0])
    assert value.reliable
    assert value.saved.mean() == pytest.approx(exact(1), rel=0.12)


@pytest.mark.parametrize("k", [0.3, 1.0])
def test_pareto_k_of_weights(k):
    weight = (1 - np.random.default_rng(1).random((20, 4000))) ** -k
    assert tail_shapes(weight).mean() == pytest.approx(k, abs=0.1)


def test_values_are_within_the_regret_and_the_batch_within_the_spend(found):
    assert (found.values >= 0).all()
    assert found.values.max() <= found.regret
    assert found.batch.value <= found.regret
    assert found.price_of(found.batch) <= SPEND
    assert len(found.batch.runs) <= 5
    assert found.batch.value >= found.values.max() * 0.99
    assert found.check.agrees
    table = found.summary()
    assert table["value", "mean"].is_monotonic_decreasing
    assert (table["value", "lower"] <= table["value", "mean"]).all()


def test_price_is_what_the_cost_would_save_in_the_budget(small_fit, found):
    """Losses of the plan's size at the budget and at nine tenths of it, paired on the same draws."""
    tokens = np.array([0.9, 1.0]) * BUDGET / 6 / found.params
    losses = small_fit.predict({"params": np.full(2, found.params), "tokens": tokens}, noise=False).mean(axis=0)
    assert found.per_cost * 0.1 * BUDGET == pytest.approx(losses[0] - losses[1], rel=0.02)


def test_it_repeats_with_its_seed(small_fit, found):
    again = sf.next_runs(small_fit, BUDGET, spend=SPEND)
    assert again.batch == found.batch
    np.testing.assert_array_equal(again.values, found.values)
    np.testing.assert_array_equal(again.check.values, found.check.values)


def test_stop_where_no_run_is_worth_its_price(small_fit):
    tiny = sf.next_runs(small_fit, 1e22, spend=1e20)
    assert tiny.stop
    assert "train the large run" in tiny.headline()
    assert not tiny.worthwhile.runs


def test_limits_hold(small_fit):
    kept = sf.next_runs(small_fit, BUDGET, spend=SPEND, max_params="3B", max_tokens="1T", ratios=(5, 80), count=2)
    per = kept.candidates.tokens / kept.candidates.params
    assert kept.candidates.params.max() <= 3e9
    assert kept.candidates.tokens.max() <= 1e12
    assert per.min() >= 5
    assert per.max() <= 80
    assert len(kept.batch.runs) <= 2


def test_runs_of_a_table_and_their_risk(small_fit):
    table = {"params": [2e9, 2e9, 9e9], "tokens": [1e11, 1e11, 1e10], "diverges": [0.0, 0.5, 0.0]}
    asked = sf.next_runs(small_fit, BUDGET, spend=SPEND, candidates=table, discrepancy=False)
    assert list(asked.candidates.kind) == ["given"] * 3
    assert asked.values[1] == pytest.approx(0.5 * asked.values[0])
    with pytest.raises(sf.DataError, match="probability"):
        sf.next_runs(small_fit, BUDGET, spend=SPEND, candidates=table | {"diverges": [0, 2, 0]})


@pytest.mark.parametrize("aim", ["loss", "E", "plan and loss"])
def test_other_aims(small_fit, found, aim):
    asked = sf.next_runs(small_fit, BUDGET, spend=SPEND, aim=aim, count=2)
    assert asked.batch.runs
    assert asked.batch.value <= (1 if aim != "plan and loss" else asked.regret)
    assert aim.partition(" ")[0] in asked.headline()
    if aim == "loss":  # the forecast wants other runs than the plan
        assert asked.batch.runs[0] != found.batch.runs[0]


def test_what_is_refused(small_fit, point_fit):
    with pytest.raises(sf.OptionError, match="aim"):
        sf.next_runs(small_fit, BUDGET, spend=SPEND, aim="fame")
    with pytest.raises(sf.QuestionError, match="posterior"):
        sf.next_runs(point_fit(**TRUTH), BUDGET, spend=SPEND)
    with pytest.raises(sf.QuestionError, match="spend"):
        sf.next_runs(small_fit, BUDGET, spend=SPEND, candidates={"params": [1e12], "tokens": [1e13]})
    with pytest.raises(sf.OptionError, match="count"):
        sf.next_runs(small_fit, BUDGET, spend=SPEND, count=0)


def test_health_and_values_agree_on_a_ray(quick):
    """On one ray the health check names runs off it, and the run of most value lies off it too."""
    fit = replace(sf.fit(ray(0.3, 0.4, 80), engine=quick), model=sf.Model(discrepancy=None))
    assert "Add runs off it" in next(check.sentence for check in fit.health.checks if check.name == "one ray")
    asked = sf.next_runs(fit, 1e23, spend=1e20, count=2)
    best = asked.order[0]
    assert abs(np.log(asked.candidates.tokens[best] / asked.candidates.params[best] / 20)) > np.log(3)
    assert not asked.stop


def test_it_is_exported_and_drawn(small_fit, found, tmp_path):
    data = found.to_xarray()
    assert data.sizes["candidate"] == len(found.values)
    assert data["value"].attrs["units"] == found.assumptions.loss_unit
    assert "tabular" in found.to_latex()
    assert repr(found).startswith(found.headline())
    ax = plots.next_runs(small_fit, found)
    assert len(ax.collections[0].get_offsets()) == len(found.values)
    assert "runs proposed" in [text.get_label() for text in ax.collections]
    assert found.batch_summary()["price_together"].iloc[-1] == pytest.approx(found.price_of(found.batch))


def test_the_command(run, saved, tmp_path):
    common = ("next", saved, "--budget", "5.76e23", "--law-only")
    code, out, _ = run(*common, "--spend", "1e22", "--json", "--plot", tmp_path / "next.png")
    assert code == 0
    document = json.loads(out)
    assert document["runs"][0]["value_mean"] >= document["runs"][1]["value_mean"]
    assert document["stop"] == (not document["worthwhile"])
    assert (tmp_path / "next.png").exists()
    table = tmp_path / "table.csv"
    table.write_text("params,tokens\n100M,10B\n200M,2B\n")
    small = ("--spend", "1e20", "--max-params", "3B", "--candidates", table)
    code, out, _ = run("next", saved, "--budget", "1e22", "--law-only", *small)
    assert code == 0
    assert "train the large run" in out
    assert "of 2" in out
    assert run(*common, "--spend", "1e22", "--ratios", "5")[0] == 2


def test_runs_that_health_names_tell_more_than_those_inside_the_data(quick):
    """Tokens span too little: a run a decade beyond them says more of beta than one of as much compute inside them."""
    design = {"params": np.geomspace(1e8, 1e10, 80), "tokens": np.tile(np.geomspace(1e10, 4e10, 8), 10)}
    runs = sf.Runs({**design, "loss": sf.Model().simulate(TRUTH, design, 0)}, name="narrow")
    fit = sf.fit(runs, sf.Model(discrepancy=None), engine=quick)
    sentence = next(check.sentence for check in fit.health.checks if check.name == "range of tokens")
    assert "above 100B" in sentence
    inside, named = 2e10, 1e11
    table = {"params": np.array([5e9 * named / inside, 5e9]), "tokens": np.array([inside, named])}
    asked = sf.next_runs(fit, 1e23, spend=1e22, candidates=table, aim="beta")
    assert asked.values[1] > 1.5 * asked.values[0]
