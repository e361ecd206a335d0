"""Descents say whether they ended in a minimum, and health passes that on."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import compiled, simulated

import scalefit as sf
from scalefit._precision import precision
from scalefit.diagnostics.sampler import check_search
from scalefit.model import Model
from scalefit.numerics.laplace import all_converged, laplace_at
from scalefit.numerics.newton import autodiff_value_grad_hess, descend, descend_each
from scalefit.sampling.huber import minimise_huber
from scalefit.sampling.starts import projected_starts


def banana(z):
    return (1 - z[0]) ** 2 + 100 * (z[1] - z[0] ** 2) ** 2


POTENTIALS = {
    "a curved valley": (banana, True),
    "no minimum": (lambda z: z.sum(), False),
    "not a number": (lambda z: z.sum() * jnp.nan, False),
    "a valley that never ends": (lambda z: -jnp.log1p(jnp.abs(z).sum()), False),
}


@pytest.mark.parametrize(("potential", "converged"), POTENTIALS.values(), ids=POTENTIALS)
def test_a_descent_says_whether_it_ended_in_a_minimum(potential, converged):
    with jax.enable_x64(True):
        found = compiled(partial(descend, autodiff_value_grad_hess(potential)))(np.array([-1.2, 1.0]))
    assert bool(found.converged) == converged
    if converged:
        np.testing.assert_allclose(found.x, 1.0, atol=1e-6)


def test_a_descent_that_is_cut_short_says_so():
    with jax.enable_x64(True):
        few = compiled(partial(descend_each, autodiff_value_grad_hess(banana), steps=5))
        found = few(np.array([[-1.2, 1.0], [1.0, 1.0]]))
    assert np.asarray(found.converged).tolist() == [False, True]


def test_modes_that_are_negligible_need_not_have_converged():
    with jax.enable_x64(True):
        few = partial(descend_each, autodiff_value_grad_hess(banana), steps=2)
        found = compiled(lambda starts: jax.vmap(laplace_at)(few(starts)))(np.array([[1.0, 1.0], [-3.0, -9.0]]))
        assert np.asarray(found.converged).tolist() == [True, False]
        assert found.value[1] > found.value[0] + 8
        assert all_converged(found)
        assert not all_converged(found._replace(value=jnp.asarray(np.zeros(2))))


@pytest.mark.parametrize("steps", [2, 300])
def test_levenberg_and_marquardt_say_whether_they_arrived(steps):
    model, bound = Model(), Model().bind(simulated())
    search = lambda data, deltas: minimise_huber(model, data, projected_starts(model, data)[0], deltas, steps=steps)
    with precision():
        found = compiled(search)(bound.data, jnp.asarray([0.1, 1e-3]))
    assert bool(found.converged) == (steps == 300)


def search(fit):
    return next(check for check in fit.health.checks if check.name == "convergence of the search")


@pytest.mark.parametrize("engine", [sf.MAP(), sf.Huber(), sf.VPNLS(), sf.Bootstrap(resamples=20), "quick"], ids=str)
def test_searches_on_a_good_table_converge(engine, quick):
    fit = sf.fit(simulated(), engine=quick if engine == "quick" else engine)
    assert fit.stats["converged"].shape == fit.draws["alpha"].shape
    assert (search(fit).verdict, search(fit).value) == ("ok", 1.0)


def copies(chinchilla, seed=0):
    """Forty rows of five distinct runs, which the law fits exactly: the noise goes to its floor."""
    rows = np.repeat(np.random.default_rng(seed).choice(len(chinchilla), 5, replace=False), 8)
    return sf.Runs({name: chinchilla[name][rows] for name in ("params", "tokens", "loss")}, name="copies")


@pytest.mark.parametrize("engine", [sf.MAP(), "quick"], ids=str)
def test_a_search_that_cannot_converge_shows_in_health(engine, quick, chinchilla):
    fit = sf.fit(copies(chinchilla), engine=quick if engine == "quick" else engine)
    assert fit.health.verdict == "fail"  # five different runs
    [lost] = check_search({"converged": np.zeros_like(fit.stats["converged"])}, fit.kind)
    assert lost.verdict == ("review" if engine == "quick" else "fail")


def assert_finite(plan):
    assert np.isfinite([plan.params, plan.tokens, plan.loss, *plan.near_optimal]).all()
    assert all(np.isfinite(plan.draws[name]).all() for name in ("loss", "regret", "wasted_compute", "N_opt", "D_opt"))


@pytest.mark.filterwarnings("ignore::scalefit.errors.FitWarning")
@pytest.mark.parametrize("seed", [0, 2])
def test_a_plan_under_a_degenerate_table_is_finite(seed, quick, chinchilla):
    """The noise of such tables went below rounding, and draws that were NaN reached SciPy."""
    fit = sf.fit(copies(chinchilla, seed), engine=quick)
    assert fit.health.verdict == "fail"
    assert_finite(sf.plan(fit, 1e22, discrepancy=False))
    assert_finite(sf.plan(fit, 1e22, discrepancy=True))
