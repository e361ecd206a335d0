"""Targets, lifetimes, walls, limits and rules against closed forms, published figures and dense grids."""

from dataclasses import replace

import numpy as np
import pytest

import scalefit as sf
from scalefit.laws import find_law
from scalefit.planning._regret import cvar
from scalefit.planning.rules_of_thumb import kaplan, twenty_to_one

SARDANA = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.336, "beta": 0.283}
BESIROGLU = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
BUDGET = 5.76e23


def loss_of(fit, n, d):
    t = fit.theta
    return t["E"] + t["A"] * n ** -t["alpha"] + t["B"] * d ** -t["beta"]


# Budgets under other costs


@pytest.mark.parametrize("served", [1e10, 2e12, 5e13])
def test_lifetime_budgets_meet_the_published_condition(law_fit, served):
    """e_N / e_D = 1 + T / (3 D) on 6 N D + 2 N T = C (Sardana et al. 2024), draw by draw."""
    plan = sf.plan(law_fit, BUDGET, cost=sf.costs.Lifetime(served))
    t, n, d = law_fit.theta, plan.draws["N_opt"], plan.draws["D_opt"]
    np.testing.assert_allclose(6 * n * d + 2 * n * served, BUDGET, rtol=1e-10)
    ratio = t["alpha"] * t["A"] * n ** -t["alpha"] / (t["beta"] * t["B"] * d ** -t["beta"])
    np.testing.assert_allclose(ratio, 1 + served / (3 * d), rtol=1e-8)


def test_waste_under_a_lifetime_is_what_a_dense_search_finds(point_fit):
    fit, cost = point_fit(**BESIROGLU), sf.costs.Lifetime(2e12)
    plan = sf.plan(fit, BUDGET, cost=cost, params=90e9)
    target = loss_of(fit, plan.params, plan.tokens)
    sizes = np.geomspace(1e9, 1e12, 400_001)
    reducible = target - fit.theta["E"] - fit.theta["A"] * sizes ** -fit.theta["alpha"]
    with np.errstate(invalid="ignore"):
        tokens = (fit.theta["B"] / reducible) ** (1 / fit.theta["beta"])
    least = np.nanmin(cost.total(sizes, tokens))
    assert plan.wasted_compute == pytest.approx(1 - least / BUDGET, abs=1e-8)


def test_a_budget_in_money_is_spent_in_money(law_fit):
    machines = sf.Machines()
    in_money = sf.costs.Lifetime.in_money(2e12, training=machines)
    plan = sf.plan(law_fit, "$1M", cost=in_money, machines=machines)
    same = sf.plan(law_fit, "$1M", cost=sf.costs.Lifetime(2e12), machines=machines)
    assert in_money.total(plan.params, plan.tokens) == pytest.approx(1e6)
    assert plan.params == pytest.approx(same.params, rel=1e-9)
    assert plan.wasted_money.mean() == pytest.approx(same.wasted_money.mean(), rel=1e-6)


def test_the_bill_is_in_every_unit(law_fit):
    plan = sf.plan(law_fit, "512 H100 x 30 days @ 40%")
    bill = plan.bill
    assert bill["days"] == pytest.approx(30)
    assert bill["accelerator_hours"] == pytest.approx(512 * 720)
    assert bill["money"] == pytest.approx(2 * 512 * 720)
    assert plan.wasted_money.mean() == pytest.approx(bill["money"] * plan.wasted_compute)


# Constraints and risk


def test_limits_hold_and_have_a_price(law_fit):
    free = sf.plan(law_fit, BUDGET)
    capped = sf.plan(law_fit, BUDGET, max_params="30B")
    assert capped.params == pytest.approx(30e9)
    assert capped.cost_of_constraints == pytest.approx(capped.wasted_compute - free.wasted_compute)
    assert capped.cost_of_constraints > 0.2
    assert sf.plan(law_fit, BUDGET, max_params="1T").params == free.params
    assert sf.plan(law_fit, BUDGET, tokens="2T").tokens == pytest.approx(2e12)
    trained_on = sf.plan(law_fit, BUDGET, overtrain=4)
    assert trained_on.tokens_per_param == pytest.approx(4 * free.tokens_per_param)
    assert 6 * trained_on.params * trained_on.tokens == pytest.approx(BUDGET)


