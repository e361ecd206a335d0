"""Measured compute is spent: decisions price N and D by the table's own FLOP, and equal brute force over draws."""

import json
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from brute_force import thinned

import scalefit as sf
from scalefit.costs.measured import Measured, cost_of_runs
from scalefit.counting import flops_6nd

BUDGET = 1e22
SIZES = np.linspace(np.log(3e8), np.log(3e11), 1501)


def with_compute(fit, ratio):
    """The same draws, whose runs measured so many times 6 N D."""
    columns = {**fit.runs.columns, "flops": flops_6nd(fit.runs.params, fit.runs.tokens) * ratio(fit.runs)}
    return replace(fit, runs=replace(fit.runs, columns=columns))


def times(fit, factor):
    return with_compute(fit, lambda runs: factor * np.ones(len(runs)))


def varying(runs):
    """Overheads that matter less for larger models, and 3 % of scatter."""
    return 1.6 * (runs.params / 1e9) ** -0.08 * np.exp(0.03 * np.random.default_rng(0).standard_normal(len(runs)))


@pytest.mark.parametrize("discrepancy", [False, True], ids=["law only", "with discrepancy"])
def test_a_constant_is_another_budget_of_6nd(small_fit, discrepancy):
    """1.5 times 6 N D: every decision is that of two thirds of the budget by 6 N D."""
    fit, shared = times(small_fit, 1.5), {"discrepancy": discrepancy}
    assert cost_of_runs(fit.runs) == sf.SixND(measured=pytest.approx(1.5))
    plan, plain = sf.plan(fit, BUDGET, **shared), sf.plan(fit, BUDGET, cost=sf.SixND(), **shared)
    assert plan.params == pytest.approx(sf.plan(small_fit, BUDGET / 1.5, **shared).params, rel=1e-3)
    assert plan.flops == pytest.approx(1.5 * flops_6nd(plan.params, plan.tokens)) == pytest.approx(BUDGET, rel=1e-6)
    assert plain.flops == pytest.approx(flops_6nd(plain.params, plain.tokens)) == pytest.approx(BUDGET, rel=1e-6)
    assert "1.5 x 6 N D" in plan.assumptions.rule
    assert plain.assumptions.rule == "C = 6 N D"
    front, other = fit.frontier(BUDGET, discrepancy), small_fit.frontier(BUDGET / 1.5, discrepancy)
    np.testing.assert_allclose(front.params, other.params, rtol=1e-6)
    np.testing.assert_allclose(1.5 * flops_6nd(front.params, front.tokens), BUDGET)


def test_every_decision_prices_by_the_table(law_of_small):
    """By the law alone, 1.5 times 6 N D against the same fit without compute in its table."""
    fit = times(law_of_small, 1.5)
    there, here = sf.target(fit, 2.2), sf.target(law_of_small, 2.2)
    np.testing.assert_allclose(there.draws["budget"], 1.5 * here.draws["budget"], rtol=1e-5)
    assert there.sure.cost == pytest.approx(1.5 * here.sure.cost, rel=1e-4)
    served = sf.costs.Lifetime(1e12)
    np.testing.assert_allclose(
        sf.lifetime(fit, "7B", served).draws["total"], 1.5 * sf.lifetime(law_of_small, "7B", served).draws["total"]
    )
    run = [(7e9, 1e11)]
    audit, before = sf.audit(fit, run), sf.audit(law_of_small, run)
    assert audit.flops == pytest.approx(1.5 * before.flops)
    for name in before.draws:
        np.testing.assert_allclose(audit.draws[name], before.draws[name], rtol=1e-4, atol=1e-9)
    thumb = sf.rules_of_thumb(fit, BUDGET)
    assert 1.5 * 6 * 20 * thumb.params["20 tokens per parameter"] ** 2 == pytest.approx(BUDGET)
    versus = sf.compare_runs(fit, BUDGET, (1e9, 1e10))
    assert 1.5 * flops_6nd(versus.a.params, versus.a.tokens) == pytest.approx(BUDGET)
    assert sf.audit(fit, run, cost=sf.SixND()).flops == pytest.approx(before.flops)


@pytest.fixture(scope="module")
def law_of_small(small_fit):
    return replace(small_fit, model=replace(small_fit.model, discrepancy=None))


