"""Every answer with discrepancy against the same draws on a dense grid: three tables, three budgets."""

import numpy as np
import pytest
from brute_force import STEP, BruteForce, first_crossing, thinned
from conftest import simulated

import scalefit as sf
from scalefit.planning._grid import MOST
from scalefit.planning._regret import cvar

TABLES = ("chinchilla", "simulated", "slow")
BUDGETS = (0.3, 44.0, 1000.0)  # times the largest run's compute
SIX_ND = lambda n, d: 6 * n * d


@pytest.fixture(scope="module")
def fits(chinchilla_fit, small_fit, quick):
    """Name -> a fit of few draws: Chinchilla's runs, runs of its law, and of one with slow exponents."""
    slow = {"E": 1.6, "A": 20.0, "B": 60.0, "alpha": 0.2, "beta": 0.22, "sigma": 0.004, "nu": 4.0}
    other = sf.fit(simulated(seed=3, theta=slow), engine=quick)
    return dict(zip(TABLES, map(thinned, (chinchilla_fit, small_fit, other)), strict=True))


@pytest.fixture(scope="module")
def grids(fits):
    return {name: BruteForce(fit, low=(2e7, 1e9), high=(2e14, 1e17)) for name, fit in fits.items()}


@pytest.fixture(params=TABLES)
def case(request, fits, grids):
    fit, grid = fits[request.param], grids[request.param]
    return fit, grid, [grid.budget(times * fit.compute_range[1]) for times in BUDGETS]


def near(found, expected, share=1.0, atol=STEP):
    """Within `atol` in at least a share of the draws: in the others two optima may be equally good."""
    return np.mean(np.abs(np.asarray(found) - np.asarray(expected)) <= atol) >= share


def test_frontiers(case):
    fit, grid, budgets = case
    found = fit.frontier(budgets)
    for index, budget in enumerate(budgets):
        log_n, losses = grid.line(budget)
        best = losses.argmin(axis=1)
        inside = (best > 0) & (best < len(log_n) - 1)
        assert inside.mean() > 0.9
        np.testing.assert_allclose(found.loss[inside, index], losses.min(axis=1)[inside], rtol=1e-5)
        assert near(np.log(found.params[inside, index]), log_n[best[inside]], 0.96)


def test_plans_waste_tail_risk_and_near_optimal_sizes(case):
    fit, grid, budgets = case
    for budget in budgets:
        plan = sf.plan(fit, budget)
        log_n, losses = grid.line(budget)
        expected = losses.mean(axis=0)
        assert np.log(plan.params) == pytest.approx(log_n[expected.argmin()], abs=STEP)
        assert plan.loss == pytest.approx(expected.min(), rel=1e-5)
        waste = grid.waste(grid.at(plan.params, plan.tokens), budget)
        np.testing.assert_allclose(plan.draws["wasted_compute"], waste, atol=2e-3)
        assert plan.wasted_compute == pytest.approx(waste.mean(), abs=5e-4)
        assert plan.cvar() == pytest.approx(cvar(waste), abs=2e-3)
        # Waste is so flat in N that its ends are compared in waste. Where a draw's optimum jumps from one size to
        # another, the table of least budgets, by cubics, is off.
        rough = 0.01 if grid.jumps(budget) else 1e-3
        everywhere = np.mean([grid.waste(losses[:, i], budget) for i in range(len(log_n))], axis=1)
        ends = np.interp(np.log(plan.near_optimal), log_n, everywhere)
        assert ends == pytest.approx([waste.mean() + 0.01] * 2, abs=rough)
        between = (log_n > np.log(plan.near_optimal[0])) & (log_n < np.log(plan.near_optimal[1]))
        assert everywhere[between].max() < waste.mean() + 0.01 + rough


def test_targets_at_even_odds_and_with_confidence(case):
    fit, grid, budgets = case
    for budget in budgets:
        level = float(np.quantile(sf.plan(fit, budget).draws["loss"], 0.8))
        if not (can := [((grid.loss <= level).mean(axis=0) >= prob).any() for prob in (0.5, 0.8)])[1]:
            with pytest.raises(sf.errors.QuestionError, match="out of reach|no size"):
                sf.target(fit, level, confidence=0.8)
            continue
        assert all(can)
        found = sf.target(fit, level, confidence=0.8)
        least = grid.least_log_budget(level)
        in_reach = least < grid.furthest
        np.testing.assert_allclose(np.log(found.draws["budget"])[in_reach], least[in_reach], atol=3e-3)
        for prob, plan in ((0.5, found.even), (0.8, found.sure)):
            *_, cost = grid.cheapest((grid.loss <= level).mean(axis=0) >= prob, SIX_ND)
            assert plan.cost == pytest.approx(cost, rel=2 * STEP)
            assert plan.chance >= prob
            assert (grid.at(plan.params, plan.tokens) <= level * (1 + 1e-5)).mean() >= prob