def test_eighteen_percent_in_size_costs_one_percent(law_fit):
    plan = sf.plan(law_fit, BUDGET)
    low, high = plan.near_optimal
    assert high / plan.params == pytest.approx(1.18, abs=0.015)
    assert plan.params / low == pytest.approx(1.18, abs=0.015)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"params": "7B", "tokens": "1T"}, "Give one of them"),
        ({"max_params": -1}, "positive number"),
        ({"params": 1e30}, "too small"),
        ({"params": 8e9, "max_params": 7e9}, "above the cap"),
    ],
)
def test_limits_that_leave_no_room_say_so(small_fit, limits, words):
    with pytest.raises(sf.ScalefitError, match=words):
        sf.plan(small_fit, 1e22, **limits)


# Shapes to build


@pytest.mark.parametrize("family", ["gpt", "llama-2", "mixtral"])
def test_a_plan_rounds_to_a_shape_at_its_price(law_fit, family):
    """The exact count, on the tokens the budget leaves it, and what a plan held to that count wastes more."""
    plan = sf.plan(law_fit, BUDGET, family=family)
    built = plan.deployment
    assert built.params == built.shape.total
    assert built.params == pytest.approx(plan.params, rel=0.05)
    assert 6 * built.params * built.tokens == pytest.approx(BUDGET)
    held = sf.plan(law_fit, BUDGET, params=built.params)
    assert built.waste == pytest.approx(held.wasted_compute - plan.wasted_compute, abs=1e-9)
    assert built.loss == pytest.approx(held.loss - plan.loss, abs=1e-12)
    assert 0 <= built.loss < 1e-4


def test_a_shape_keeps_within_the_cap(law_fit):
    built = sf.plan(law_fit, BUDGET, family="llama-2", max_params=7e9).deployment
    assert 6.5e9 < built.params <= 7e9
    with pytest.raises(sf.errors.OptionError, match="no family"):
        sf.plan(law_fit, BUDGET, family="lama")


def test_compute_counted_over_shapes_leaves_fewer_tokens(law_fit):
    """Attention's FLOP are in the budget, the more so for small models: a larger model on fewer tokens."""
    plain = sf.plan(law_fit, 1e21)
    counted = sf.plan(law_fit, 1e21, cost=sf.costs.Counted.of("chinchilla", "palm"))
    assert counted.flops == pytest.approx(1e21)
    assert counted.params * counted.tokens < 0.95 * plain.params * plain.tokens
    sizes = counted.params * np.array([0.9, 1.1])
    losses = [loss_of(law_fit, n, counted.cost.tokens_for(1e21, n)).mean() for n in sizes]
    assert min(losses) > counted.loss


def test_a_mixture_has_more_parameters_for_the_same_compute(law_fit):
    """Only the active share costs: 1 / share times the budget of a dense model."""
    sparse = sf.plan(law_fit, BUDGET, cost=sf.costs.SixND(active=0.25))
    dense = sf.plan(law_fit, 4 * BUDGET)
    assert sparse.params == pytest.approx(dense.params, rel=1e-6)
    assert sparse.tokens == pytest.approx(dense.tokens, rel=1e-6)
    assert sparse.flops == pytest.approx(BUDGET)


# Risk


def test_cvar_is_the_mean_of_the_worst():
    assert cvar(np.arange(100.0), 0.95) == pytest.approx(97.0)
    assert cvar(np.arange(100.0), 0.0) == pytest.approx(49.5)
    with pytest.raises(sf.ScalefitError):
        cvar(np.arange(3.0), 1.0)


def test_risk_minimises_the_tail_behind_an_uncertain_wall(law_fit):
    """There the tail is lopsided, and the plan differs from the mean's; no size on a grid has a better tail."""
    wall = {"unique_tokens": sf.Between(0.5e12, 2e12)}
    mean, safe = sf.plan(law_fit, BUDGET, **wall), sf.plan(law_fit, BUDGET, risk=0.95, **wall)
    assert safe.cvar(of="regret") < mean.cvar(of="regret")
    assert abs(np.log(safe.params / mean.params)) > 0.05
    for factor in np.exp([-0.1, -0.02, 0.02, 0.1]):
        other = sf.plan(law_fit, BUDGET, params=safe.params * factor, **wall)
        assert other.cvar(of="regret") > safe.cvar(of="regret")


