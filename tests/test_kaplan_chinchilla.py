"""Pearce & Song's figures, the local slope against their closed form and against brute force."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from brute_force import thinned

import scalefit as sf
from scalefit.counting import OMEGA, to_total
from scalefit.laws import find_law

BESIROGLU, HOFFMANN = (published.theta for published in find_law("chinchilla").reference())


@pytest.mark.parametrize(
    ("theta", "without", "total", "loss"),
    [(BESIROGLU, 0.7805, 0.5154, -0.0690), (HOFFMANN, 0.7388, 0.4577, -0.0659)],
    ids=["besiroglu", "hoffmann"],
)
def test_the_published_slopes(theta, without, total, loss):
    found = sf.reconcile(theta).studied
    assert found["non_embedding"][0] == pytest.approx(without, abs=0.002)
    assert found["total"][0] == pytest.approx(total, abs=0.002)
    assert found["loss"][0] == pytest.approx(loss, abs=0.002)


def closed_form_flops(theta, n):
    """C of which N is the optimum, both without embeddings (Pearce & Song 2024)."""
    alpha, beta = theta["alpha"], theta["beta"]
    ratio = (beta / alpha * theta["B"] / theta["A"]) ** (1 / beta)
    return 6 * n * (n + OMEGA / 3 * np.cbrt(n)) ** (-1 / beta) * to_total(n) ** ((1 + alpha) / beta) * ratio


def test_the_path_is_the_closed_form_and_its_slope_the_derivative():
    found = sf.reconcile(HOFFMANN)
    np.testing.assert_allclose(found.flops["non_embedding"][0], closed_form_flops(HOFFMANN, found.params), rtol=1e-9)
    step = 1e-4
    rise = np.log(closed_form_flops(HOFFMANN, found.params * np.exp([[step], [-step]])))
    np.testing.assert_allclose(found.slope["non_embedding"][0], 2 * step / (rise[0] - rise[1]), rtol=1e-6)
    np.testing.assert_allclose(found.slope["total"][0], 0.2849083 / (0.2849083 + 0.33917084), rtol=1e-9)


def test_the_path_is_where_the_loss_is_least():
    found = sf.reconcile()
    for index in (20, 60, 100):
        flops = found.flops["non_embedding"][0, index]
        n = found.params[index] * np.geomspace(0.5, 2, 20_001)
        theta = BESIROGLU
        loss = theta["A"] * to_total(n) ** -theta["alpha"] + theta["B"] * (flops / 6 / n) ** -theta["beta"]
        assert n[loss.argmin()] == pytest.approx(found.params[index], rel=2e-3)


def test_without_embeddings_to_leave_out_both_ways_agree():
    found = sf.reconcile(omega=1e-9)
    np.testing.assert_allclose(found.slope["non_embedding"], found.slope["total"], rtol=1e-6)
    assert sf.reconcile().slope["non_embedding"].max() > 0.9


def test_a_fit_gives_intervals(small_fit):
    found = sf.reconcile(small_fit, discrepancy=False)
    draws = small_fit.theta["alpha"].size
    assert found.slope["total"].shape == (draws, len(found.params))
    a = small_fit.theta["beta"] / (small_fit.theta["alpha"] + small_fit.theta["beta"])
    np.testing.assert_allclose(found.slope["total"][:, 0], a, rtol=1e-6)
    table = found.summary(prob=0.8)
    assert (table["lower"] < table["median"]).all()
    assert table.loc["a, without embeddings", "lower"] > table.loc["a, in total", "upper"]
    one = sf.reconcile({name: values[-1] for name, values in small_fit.theta.items()})
    assert one.studied["non_embedding"][0] == pytest.approx(found.studied["non_embedding"][-1], rel=1e-9)


@pytest.fixture(scope="module")
def with_discrepancy(small_fit):
    """Of few draws, for each takes a search at every size."""
    return sf.reconcile(thinned(small_fit))


@pytest.mark.slow
def test_a_discrepancy_widens_the_intervals(small_fit, with_discrepancy):
    law, joint = sf.reconcile(small_fit, discrepancy=False).summary(), with_discrepancy.summary()
    assert (joint["upper"] - joint["lower"] > law["upper"] - law["lower"]).all()


def test_what_cannot_be_reconciled_is_refused(chinchilla, quick):
    without = sf.fit(chinchilla.with_convention("non_embedding"), engine=quick)
    with pytest.raises(sf.DataError, match="total params are meant"):
        sf.reconcile(without)
    with pytest.raises(sf.ScalefitError, match="lack beta"):
        sf.reconcile({name: value for name, value in BESIROGLU.items() if name != "beta"})
    with pytest.raises(sf.ScalefitError, match="three sizes"):
        sf.reconcile(sizes=[1e6, -1e6, 1e8])


def test_the_picture_shows_both_ways(with_discrepancy, tmp_path):
    ax = sf.plots.reconcile(with_discrepancy)
    words = " ".join(text.get_text() for text in ax.texts)
    assert "0.73" in words
    assert "the study reports 0.7" in words
    assert sf.plots.save(ax, tmp_path / "kaplan_chinchilla.png").stat().st_size > 20_000
    plt.close("all")
