"""The numeric optimum against closed forms (Hoffmann et al. 2022, equation 4) and dense grids."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scalefit as sf
from scalefit.costs.cost import SixND
from scalefit.frontier.frontier import frontier, optima
from scalefit.frontier.optimum import check_optimum, optimal_log_params
from scalefit.laws import Law, find_law
from scalefit.planning._loss_posterior import LossPosterior
from scalefit.planning._solve import least_log_budget

CHINCHILLA = find_law("chinchilla")
BESIROGLU, HOFFMANN = (published.theta for published in CHINCHILLA.reference())


def closed_form_log_params(theta, flops):
    a = theta["beta"] / (theta["alpha"] + theta["beta"])
    log_g = np.log(theta["alpha"] / theta["beta"]) + np.log(theta["A"]) - np.log(theta["B"])
    return log_g / (theta["alpha"] + theta["beta"]) + a * np.log(flops / 6)


def test_optimum_matches_the_closed_form_for_every_draw_and_budget(law_fit):
    flops = np.geomspace(1e17, 1e27, 100)
    front = law_fit.frontier(flops)
    theta = {name: values[:, None] for name, values in law_fit.theta.items()}
    assert front.params.shape == (4000, 100)
    assert np.abs(np.log(front.params) - closed_form_log_params(theta, flops)).max() < 1e-9
    np.testing.assert_allclose(6 * front.params * front.tokens, np.broadcast_to(flops, (4000, 100)), rtol=1e-12)


@settings(deadline=None, max_examples=50)
@given(st.floats(0.05, 1.0), st.floats(0.05, 1.0), st.floats(-1.0, 3.0), st.floats(15.0, 30.0))
def test_optimum_matches_the_closed_form_over_wide_parameters(alpha, beta, log_ratio, log10_flops):
    theta = {"E": 1.5, "A": 1e9**alpha, "B": np.exp(log_ratio) * 1e10**beta, "alpha": alpha, "beta": beta}
    exact = closed_form_log_params(theta, 10**log10_flops)
    log_k = log10_flops * np.log(10) - np.log(6)
    if not 0 < exact < log_k:
        return  # an optimum of less than one parameter or token is none
    found = frontier(
        CHINCHILLA, {k: np.array([v]) for k, v in theta.items()}, np.array([10**log10_flops]), (1e19, 1e22)
    )
    assert np.log(found.params[0, 0]) == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize(
    ("theta", "params", "per_param", "rel"),
    [(BESIROGLU, 7.225e10, 18.39, 1e-3), (HOFFMANN, 4.04e10, 58.9, 1e-2),
     ({"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}, 3.22e10, 92.7, 1e-2)],
    ids=["besiroglu", "hoffmann-tex", "hoffmann-rounded"],
)  # fmt: skip
def test_published_constants_at_the_gopher_budget(theta, params, per_param, rel):
    found = frontier(CHINCHILLA, {k: np.array([v]) for k, v in theta.items()}, np.array([5.76e23]), (1e19, 1e22))
    assert found.params[0, 0] == pytest.approx(params, rel=rel)
    assert found.tokens_per_param[0, 0] == pytest.approx(per_param, rel=2 * rel)
    if theta is BESIROGLU:
        assert found.loss[0, 0] == pytest.approx(1.9744, abs=1e-4)


def test_published_losses_of_gopher_and_chinchilla():
    rounded = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
    with jax.enable_x64(True):
        x = {"params": jnp.asarray([280e9, 70e9]), "tokens": jnp.asarray([300e9, 1.4e12])}
        np.testing.assert_allclose(CHINCHILLA.loss(rounded, x), [1.9933, 1.9366], atol=1e-4)


def test_equivalent_compute_is_the_published_multiplier():
    """C'/C = (a m^-alpha + b m^beta)^(-1/gamma) at N = m N_opt."""
    alpha, beta = BESIROGLU["alpha"], BESIROGLU["beta"]
    a, gamma = beta / (alpha + beta), alpha * beta / (alpha + beta)
    with jax.enable_x64(True):
        draw = LossPosterior(CHINCHILLA, {k: jnp.asarray(v) for k, v in BESIROGLU.items()}, None)
        loss, log_c = draw.loss, jnp.log(5.76e23)
        best = optimal_log_params(loss, log_c).x
        for m in (0.2, 0.9, 1.0, 1.5, 20.0):
            log_n = best + jnp.log(m)
            target = loss(log_n, log_c - jnp.log(6.0) - log_n)
            saved = float(least_log_budget(draw, SixND(), target, log_c, log_c).x - log_c)
            exact = -np.log(a * m**-alpha + (1 - a) * m**beta) / gamma
            assert saved == pytest.approx(exact, abs=1e-9)