def test_lifetimes(case):
    """The size of least expected cost for the quality of a run, and what each draw's own size would save."""
    fit, grid, budgets = case
    for budget in (budgets[0], grid.budget(10 * budgets[0]), grid.budget(30 * budgets[0])):
        at = int(np.searchsorted(grid.n, np.median(np.log(fit.frontier([budget]).params))))
        size = float(np.exp(grid.n[at]))
        run, served = (size, budget / 6 / size), 10.0 * budget / 6 / size
        life = sf.lifetime(fit, f"{run[0]!r}:{run[1]!r}", sf.costs.Lifetime(served))
        tokens = np.exp(grid.tokens_for(grid.at(*run)))
        tokens[tokens > np.exp(MOST + grid.n)] = np.inf  # a million tokens per parameter count as never
        cost = 6 * np.exp(grid.n) * tokens + 2 * np.exp(grid.n) * served
        expected = np.where(np.isfinite(cost), cost, 2 * cost[:, at, None]).mean(axis=0)
        expected[np.isinf(cost).mean(axis=0) > 0.1] = np.inf
        beside = np.abs(grid.n - np.log(life.params)) < 2 * STEP  # where a loss barely touches the level costs jump
        assert expected[beside].min() <= 1.01 * expected.min()
        chosen = cost[:, np.argmin(np.abs(grid.n - np.log(life.params)))]
        assert near(life.draws["total"] / chosen, 1.0, 0.9, 0.02)
        np.testing.assert_allclose(life.draws["wasted"], 1 - cost.min(axis=1) / life.draws["total"], atol=5e-3)


def test_audits(case):
    """Waste, the tokens that balance a size, and the inference that justifies it."""
    fit, grid, budgets = case
    size = np.exp(np.median(np.log(fit.frontier(budgets).params), axis=0))
    small = [float(np.exp(grid.n[np.searchsorted(grid.n, np.log(0.4 * n))] + STEP / 2)) for n in size]
    models = [(n, c / 6 / n) for n, c in zip(small, budgets, strict=True)]
    found = sf.audit(fit, models).draws
    log_c, _ = grid.envelope()
    for index, ((n, d), budget) in enumerate(zip(models, budgets, strict=True)):
        here = grid.at(n, d)
        np.testing.assert_allclose(found["loss"][:, index], here, rtol=1e-6)
        np.testing.assert_allclose(found["wasted_compute"][:, index], grid.waste(here, budget), atol=2e-3)
        balanced = first_crossing(log_c, -grid.optimal_sizes(), np.full(len(here), -np.log(n)))
        assert near(np.log(found["token_ratio"][:, index]), np.log(budget) - balanced, 0.9, 3 * STEP), balanced
        if index == 2:  # in many draws the loss rises again there, and sizes that reach a level have gaps
            continue
        served = grid.served(n, here)
        moderate = np.abs(served) < 30 * d
        off = np.abs(found["served"][:, index] / served - 1)[moderate]
        assert np.median(off) < 0.01
        assert np.mean(off < 0.05) > 0.7


def test_comparisons_and_rules_of_thumb(case):
    fit, grid, budgets = case
    for budget in budgets:
        rules = sf.rules_of_thumb(fit, budget)
        for name, n in rules.params.items():
            if grid.n[0] < np.log(n) < grid.n[-1] and grid.d[0] < np.log(budget / 6 / n):
                here = grid.at(n, budget / 6 / n)
                np.testing.assert_allclose(rules.draws[name]["wasted_compute"], grid.waste(here, budget), atol=2e-3)
        n = rules.params["20 tokens per parameter"]
        runs = (0.5 * n, 40 * n), (1.5 * n, 30 * n)
        found = sf.compare_runs(fit, *runs).draws
        losses = [grid.at(*run) for run in runs]
        np.testing.assert_allclose(found["difference"], losses[0] - losses[1], atol=1e-6)
        least = [grid.least_log_budget(loss) for loss in losses]
        in_reach = np.max(least, axis=0) < grid.furthest
        np.testing.assert_allclose(np.log(found["speedup"])[in_reach], (least[1] - least[0])[in_reach], atol=1e-2)


def test_data_walls(case):
    """Tokens beyond the unique ones change nothing; the plan and each draw's optimum are sought over all sizes."""
    fit, grid, budgets = case
    for budget in budgets[1:]:
        free = sf.plan(fit, budget)
        unique = float(np.exp(grid.d[np.searchsorted(grid.d, np.log(0.3 * free.tokens))]))
        plan = sf.plan(fit, budget, unique_tokens=unique)
        log_n = grid.line(budget)[0]
        losses = grid.walled_line(budget, unique)
        expected = losses.mean(axis=0)
        assert np.log(plan.params) == pytest.approx(log_n[expected.argmin()], abs=STEP)
        assert plan.loss == pytest.approx(expected.min(), rel=2e-5)
        np.testing.assert_allclose(plan.draws["loss"] - plan.draws["regret"], losses.min(axis=1), atol=2e-5)
        np.testing.assert_allclose(plan.data_wall.penalty, plan.draws["loss"] - free.draws["loss"], atol=1e-5)
