"""The unit of loss travels: from the name of a column to every sentence, axis, table and file."""

import json
import pickle
import re
from dataclasses import replace

import numpy as np
import pytest

import scalefit as sf
from scalefit import loss_units, plots
from scalefit.validation.scores import log_losses

N, D, LOSS = np.array([1e8, 1e8, 3e8, 1e9]), np.array([2e9, 6e9, 6e9, 2e10]), np.array([1.2, 1.1, 1.0, 0.9])
UNIT = "bits per base"


def table(name):
    return {"params": N, "tokens": D, name: LOSS}


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("val_bpb", "bits per byte"),
        ("eval/bpb", "bits per byte"),
        ("Loss (bits/byte)", "bits per byte"),
        ("bits_per_base", "bits per base"),
        ("Val Loss (1 epoch)", "nats per token"),
        ("nll", "nats per token"),
        ("val_error", "error rate"),
        ("val squared error", "val squared error"),
        ("1-pass@100", "1-pass@100"),
    ],
)
def test_the_name_of_the_column_states_the_unit(name, unit):
    runs = sf.read_runs(table(name), loss=name)
    assert runs.unit == unit
    assert any(unit in note for note in runs.notes) == (unit != "nats per token")
    assert unit in repr(runs)


def test_a_given_unit_comes_first_and_sets_what_is_plausible():
    assert sf.read_runs(table("val_bpb"), unit="bits/token").unit == "bits per token"
    assert sf.read_runs(table("loss") | {"loss": 40 * LOSS}, unit="perplexity").unit == "perplexity"
    assert sf.read_runs(table("val_ppl") | {"val_ppl": 40 * LOSS}, loss="val_ppl", unit="perplexity").loss.max() == 48
    with pytest.raises(sf.DataError, match="48 looks like"):
        sf.read_runs({**table("loss"), "loss": 40 * LOSS})
    with pytest.raises(sf.OptionError, match="unit"):
        sf.read_runs(table("loss"), unit=" ")


def test_losses_are_converted_on_request_only():
    """ln 2 x 4.3 nats per token for a bit per byte."""
    np.testing.assert_array_equal(sf.read_runs(table("bpb")).loss, LOSS)
    converted = sf.read_runs(table("bpb"), bytes_per_token=4.3)
    np.testing.assert_allclose(converted.loss, np.log(2) * 4.3 * LOSS, rtol=1e-15)
    assert converted.unit == loss_units.NATS
    assert any("4.3 bytes per token" in note for note in converted.notes)
    for name, given in (("loss", 4.3), ("bpb", -1.0)):
        with pytest.raises(sf.OptionError, match="bytes"):
            sf.read_runs(table(name), bytes_per_token=given)


def test_tables_of_different_units_do_not_mix(small_fit):
    bits, nats = sf.read_runs(table("bpb")), sf.read_runs(table("loss"))
    assert bits.fingerprint != nats.fingerprint
    assert pickle.loads(pickle.dumps(bits)).unit == bits.subset([0, 1]).unit == bits.unit
    for mixed in (
        lambda: bits.joined(nats),
        lambda: sf.read_runs(bits, unit="nats"),
        lambda: small_fit.log_density(bits),
    ):
        with pytest.raises(sf.DataError, match="bits per byte"):
            mixed()
    other = replace(small_fit, runs=replace(small_fit.runs, unit="bpb"))
    with pytest.raises(sf.DataError, match="bits per byte"):
        sf.compare_runs((small_fit, other), 1e21, 1e22)


def test_small_losses_of_other_units_are_scored_as_they_are():
    drawn = np.full((2, 3), 0.01)
    assert np.exp(log_losses(drawn)).min() > 0.05
    np.testing.assert_allclose(np.exp(log_losses(drawn, "error rate")), drawn)


@pytest.fixture(scope="module")
def in_bits(small_fit):
    """The draws of the small fit, as if its losses were in another unit: the programs are compiled already."""
    return replace(small_fit, runs=replace(small_fit.runs, unit=UNIT))


def test_results_are_in_the_unit_of_the_table(in_bits, tmp_path):
    again = sf.load(in_bits.save(tmp_path / "fit.nc"))
    assert again.runs.unit == UNIT
    plan, target = sf.plan(again, 1e22, discrepancy=False), sf.target(again, 2.3, discrepancy=False)
    audit = sf.audit(again, [(1e9, 2e10)], discrepancy=False)
    versus = sf.compare_runs(again, "1e9:2e10", "2e9:2e10", discrepancy=False)
    grid = sf.loss_surface(again, [1e9, 2e9], [2e10, 4e10], discrepancy=False)
    front, thumb = again.frontier(1e21, False), sf.rules_of_thumb(again, 1e22, discrepancy=False)
    for found in (again, plan, target, audit, versus, grid, front, thumb):
        text = repr(found)
        assert "nats" not in text, text
        assert "bits" in text
    for found in (plan, front):
        assert found.to_xarray()["loss"].attrs["units"] == UNIT
    labelled = again.predict({"params": [1e9], "tokens": [1e10]}, discrepancy=False, labelled=True)
    assert labelled.attrs["units"] == UNIT
    tree = again.to_datatree()
    assert tree["observed_data"]["log_loss"].attrs["units"] == f"ln {UNIT}"
    assert tree["posterior"]["A"].attrs["units"] == "bits params^alpha"
    axes = plots.isoflops(again, [1e20], discrepancy=False)
    assert UNIT in axes.get_ylabel()


def test_a_file_without_a_unit_is_in_nats(small_fit):
    from scalefit.fits.netcdf import about_table, decode_table

    about = about_table(small_fit.runs)
    del about["unit"]
    arrays = {f"column_{i}": small_fit.runs[name] for i, name in enumerate(about["columns"])}
    assert decode_table(about, arrays).unit == loss_units.NATS


@pytest.mark.parametrize(
    "command",
    [
        ("plan", "FIT", "--budget", "1e22", "--rules-of-thumb"),
        ("target", "FIT", "--loss", "2.3"),
        ("lifetime", "FIT", "--quality", "7B", "--inference-tokens", "1T"),
        ("audit", "1B", "20B", "--fit", "FIT"),
        ("frontier", "FIT", "--budgets", "1e21"),
        ("compare", "runs", "1e21", "1e22", "--fit", "FIT"),
        ("predict", "FIT", "--params", "1B", "--tokens", "20B"),
    ],
    ids=lambda command: command[0],
)
def test_commands_print_the_unit(in_bits, tmp_path, run, command):
    file = in_bits.save(tmp_path / "fit.nc")
    asked = [file if word == "FIT" else word for word in command]
    _, out, _ = run(*asked, "--law-only")
    flat = " ".join(out.split())
    assert "nats" not in flat, flat
    assert re.search("bits( per base)?", flat)
    _, out, _ = run(*asked, "--law-only", "--json")
    assert json.loads(out)["loss_unit"] == UNIT


def test_fit_takes_a_unit_and_converts(simulated_file, run, tmp_path):
    status, out, _ = run("fit", simulated_file, "--loss-unit", "bpb", "--bytes-per-token", "4", "--engine", "map")
    assert status in (0, 1)
    assert "converted from bits per byte" in out


@pytest.fixture
def simulated_file(small_fit, tmp_path):
    import pandas as pd

    file = tmp_path / "runs.csv"
    pd.DataFrame(dict(small_fit.runs.columns)).to_csv(file, index=False)
    return file