def test_any_law_of_params_and_tokens_has_a_frontier(monkeypatch):
    """A form without a closed optimum, against a dense grid."""
    monkeypatch.setattr(Law, "registry", dict(Law.registry))

    @dataclass(frozen=True)
    class Outer(Law):
        name: ClassVar = "outer"
        equation: ClassVar = "E + ((A/N^alpha)^1.5 + (B/D^beta)^1.5)^(2/3)"
        inputs: ClassVar = ("params", "tokens")
        linear: ClassVar = ()

        def params(self):
            return CHINCHILLA.params()

        def loss(self, theta, x):
            n, d = (theta["A"] * x["params"] ** -theta["alpha"]), (theta["B"] * x["tokens"] ** -theta["beta"])
            return theta["E"] + (n**1.5 + d**1.5) ** (2 / 3)

        def rescale(self, theta, unit):
            return CHINCHILLA.rescale(theta, unit)

        def derived(self, theta):
            return {}

        def reference(self):
            return CHINCHILLA.reference()

    found = frontier(Outer(), {k: np.array([v]) for k, v in BESIROGLU.items()}, np.array([1e21]), (1e19, 1e22))
    grid = np.geomspace(1e8, 1e11, 200_001)
    dense = Outer().loss(BESIROGLU, {"params": grid, "tokens": 1e21 / 6 / grid})
    assert found.params[0, 0] == pytest.approx(grid[np.argmin(dense)], rel=1e-4)
    assert found.loss[0, 0] == pytest.approx(dense.min(), rel=1e-12)


def test_a_nan_draw_harms_no_other_and_is_refused():
    theta = {k: np.array([v, np.nan]) for k, v in BESIROGLU.items()}
    with jax.enable_x64(True):
        log_n, _, converged = optima(CHINCHILLA, theta, np.log([1e21]))
    assert np.isfinite(log_n[0, 0])
    assert np.isnan(log_n[1, 0])
    assert np.asarray(converged).tolist() == [[True], [False]]
    with pytest.raises(sf.errors.QuestionError, match="not a number in 50.00%"):
        frontier(CHINCHILLA, theta, np.array([1e21]), (1e19, 1e22))


@pytest.mark.parametrize(("share", "refused"), [(0.04, False), (0.9, True)])
def test_searches_that_did_not_converge_are_counted_and_most_of_them_are_refused(share, refused):
    """An optimum from a search that is cut short, here by hand, is no optimum."""
    n, converged = np.full(100, 1e9), np.arange(100) >= 100 * share
    if refused:
        with pytest.raises(sf.errors.QuestionError, match="failed in 90%"):
            check_optimum(n, n, converged, what="a budget of 1e21 FLOP", remedy="Use a larger budget")
    else:
        assert check_optimum(n, n, converged, what="it", remedy="Use another") == pytest.approx(share)


def test_a_budget_too_small_for_any_model_is_refused():
    theta = {k: np.array([v]) for k, v in BESIROGLU.items()}
    with pytest.raises(sf.errors.QuestionError, match="100 FLOP is less than one parameter"):
        frontier(CHINCHILLA, theta, np.array([100.0, 1e21]), (1e19, 1e22))


def test_summary_has_flops_for_rows_and_intervals_for_columns(small_fit):
    table = small_fit.frontier([1e21, 1e22], discrepancy=False).summary(prob=0.8)
    assert table.index.tolist() == [1e21, 1e22]
    assert table.index.name == "flops"
    for name in ("params", "tokens", "tokens_per_param", "loss"):
        assert (table[name]["lower"] < table[name]["median"]).all()
        assert (table[name]["median"] < table[name]["upper"]).all()
    exact = np.quantile(small_fit.frontier([1e21], discrepancy=False).loss, [0.1, 0.9])
    np.testing.assert_allclose(table.loc[1e21, "loss"][["lower", "upper"]], exact)


def test_budgets_must_be_positive(small_fit):
    for bad in ([], [-1e21], [np.nan], "x"):
        with pytest.raises(sf.OptionError, match=r"budget|quantity"):
            small_fit.frontier(bad)