# Targets


def test_the_least_budget_for_a_loss_is_the_closed_form(law_fit):
    """C(L) = 6 [K / (L - E)]^(1/gamma) and N = [A (1 + alpha/beta) / (L - E)]^(1/alpha)."""
    found, t = sf.target(law_fit, 1.95), law_fit.theta
    alpha, beta, left = t["alpha"], t["beta"], 1.95 - t["E"]
    n = (t["A"] * (1 + alpha / beta) / left) ** (1 / alpha)
    d = (t["B"] * (1 + beta / alpha) / left) ** (1 / beta)
    np.testing.assert_allclose(found.draws["N_opt"], n, rtol=1e-6)
    np.testing.assert_allclose(found.draws["budget"], 6 * n * d, rtol=1e-6)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_sure_plan_is_sure_and_none_cheaper_is(law_fit, confidence):
    found = sf.target(law_fit, 1.95, confidence=confidence)
    reached = loss_of(law_fit, found.sure.params, found.sure.tokens) <= 1.95 * (1 + 1e-9)
    assert reached.mean() == pytest.approx(found.sure.chance)
    assert confidence <= found.sure.chance < confidence + 0.002
    assert found.even.chance == pytest.approx(0.5, abs=0.002)
    assert found.sure.chance_one_run < found.sure.chance
    for n in found.sure.params * np.exp(np.linspace(-1, 1, 41)):
        d = 0.999 * found.sure.cost / 6 / n
        assert np.mean(loss_of(law_fit, n, d) <= 1.95) < confidence


def test_a_loss_below_the_irreducible_one_is_out_of_reach(law_fit):
    with pytest.raises(sf.ScalefitError, match="out of reach in"):
        sf.target(law_fit, 1.8)


def test_a_cap_makes_a_target_dearer(law_fit):
    free, capped = sf.target(law_fit, 1.95), sf.target(law_fit, 1.95, max_params="60B")
    assert capped.sure.params <= 60e9 * (1 + 1e-9)
    assert capped.sure.cost > free.sure.cost


# Lifetimes: Sardana et al. 2024 (arXiv 2401.00448), with its working constants


def test_seven_billion_quality_with_little_inference(point_fit):
    life = sf.lifetime(point_fit(**SARDANA), "7B", sf.costs.Lifetime(1e11))
    assert life.params == pytest.approx(6.00e9, rel=5e-3)
    assert life.params / 7e9 == pytest.approx(0.857, rel=5e-3)
    assert life.tokens / life.reference[1] == pytest.approx(1.18, rel=5e-3)


def test_thirteen_billion_quality_forced_into_seven(point_fit):
    fit, cost = point_fit(**SARDANA), sf.costs.Lifetime(2e12)
    forced = sf.lifetime(fit, "13B", cost, params="7B")
    total, saved = forced.draws["total"][0], forced.draws["saved"][0]
    assert saved == pytest.approx(0.174, rel=5e-3)
    assert total * saved / (1 - saved) == pytest.approx(1.69e22, rel=5e-3)
    free = sf.lifetime(fit, "13B", cost)
    assert (free.params, free.tokens) == pytest.approx((6.97e9, 1.248e12), rel=5e-3)


def test_a_loss_served_two_trillion_times(point_fit):
    life = sf.lifetime(point_fit(**SARDANA), 1.947, sf.costs.Lifetime(2e12))
    assert (life.params, life.tokens) == pytest.approx((2.418e10, 2.657e12), rel=1e-3)
    shares = life.params / life.reference[0], life.tokens / life.reference[1], 1 - life.draws["saved"][0]
    assert shares == pytest.approx((0.7096, 1.4677, 0.9522), rel=1e-3)


def test_uncertain_inference_is_decided_by_its_expectation(law_fit):
    rough = sf.Between(1e11, 1e13)
    life = sf.lifetime(law_fit, "7B", sf.costs.Lifetime(rough))
    known = sf.lifetime(law_fit, "7B", sf.costs.Lifetime(rough.mean))
    assert life.params == pytest.approx(known.params, rel=0.03)  # the draws' mean is the mean to sampling error
    assert life.draws["wasted"].mean() > 5 * known.draws["wasted"].mean()
    assert (life.draws["wasted"] > -1e-9).all()


