"""Conventions of counting N: stated, converted, and never mixed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scalefit as sf
from scalefit.counting import ARCHITECTURES, OMEGA, embedding_scale, flops_6nd, gopher, to_non_embedding, to_total

OVERTRAINING = Path(__file__).parents[2] / "shared/data/eval/overtraining.csv"
COLUMNS = {"params": [1e8, 2e8, 4e8], "tokens": [2e9, 4e9, 8e9], "loss": [3.0, 2.8, 2.6]}


@settings(deadline=None)
@given(st.floats(1.0, 14.0), st.floats(2.0, 7.0))
def test_embeddings_can_be_added_and_taken_away(log10_params, log10_omega):
    n, omega = 10**log10_params, 10**log10_omega
    assert to_non_embedding(to_total(n, omega), omega) == pytest.approx(n, rel=1e-9)


def test_omega_is_a_vocabulary_and_an_aspect_ratio():
    """32,000 entries, width 39.2 layers; and for shapes of one aspect ratio the relation holds as counted."""
    assert embedding_scale(32000, 39.2) == pytest.approx(OMEGA, rel=3e-4)
    for layers, width in ((8, 512), (32, 2048)):
        shape = gopher(layers, width, width // 64)
        core = 12 * layers * width**2
        assert to_total(core, embedding_scale(32000, width / layers)) == pytest.approx(core + 32000 * width, rel=1e-12)
        assert shape.total > core


def test_runs_say_what_they_count_and_keep_it(tmp_path):
    plain, total = sf.read_runs(COLUMNS), sf.read_runs(COLUMNS, convention="total")
    assert plain.convention is None
    assert total.subset(np.array([0, 1])).convention == total.split(total.params > 1e8)[0].convention == "total"
    assert plain.fingerprint == sf.Runs(plain.columns).fingerprint != total.fingerprint
    assert "(total)" in total.describe()
    with pytest.raises(sf.OptionError, match="total, non_embedding, active"):
        sf.read_runs(COLUMNS, convention="some")


def test_a_columns_name_says_what_it_counts():
    columns = {"tokens": COLUMNS["tokens"], "loss": COLUMNS["loss"]}
    for name, convention in (
        ("params_non_embedding", "non_embedding"),
        ("Active Params", "active"),
        ("n-total", "total"),
    ):
        runs = sf.read_runs({name: COLUMNS["params"], **columns})
        assert runs.convention == convention
        assert runs.params.tolist() == COLUMNS["params"]
    both = {**COLUMNS, "params_non_embedding": [9e7, 1.9e8, 3.9e8]}
    assert sf.read_runs(both).params[0] == 1e8
    assert sf.read_runs(both).convention is None
    assert sf.read_runs(both, convention="non_embedding").params[0] == 9e7
    assert sf.read_runs(both, params="params_non_embedding").convention == "non_embedding"
    with pytest.raises(sf.DataError, match="'params_non_embedding' of the table counts non_embedding"):
        sf.read_runs(both, params="params_non_embedding", convention="total")
    mixture = sf.read_runs({"total_params": [1e8] * 3, "active_params": [1e7] * 3, **columns})
    assert (mixture.params[0], mixture["active_params"][0], mixture.convention) == (1e8, 1e7, "total")
    with pytest.raises(sf.DataError, match="each be params"):
        sf.read_runs({"total_params": [1e8] * 3, "params_non_embedding": [1e7] * 3, **columns})


@pytest.mark.skipif(not OVERTRAINING.is_file(), reason="the evaluation tables are not here")
def test_a_table_that_counts_both_ways():
    total = sf.read_runs(OVERTRAINING, loss="loss_c4_val", convention="total")
    without = sf.read_runs(OVERTRAINING, loss="loss_c4_val", convention="non_embedding")
    assert (without.params < total.params).all()
    np.testing.assert_allclose(flops_6nd(total.params, total.tokens), total.flops, rtol=1e-6)


def test_ways_of_counting_are_not_mixed():
    total = sf.read_runs(COLUMNS, convention="total", name="ours")
    without = sf.read_runs(COLUMNS, convention="non_embedding", name="theirs")
    with pytest.raises(sf.DataError, match=r"theirs counts non_embedding.*with_convention\('total'\)"):
        total.joined(without)
    with pytest.raises(sf.DataError, match="only one"):
        total.joined(sf.read_runs(COLUMNS))
    assert len(total.joined(total, total)) == 9
    assert total.joined(total).convention == "total"
    assert len(total.joined(without.with_convention("total"))) == 6
    with pytest.raises(sf.DataError, match="total params are meant"):
        sf.read_runs(without, convention="total")


def test_conversion_recounts_compute_that_was_6nd():
    total = sf.read_runs(COLUMNS, convention="total")
    without = total.with_convention("non_embedding")
    np.testing.assert_allclose(to_total(without.params), total.params)
    np.testing.assert_allclose(without.flops, 6 * without.params * without.tokens)
    assert "omega 47491" in without.notes[-1]
    np.testing.assert_allclose(without.with_convention("total").params, total.params)
    measured = sf.read_runs({**COLUMNS, "flops": [2e18, 6e18, 3e19]}, convention="total")
    assert measured.with_convention("non_embedding").flops.tolist() == [2e18, 6e18, 3e19]
    with pytest.raises(sf.DataError, match="does not state"):
        sf.read_runs(COLUMNS).with_convention("total")
    with pytest.raises(sf.DataError, match="routing"):
        total.with_convention("active")


def test_a_fit_predicts_only_what_it_counts(chinchilla, small_fit, tmp_path):
    fit = replace(small_fit, runs=replace(small_fit.runs, convention="total"))
    new = {"tokens": [2e10], "params": [1e9]}
    np.testing.assert_array_equal(
        fit.predict(new, seed=1), fit.predict({"tokens": [2e10], "total_params": [1e9]}, seed=1)
    )
    with pytest.raises(sf.DataError, match="'params_non_embedding'.*total params are meant"):
        fit.predict({"tokens": [2e10], "params_non_embedding": [1e9]})
    with pytest.raises(sf.DataError, match="total params are meant"):
        fit.predict(chinchilla.with_convention("non_embedding"))
    with pytest.raises(sf.DataError, match="total params are meant"):
        fit.log_density(chinchilla.with_convention("non_embedding"))
    assert sf.load(fit.save(tmp_path / "fit.nc")).runs.convention == "total"


def test_the_240_runs_count_embeddings(chinchilla):
    """The six sizes of Table A4 are among them as counted with embeddings; without, each is 0.7 to 28 % smaller."""
    for entry in ARCHITECTURES.values():
        if entry.family == "chinchilla":
            assert np.abs(chinchilla.params / entry.shape.total - 1).min() < 3e-4
            assert entry.shape.non_embedding < 0.99 * entry.shape.total
    assert chinchilla.convention == "total"
    assert sf.datasets.load("repeated_data").convention is None
