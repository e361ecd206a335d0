"""Modes, their derivatives, and importance sampling around them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import TRUTH, compiled, ray, simulated
from scipy import stats

import scalefit as sf
from scalefit._precision import precision
from scalefit.diagnostics.convergence import convergence
from scalefit.infer._contracts import EngineResult
from scalefit.infer.auto import distrust
from scalefit.model.data import TILE, over_draws, over_tiles
from scalefit.model.model import Model
from scalefit.numerics.importance import systematic
from scalefit.numerics.mixture import DF, Mixture, adapted, log_density, sample
from scalefit.numerics.newton import autodiff_value_grad_hess
from scalefit.sampling.alr import alr_potential, constrain_flat, from_alr, to_alr, unconstrain_alr
from scalefit.sampling.modes import derivatives


@pytest.mark.parametrize("noise", ["student-t", "normal"])
def test_derivatives_are_those_of_the_potential(noise):
    with precision():
        bound = Model(noise=noise).bind(simulated())
        potential = partial(alr_potential, bound.model, bound.data)

        def both(truth):
            alr = unconstrain_alr(bound.model, truth) + 0.1
            return derivatives(bound.model, bound.data, alr), autodiff_value_grad_hess(potential)(alr)

        found, expected = compiled(both)({name: float(value) for name, value in bound.to_unit(TRUTH).items()})
    for ours, exact in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, exact, rtol=1e-9, atol=1e-9 * np.abs(exact).max())


def test_a_large_table_is_summed_tile_by_tile():
    rng = np.random.default_rng(0)
    x = {"params": 10 ** rng.uniform(8, 10, 3 * TILE), "tokens": 10 ** rng.uniform(9, 11, 3 * TILE)}
    bound = Model().bind(sf.Runs({**x, "loss": Model().simulate(TRUTH, x)}))
    with precision():
        data = bound.data
        assert len(data.weight) % TILE == 0
        whole = lambda tile: (tile.weight * tile.log_loss**2).sum()
        scaled = lambda s, data: over_tiles(lambda tile: s**2 * whole(tile), data)
        expected = float((np.asarray(data.weight) * np.asarray(data.log_loss) ** 2).sum())
        value, slope = compiled(jax.value_and_grad(scaled))(1.5, data)
        assert value == pytest.approx(1.5**2 * expected)
        assert slope == pytest.approx(3 * expected)


def test_a_start_that_leads_nowhere_gives_way_to_the_best():
    """One component without a number would leave every proposal without a density."""
    from scalefit.sampling.modes import modes_from

    hole = lambda z: jnp.where(z[0] > 50, jnp.nan, ((z - 1.0) ** 2).sum())
    find = compiled(partial(modes_from, autodiff_value_grad_hess(hole)))
    found = find(jnp.asarray([[100.0, 0.0], [3.0, 0.0]]))
    np.testing.assert_allclose(found.mode, 1.0, atol=1e-3)


@pytest.mark.parametrize("each", [1, 10, 10**9])
def test_draws_are_mapped_in_groups_of_one_size(each, monkeypatch):
    """12 draws of 128 rows: all at once, four at a time, one at a time."""
    from scalefit.model import data as tables

    monkeypatch.setattr(tables, "POINTS", 5 * 10 * 128)
    seen = []

    def square(x, y):
        seen.append(x)
        return {"square": x * y}

    data = Model().bind(simulated()).data
    x = jnp.arange(12.0)
    np.testing.assert_array_equal(over_draws(square, data, each)(x, x)["square"], x**2)
    assert len(seen) == 1, "a group of another size would be compiled again"


@pytest.mark.parametrize("law", ["chinchilla", "moe-granular", "power-law", "kaplan"])
def test_alr_coordinates_lead_back_and_keep_volume(law):
    """So that a density needs no Jacobian; the first of them is the logarithm of the linear parameters' sum."""
    with precision():
        model = Model(law)
        flat = np.random.default_rng(0).normal(size=len(model.params()))

        @compiled
        def look(flat):
            alr = to_alr(model, flat)
            return alr, from_alr(model, alr), jax.jacfwd(partial(to_alr, model))(flat), constrain_flat(model, flat)

        alr, back, slopes, theta = look(flat)
        np.testing.assert_allclose(back, flat, rtol=1e-12)
        _, log_volume = np.linalg.slogdet(slopes)
        assert log_volume == pytest.approx(0, abs=1e-12)
        if model.law.linear:
            at = sorted(theta).index(model.law.linear[0])
            assert np.exp(alr[at]) == pytest.approx(sum(float(theta[name]) for name in model.law.linear))