def test_no_size_costs_less_in_expectation(law_fit):
    cost = sf.costs.Lifetime(2e12)
    best = sf.lifetime(law_fit, "13B", cost)
    for factor in (0.9, 0.97, 1.03, 1.1):
        other = sf.lifetime(law_fit, "13B", cost, params=best.params * factor)
        assert other.draws["total"].mean() > best.draws["total"].mean()
    level = loss_of(law_fit, *best.reference)
    np.testing.assert_allclose(loss_of(law_fit, best.params, best.draws["tokens"]), level, rtol=1e-9)


def test_the_pareto_set_trades_training_for_inference(law_fit):
    table = sf.lifetime(law_fit, "7B", sf.costs.Lifetime(2e12)).pareto()
    assert (np.diff(table["serving", ""]) > 0).all()
    assert (np.diff(table["training", "median"])[:-1] < 0).all()


def test_a_quality_that_no_size_reaches(law_fit):
    with pytest.raises(sf.ScalefitError, match="reach"):
        sf.lifetime(law_fit, 1.80, sf.costs.Lifetime(2e12))
    with pytest.raises(sf.ScalefitError, match="do not reach"):
        sf.lifetime(law_fit, "70B", sf.costs.Lifetime(2e12), params="2B")


# The data wall


def test_a_hard_wall_stops_the_tokens(law_fit):
    plan, free = sf.plan(law_fit, BUDGET, unique_tokens=5e11), sf.plan(law_fit, BUDGET)
    assert plan.tokens == pytest.approx(5e11, rel=1e-6)
    assert plan.params == pytest.approx(BUDGET / 6 / 5e11, rel=1e-6)
    assert plan.data_wall.probability == 1.0
    np.testing.assert_allclose(plan.data_wall.penalty, plan.draws["loss"] - free.draws["loss"], atol=1e-12)
    more = sf.plan(law_fit, BUDGET, unique_tokens=5e11 * 1.01)
    assert plan.data_wall.value == pytest.approx(plan.loss - more.loss, rel=1e-6)
    assert "no unique tokens" in plan.assumptions.wall


def test_a_distant_wall_changes_nothing(law_fit):
    plan, free = sf.plan(law_fit, BUDGET, unique_tokens=1e14), sf.plan(law_fit, BUDGET)
    assert plan.params == pytest.approx(free.params, rel=1e-9)
    assert (plan.data_wall.probability, plan.data_wall.value) == (0.0, pytest.approx(0, abs=1e-12))


def test_an_uncertain_wall_is_decided_by_expected_loss(law_fit):
    plan = sf.plan(law_fit, BUDGET, unique_tokens="0.5T..2T")
    unique = plan.data_wall.unique_tokens
    sizes = plan.params * np.exp(np.linspace(-0.5, 0.5, 201))
    expected = [loss_of(law_fit, n, np.minimum(BUDGET / 6 / n, unique)).mean() for n in sizes]
    assert np.argmin(expected) in (99, 100, 101)
    assert 0.5 < plan.data_wall.probability < 0.9
    assert plan.data_wall.probability == pytest.approx(np.mean(sf.plan(law_fit, BUDGET).draws["D_opt"] > unique))


def test_limits_hold_behind_a_wall(law_fit):
    """What more data would be worth is asked under the same cap."""
    plan = sf.plan(law_fit, BUDGET, unique_tokens=1e12, max_params="30B")
    assert (plan.params, plan.tokens) == pytest.approx((30e9, 1e12))  # more tokens would buy nothing
    exact = loss_of(law_fit, 30e9, 1e12).mean() - loss_of(law_fit, 30e9, 1.01e12).mean()
    assert plan.data_wall.value == pytest.approx(exact, rel=1e-6)


@pytest.fixture
def repeating(small_fit):
    """The published constants of a law that knows what repetition is worth."""
    law = find_law("data-constrained")
    draws = {**small_fit.draws, **law.reference()[0].theta}
    draws = {name: np.full((1, 1), np.mean(value)) for name, value in draws.items()}
    return replace(small_fit, model=sf.Model(law=law), draws=draws, kind="point")