@pytest.fixture(scope="module")
def measured(request, small_fit):
    """A fit of few draws whose runs measured compute that varies, its cost in every draw, and its losses by (N, D)."""
    few = thinned(small_fit)
    draws = {name: values.reshape(-1)[:: values.size // 32][None] for name, values in small_fit.draws.items()}
    fit = replace(with_compute(few, varying), draws=draws)
    vars(fit)["discrepancy_posterior"] = vars(few)["discrepancy_posterior"]
    rows = np.arange(len(next(iter(fit.joint_draws(request.param)[0].values()))))
    cost = cost_of_runs(fit.runs, len(rows), fit.seed)

    def losses(log_n, log_d_of):
        """(draw, size) at tokens of each draw's own."""
        runs = [{"params": np.exp(log_n), "tokens": np.exp(log_d_of[row])} for row in rows]
        return np.stack([fit.predict(x, False, request.param)[row] for row, x in enumerate(runs)])

    return fit, request.param, cost, losses


@pytest.mark.parametrize("measured", [False, True], ids=["law only", "with discrepancy"], indirect=True)
def test_plans_equal_brute_force_where_compute_varies(measured):
    """On each draw's own budget line: loss, regret and optimum, with the coefficients of that draw."""
    fit, discrepancy, cost, losses = measured
    plan = sf.plan(fit, BUDGET, discrepancy=discrepancy)
    log_d = np.log(cost.tokens_for(BUDGET, np.exp(SIZES)[:, None])).T
    loss = losses(SIZES, log_d)
    at = np.argmin(np.abs(SIZES - np.log(plan.params)))
    step = SIZES[1] - SIZES[0]
    np.testing.assert_allclose(np.log(plan.draws["N_opt"]), SIZES[loss.argmin(axis=1)], atol=1.5 * step)
    np.testing.assert_allclose(plan.draws["loss"], loss[:, at], rtol=2e-4)
    np.testing.assert_allclose(plan.draws["regret"], loss[:, at] - loss.min(axis=1), atol=1e-4)
    assert abs(np.log(plan.params) - SIZES[loss.mean(axis=0).argmin()]) < 3 * step
    assert float(plan.flops) == pytest.approx(BUDGET, rel=1e-6)
    assert "assumed to go on" in plan.assumptions.rule
    front = fit.frontier(BUDGET, discrepancy)
    np.testing.assert_allclose(np.log(front.params[:, 0]), SIZES[loss.argmin(axis=1)], atol=1.5 * step)
    np.testing.assert_allclose(cost.flops(front.params[:, 0], front.tokens[:, 0]), BUDGET)


@pytest.mark.parametrize(
    "measured",
    [pytest.param(False, marks=pytest.mark.slow, id="law only"), pytest.param(True, id="with discrepancy")],
    indirect=True,
)
def test_other_decisions_where_compute_varies(measured):
    """Target and audit agree with each other and with the cost of each draw."""
    fit, discrepancy, cost, losses = measured
    found = sf.target(fit, 2.2, discrepancy=discrepancy)
    n, d = found.draws["N_opt"], found.draws["D_opt"]
    np.testing.assert_allclose(cost.total(n, d), found.draws["budget"], rtol=1e-6)
    np.testing.assert_allclose(np.diag(fit.predict({"params": n, "tokens": d}, False, discrepancy)), 2.2, rtol=1e-4)
    model = (5e9, 2e11)
    audit = sf.audit(fit, [model], discrepancy=discrepancy)
    budget = cost.total(*model)
    log_d = np.log(cost.tokens_for(budget, np.exp(SIZES)[:, None])).T
    loss = losses(SIZES, log_d)
    step = SIZES[1] - SIZES[0]
    np.testing.assert_allclose(np.log(audit.draws["N_opt"][:, 0]), SIZES[loss.argmin(axis=1)], atol=1.5 * step)
    np.testing.assert_allclose(audit.draws["given_up"][:, 0], audit.draws["loss"][:, 0] - loss.min(1), atol=1e-4)
    life = sf.lifetime(fit, "7B", sf.costs.Lifetime(1e12), discrepancy=discrepancy)
    assert np.isfinite(life.draws["total"]).all()
    assert (life.draws["wasted"] > -1e-3).all()
    thumb = sf.rules_of_thumb(fit, BUDGET, discrepancy=discrepancy)
    size = thumb.params["20 tokens per parameter"]
    assert float(cost.averaged().flops(size, 20 * size)) == pytest.approx(BUDGET)


def runs_with(ratio, count=60, spread=0.03, seed=0, ray=False):
    rng = np.random.default_rng(seed)
    n = np.exp(rng.uniform(np.log(1e7), np.log(1e9), count))
    d = n * (20 if ray else np.exp(rng.uniform(np.log(5), np.log(100), count)))
    flops = flops_6nd(n, d) * ratio(n, d) * np.exp(spread * rng.standard_normal(count))
    return sf.Runs({"params": n, "tokens": d, "flops": flops, "loss": 2 + n**-0.1})


def test_the_line_is_learned_and_one_wrong_row_does_not_move_it():
    """1.4 (N/100M)^-.06 in 60 rows with 3 % of scatter: within four standard errors, less than 1e-4 by chance."""
    runs = runs_with(lambda n, d: 1.4 * (n / 1e8) ** -0.06)
    wrong = {**runs.columns, "flops": runs.flops * np.where(np.arange(60) == 5, 10.0, 1.0)}
    for table in (runs, replace(runs, columns=wrong)):
        cost = Measured.of(table)
        assert abs(cost.params_power.mean() + 0.06) < 4 * cost.params_power.std() < 0.03
        assert abs(cost.tokens_power.mean()) < 4 * cost.tokens_power.std() < 0.03
        assert np.exp(cost.averaged().level) == pytest.approx(1.4 * (cost.middle_params / 1e8) ** -0.06, rel=0.02)


def test_on_a_ray_overheads_go_with_size_and_are_uncertain():
    cost = Measured.of(runs_with(lambda n, d: (n / 1e8) ** -0.06, ray=True))
    assert cost.params_power.mean() == pytest.approx(-0.06, abs=0.01)
    assert cost.params_power.std() > 3 * (cost.params_power + cost.tokens_power).std()


def test_rounding_is_no_measurement_and_two_rows_have_an_answer():
    assert cost_of_runs(runs_with(lambda n, d: np.ones_like(n), spread=0.002)) == sf.SixND()
    plain = runs_with(lambda n, d: np.ones_like(n))
    assert cost_of_runs(sf.Runs({name: v for name, v in plain.columns.items() if name != "flops"})) == sf.SixND()
    two = Measured.of(runs_with(lambda n, d: 1.2 + 0 * n, count=2))
    assert np.isfinite(two.params_power).all()
    assert two.params_power.std() < 0.5


def test_a_measured_cost_inverts_for_numpy_and_jax():
    cost = Measured(0.3, -0.05, 0.02, 1e8, 2e9)
    tokens = cost.tokens_for(1e22, np.array([1e8, 1e10]))
    np.testing.assert_allclose(cost.total(np.array([1e8, 1e10]), tokens), 1e22)
    np.testing.assert_allclose(cost.log_tokens_for(jnp.log(1e22), jnp.log(1e10)), np.log(tokens[1]), rtol=1e-6)
    life = sf.costs.Lifetime(1e12, compute=cost)
    np.testing.assert_allclose(life.total(1e10, life.tokens_for(1e23, 1e10)), 1e23)
    assert life.tokens_for(1e20, 1e12) < 0


def test_active_parameters_are_what_compute_counts():
    """192M in all of which 30M are active: C = 6 x 30M x D, and a plan spends that share."""
    n, d = np.array([1e9, 1e9, 4e9, 4e9]), np.array([1e10, 4e10, 1e10, 4e10])
    table = {"total_params": n, "active_params": n / 8, "tokens": d, "loss": [3.0, 2.8, 2.7, 2.5]}
    runs = sf.read_runs(table)
    np.testing.assert_allclose(runs.flops, 6 * n / 8 * d)
    assert any("active" in note and "6 N D" in note for note in runs.notes)
    assert cost_of_runs(runs) == sf.SixND(measured=pytest.approx(1 / 8))
    columns = {name: values for name, values in runs.columns.items() if name != "flops"}
    assert cost_of_runs(replace(runs, columns=columns)) == cost_of_runs(runs)
    budgets = sf.read_runs({**{k: v for k, v in table.items() if k != "tokens"}, "flops": 6 * n / 8 * d})
    np.testing.assert_allclose(budgets.tokens, d)


def test_runs_by_compute_and_size_are_priced_by_the_table(small_fit, run, tmp_path):
    """1e21 FLOP on 1B parameters are 1e21 / 1.5 / 6e9 tokens."""
    fit, tokens = times(small_fit, 1.5), 1e21 / 1.5 / 6e9
    asked = (
        {"params": [1e9], "flops": [1e21]},
        {"tokens": [tokens], "flops": [1e21]},
        {"params": [1e9], "tokens": [tokens]},
    )
    first, *others = (fit.predict(x, False, False) for x in asked)
    for other in others:
        np.testing.assert_allclose(other, first)
    file = fit.save(tmp_path / "fit.nc")
    for counts in (("--params", "1B"), ("--tokens", tokens)):
        _, out, _ = run("predict", file, "--flops", "1e21", *counts, "--law-only", "--json")
        assert json.loads(out)["predictions"][0]["inputs"] == pytest.approx({"params": 1e9, "tokens": tokens})
    cost = Measured(0.3, -0.05, 0.02, 1e8, 2e9)
    assert cost.flops(cost.params_for(1e22, 2e11), 2e11) == pytest.approx(1e22)
    np.testing.assert_allclose(fit.to_datatree()["constant_data"]["flops"], fit.runs.flops)
    line = sf.approaches.isoflop(fit.runs, resamples=2)
    found = line.optimum(1e21)
    np.testing.assert_allclose(1.5 * flops_6nd(found["N_opt"], found["D_opt"]), 1e21)


def test_commands_say_it_and_take_6nd(small_fit, run, tmp_path):
    file = times(small_fit, 1.5).save(tmp_path / "fit.nc")
    for command in (("plan", file, "--budget", "1e22"), ("frontier", file, "--budgets", "1e21")):
        for option, said in (((), True), (("--six-nd",), False)):
            _, out, _ = run(*command, "--law-only", *option)
            assert ("1.5 x 6 N D" in out) == said