def two_components():
    scale = np.array([[[1.0, 0.0], [0.5, 0.8]], [[0.3, 0.0], [0.0, 0.3]]])
    return Mixture(*map(jnp.asarray, (np.log([0.7, 0.3]), np.array([[0.0, 0.0], [3.0, 1.0]]), scale)))


def test_the_mixture_has_the_density_it_is_drawn_from():
    """Weights of its own draws against a known t distribution have mean one: 5 standard errors, 1 in a million."""
    with precision():

        @compiled
        def drawn(mixture):
            z = sample(mixture, jax.random.PRNGKey(0), 200_000)
            return z, log_density(mixture, z)

        z, log_proposal = map(np.asarray, drawn(two_components()))
        norm = stats.multivariate_t(df=DF, shape=np.eye(2)).logpdf([0, 0])  # of a component of unit scale
        target = stats.multivariate_t(loc=[1, 0], shape=np.eye(2), df=20).logpdf(z)
        ratio = np.exp(target - log_proposal - norm)
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / np.sqrt(len(ratio))


def test_adaptation_moves_towards_what_is_weighted():
    with precision():
        mixture = two_components()
        z = jnp.asarray(np.random.default_rng(0).normal([1.0, -1.0], [0.2, 0.5], (4000, 2)))
        step = compiled(adapted)
        for _ in range(20):
            mixture = step(mixture, z, np.full(4000, 1 / 4000))
        share = np.exp(np.asarray(mixture.log_weight))
        assert share @ np.asarray(mixture.mean) == pytest.approx([1.0, -1.0], abs=0.05)


def test_systematic_resampling_keeps_every_draws_share():
    with precision():
        weight = np.random.default_rng(0).dirichlet(np.ones(500))
        chosen = compiled(lambda key, weight: systematic(key, weight, 2000))(jax.random.PRNGKey(1), jnp.asarray(weight))
        kept = np.bincount(np.asarray(chosen), minlength=500)
    assert np.abs(kept - 2000 * weight).max() < 1
    assert kept.sum() == 2000


def test_two_modes_are_both_found_and_reported():
    """alpha and beta change places: half of the draws in either mode, give or take 5 standard errors of 400 draws."""
    fit = sf.fit(ray(0.6, 0.2))
    assert np.mean(fit.draws["alpha"] > fit.draws["beta"]) == pytest.approx(0.5, abs=5 * 0.5 / 20)
    assert {check.name: check.verdict for check in fit.health.checks}["modes"] == "review"


@pytest.mark.slow
def test_a_posterior_that_weights_cannot_follow_goes_to_nuts():
    """Eight runs, and proposals that may not adapt: k is 0.9 here, and the reason stands first in the health."""
    engine = sf.Auto(first=sf.AIS(rounds=0), fallback=sf.NUTS(draws=100, warmup=100))
    fit = sf.fit(simulated(budgets=2, sizes=4), engine=engine)
    assert "diverging" in fit.stats
    assert fit.health.checks[0].name == "engine"
    assert "Pareto k" in fit.health.checks[0].sentence


def test_importance_sampling_is_trusted_where_it_is_good(chinchilla_fit):
    """In logarithms instead of ALR coordinates, k is about 0.4."""
    assert chinchilla_fit.stats["pareto_k"].max() < 0.2
    assert not any(check.name == "engine" for check in chinchilla_fit.health.checks)
    assert distrust("it failed")


def test_few_effective_draws_are_distrusted_whatever_k_says():
    """Draws that stand for themselves alone are trusted; where 4,000 weigh as much as 82, another engine is asked."""
    for effective, reason in ((4000, ""), (82, "importance sampling left 82 effective draws")):
        log_weight = np.full((4, 1000), np.log(4000 / effective))
        stats = {"pareto_k": np.full((4, 1000), 0.64), "modes": np.ones((4, 1000)), "log_weight": log_weight}
        assert distrust(EngineResult({}, stats)) == reason


def test_effective_draws_count_repeats():
    """Every draw four times in a row is a quarter as many draws."""
    draws = np.repeat(np.random.default_rng(0).normal(size=(4, 250)), 4, axis=1)
    assert convergence({"x": draws})["x"]["ess_bulk"] == pytest.approx(1000, rel=0.15)