def test_repetition_at_the_published_optimum(repeating):
    """Muennighoff et al. 2023 (arXiv 2305.16264): C = 1e22, 25 billion unique tokens."""
    plan = sf.plan(repeating, 1e22, unique_tokens=25e9)
    assert (plan.params, plan.tokens) == pytest.approx((7.026e9, 2.372e11), rel=1e-3)
    assert plan.tokens / 25e9 == pytest.approx(9.488, rel=1e-3)
    assert plan.loss == pytest.approx(2.222129, rel=1e-5)
    assert plan.data_wall.probability == 1.0
    assert "data-constrained" in plan.assumptions.wall


def test_without_a_wall_such_a_law_takes_fresh_data(repeating):
    plan, distant = sf.plan(repeating, 1e22), sf.plan(repeating, 1e22, unique_tokens=1e15)
    assert plan.tokens_per_param == pytest.approx(19.6, rel=0.01)  # alpha = beta: the same at every budget
    assert distant.params == pytest.approx(plan.params, rel=1e-9)
    assert distant.data_wall.probability == 0.0


def test_a_law_without_tokens_has_no_plan(small_fit, monkeypatch):
    fit = replace(small_fit, model=small_fit.model)
    monkeypatch.setattr(type(fit.model.law), "inputs", ("params",))
    with pytest.raises(sf.ScalefitError, match="no allocation to optimise"):
        sf.plan(fit, 1e22)


# Rules of thumb


def test_rules_are_what_their_authors_wrote():
    """Kaplan's compute is in PF-days: in FLOP the rule asks for 4e16 parameters."""
    assert kaplan(3.14e23) == pytest.approx(5.16e11, rel=0.01)
    n = twenty_to_one(BUDGET)
    assert 6 * n * 20 * n == pytest.approx(BUDGET)


@pytest.mark.parametrize(("budget", "waste"), [(5.76e23, 0.0043), (3.8e25, 0.0097), (1e27, 0.0157)])
def test_twenty_to_one_has_a_small_price_that_grows(law_fit, budget, waste):
    """Monte Carlo error as for the plan's own waste; 5 % more for the reference's rounding."""
    rules = sf.rules_of_thumb(law_fit, budget)
    assert rules.draws["20 tokens per parameter"]["wasted_compute"].mean() == pytest.approx(waste, rel=0.15)


def test_point_fits_can_be_priced(law_fit, point_fit):
    rules = sf.rules_of_thumb(law_fit, BUDGET, point_fits={"Besiroglu 2024": point_fit(**BESIROGLU)})
    assert rules.params["Besiroglu 2024"] == pytest.approx(7.225e10, rel=1e-3)
    table = rules.summary()
    assert table.loc["Besiroglu 2024", ("wasted_compute", "mean")] == pytest.approx(0.0041, rel=0.12)
    assert table.loc["Kaplan 2020", ("wasted_compute", "mean")] > 0.8
    plan = sf.plan(law_fit, BUDGET)
    assert (table["wasted_compute", "mean"] >= plan.wasted_compute - 1e-9).all()


@pytest.mark.slow
def test_single_precision_decides_alike(law_fit):
    """What accelerators compute in. The slope of budget / (6 N) does not fit into float32."""

    def answers():
        plan, found = sf.plan(law_fit, 5.76e23), sf.target(law_fit, 2.0)
        life = sf.lifetime(law_fit, "7B", sf.costs.Lifetime(2e12))
        audited = sf.audit(law_fit, ["70B:1.4T"]).draws
        compared = sf.compare_runs(law_fit, "gopher", "chinchilla")
        numbers = {"params": plan.params, "waste": np.mean(plan.draws["wasted_compute"]), "least": found.even.cost}
        numbers |= {"life": life.params} | {name: np.median(values) for name, values in audited.items()}
        return numbers | {"speedup": np.median(compared.draws["speedup"])}

    with sf.precision("float32"):
        single = answers()
    for name, value in answers().items():
        assert single[name] == pytest.approx(value, rel=2e-2, abs=1e-4), name
