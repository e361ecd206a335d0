"""Large tables are squashed to few weighted runs, and their posterior is that of all runs nevertheless."""

import jax
import numpy as np
import pytest
from conftest import TRUTH, simulated
from numpy.testing import assert_allclose

import scalefit as sf
from scalefit._precision import precision
from scalefit.model import squashing
from scalefit.model.robust_fit import robust_fit
from scalefit.model.squashing import squashed
from scalefit.numerics.kd_tree import kd_order
from scalefit.sampling import discrepancy_posterior
from scalefit.sampling.discrepancy_posterior import pivots_of, sample_discrepancy_posterior


@pytest.fixture(scope="module")
def bound():
    """2,400 runs around a known law."""
    return sf.Model().bind(simulated(budgets=40, sizes=60))


def at_truth(bound):
    return {name: float(value) for name, value in bound.to_unit(TRUTH).items()}


@pytest.fixture(scope="module")
def truth(bound):
    return at_truth(bound)


def rest(bound, theta, runs):
    """ln loss less the law's, by the raw formula."""
    raw = {name: float(value) for name, value in bound.to_raw(theta).items()}
    terms = raw["A"] * runs.params ** -raw["alpha"] + raw["B"] * runs.tokens ** -raw["beta"]
    return np.log(runs.loss) - np.log(raw["E"] + terms)


def test_squashing_keeps_what_sums_of_runs_are(bound, truth):
    """Their number; the means of ln N and ln D; what a reference leaves, its square, and its products with both."""
    few, counts = squashed(bound, truth)
    assert len(few.runs) < 0.4 * len(bound.runs)
    assert counts.sum() == pytest.approx(len(bound.runs))
    log_x = [{k: np.log(runs[k] / bound.unit[k]) for k in ("params", "tokens")} for runs in (bound.runs, few.runs)]
    reference, scale = robust_fit(bound, truth, log_x[0])
    whole, part = (
        np.log(runs.loss / bound.unit["loss"]) - reference(x)
        for runs, x in zip((bound.runs, few.runs), log_x, strict=True)
    )
    assert scale == pytest.approx(TRUTH["sigma"], rel=0.1)
    assert counts @ part == pytest.approx(whole.sum(), abs=1e-9)
    assert counts @ part**2 == pytest.approx((whole**2).sum(), rel=1e-9)
    for name in ("params", "tokens"):
        assert counts @ log_x[1][name] == pytest.approx(log_x[0][name].sum(), abs=1e-9)
        assert counts @ (part * log_x[1][name]) == pytest.approx(whole @ log_x[0][name], abs=1e-9)


def test_density_of_few_runs_is_nearly_that_of_all(bound, truth):
    """Between laws a posterior's width apart ln density differs by tenths; with one cell for all runs by far more."""

    def worst(few, counts):
        rng, lacks = np.random.default_rng(0), []
        for _ in range(20):
            law = {name: value * np.exp(0.0004 * rng.normal()) for name, value in truth.items()}
            of = lambda runs, weight: weight @ StudentT(law, rest(bound, law, runs))  # noqa: B023
            lacks.append(of(bound.runs, np.ones(len(bound.runs))) - of(few.runs, counts))
        return np.std(lacks)

    def StudentT(law, r):
        from scipy.stats import t

        return t.logpdf(r, law["nu"], scale=law["sigma"])

    fine = worst(*squashed(bound, truth))
    assert fine < 0.5
    assert worst(*squashed(bound, truth, finer=-6)) > 10 * fine


def test_a_table_of_any_law_and_size_is_squashed():
    """Laws of other inputs, one ray of runs, few runs, and copies of one run."""
    runs = simulated(budgets=3, sizes=4)
    for table in (runs, sf.Runs({k: np.append(runs[k], runs[k]) for k in ("params", "tokens", "loss")})):
        bound = sf.Model("farseer").bind(table)
        middle = {p.name: float(p.prior.quantile(np.array([0.5]))[0]) for p in bound.model.params()}
        few, counts = squashed(bound, middle)
        assert counts.sum() == len(table)
        assert len(few.runs) <= len(table)


def test_leaves_of_a_tree_are_as_large_and_as_narrow():
    """Every leaf has as many points as any other, give or take one, and is narrow across the wider coordinate."""
    points = np.random.default_rng(0).normal(size=(1000, 2)) * [10.0, 1.0]
    order = kd_order(points, 4)
    assert sorted(order) == list(range(1000))
    leaves = np.array_split(points[order], 16)
    assert max(np.ptp(leaf[:, 0]) for leaf in leaves[1:-1]) < 0.35 * np.ptp(points[:, 0])
    assert len(kd_order(points[:3], 9)) == 3


def test_ratios_are_those_of_the_densities(bound, truth):
    """ln density of runs by the program, against NumPy, with a discrepancy that pivots pull."""
    from scipy.stats import t

    from scalefit.model.discrepancy import coordinates, kernel
    from scalefit.sampling.whole_table import PULL, log_likelihoods

    at = pivots_of(squashed(bound, truth)[0])[2]
    pull = np.random.default_rng(0).normal(size=len(at.centres)) * 1e-2
    some = np.asarray(at.scales), at.centres
    with precision():
        draws = {**{name: np.array([value]) for name, value in truth.items()}, PULL: pull[None]}
        found = log_likelihoods(bound.model.with_discrepancy_priors, bound.data, *map(jax.numpy.asarray, some), draws)
    f = pull @ kernel(at.scales, at.centres[:, None], coordinates(bound.runs.columns)[None])
    expected = t.logpdf(rest(bound, truth, bound.runs) - f, truth["nu"], scale=truth["sigma"]).sum()
    assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("cells", [squashing.CELLS, 0.4])
def test_the_posterior_is_that_of_all_runs(chinchilla, chinchilla_fit, monkeypatch, cells):
    """By a squashed table, or by a second where the first is far too coarse: quartiles agree with the fit to all runs.

    They do within six standard errors of 1,000 draws of which importance left a quarter: false alarms are one in 1e6.
    """
    monkeypatch.setattr(discrepancy_posterior, "TILE", 64)
    monkeypatch.setattr(squashing, "CELLS", cells)
    bound = chinchilla_fit.bound
    found = sample_discrepancy_posterior(bound, chinchilla_fit.theta, 3)
    expected = chinchilla_fit.discrepancy_posterior
    for name in ("E", "alpha", "beta", "sigma"):
        ours, theirs = found.theta[name], expected.theta[name]
        quartiles = np.quantile(ours, [0.25, 0.5, 0.75]) - np.quantile(theirs, [0.25, 0.5, 0.75])
        assert (np.abs(quartiles) < 6 * 1.36 * theirs.std() * np.sqrt(1 / 250 + 1 / 1000)).all(), name
    assert found.sd_at_runs.mean() == pytest.approx(expected.sd_at_runs.mean(), rel=0.2)


def test_a_table_that_few_runs_cannot_stand_for_is_said(chinchilla_fit, monkeypatch):
    """Two cells, and then eight, for all of a design."""
    monkeypatch.setattr(discrepancy_posterior, "TILE", 64)
    monkeypatch.setattr(squashing, "CELLS", 0.1)
    with pytest.warns(sf.FitWarning, match="take its intervals as rough"):
        sample_discrepancy_posterior(chinchilla_fit.bound, chinchilla_fit.theta, 3)
