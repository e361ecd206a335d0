"""A fit as a file and back; what else may lie in its place is in test_hostile_files.py."""

import json
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from conftest import simulated

import scalefit as sf


def test_a_fit_comes_back_to_the_bit(small_fit, saved):
    back = sf.load(saved)
    for name, values in small_fit.draws.items():
        assert back.draws[name].tobytes() == values.tobytes()
    for name, values in small_fit.stats.items():
        np.testing.assert_array_equal(back.stats[name], values)
        assert back.stats[name].dtype == values.dtype
    for name in ("model", "kind", "engine", "seed", "versions", "health"):
        assert getattr(back, name) == getattr(small_fit, name)
    assert back.runs.fingerprint == small_fit.runs.fingerprint
    np.testing.assert_array_equal(back.predict(simulated()), small_fit.predict(simulated()))


def test_priors_notes_and_text_columns_come_back(tmp_path):
    runs = simulated()
    awkward = {"group": np.repeat(["a", "bé"], 40), "run": np.arange(80), "tokens/param": np.ones(80), "": [""] * 80}
    runs = sf.Runs({**runs.columns, **awkward}, name="mine\0", notes=("a note",), convention="total")
    model = sf.Model(noise=sf.Normal(), priors={"alpha": sf.Prior.of("LogNormal", loc=-1.0, scale=0.3)})
    back = sf.load(sf.fit(runs, model, engine=sf.MAP()).save(tmp_path / "fit.nc"))
    assert back.model == model
    assert (back.runs.name, back.runs.notes, back.runs.convention) == ("mine\0", ("a note",), "total")
    assert set(back.runs["group"]) == {"a", "bé"}
    assert back.runs["run"].tolist() == list(range(80))
    assert list(back.runs.columns) == list(runs.columns)


def test_the_file_is_netcdf_that_others_can_read(saved, small_fit):
    with xr.open_datatree(saved, engine="h5netcdf") as tree:
        assert tree["posterior"]["alpha"].dims == ("chain", "draw")
        assert tree["posterior"]["E"].attrs["units"] == "nats"
        np.testing.assert_array_equal(tree["posterior"]["alpha"], small_fit.draws["alpha"])
        assert json.loads(tree.attrs["model"])["law"]["name"] == "chinchilla"
        assert "scalefit" in json.loads(tree.attrs["versions"])
        columns = {array.attrs["long_name"]: array.values for array in tree["runs"].data_vars.values()}
        np.testing.assert_array_equal(columns["loss"], small_fit.runs.loss)


def test_text_columns_are_text_to_others(tmp_path):
    runs = sf.Runs({**simulated().columns, "group": np.repeat(["a", "bé"], 40)})
    path = sf.fit(runs, engine=sf.MAP()).save(tmp_path / "fit.nc")
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        (group,) = (a for a in tree["runs"].data_vars.values() if a.attrs["long_name"] == "group")
        assert group.values.astype(str).tolist() == runs["group"].tolist()


def test_saving_replaces_and_leaves_nothing_beside(saved, small_fit):
    small_fit.save(saved)
    assert [path.name for path in saved.parent.iterdir()] == ["fit.nc"]


FULL = """
import resource, sys
import scalefit as sf
fit = sf.load(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    fit.save(sys.argv[2])
except sf.StorageError as refusal:
    print(refusal)
"""


def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(saved, small_fit, tmp_path):
    """No file may be longer than 50 kB there, and this fit's is: HDF5 would crash the process."""
    target = tmp_path / "target.nc"
    target.write_bytes(b"old")
    command = [sys.executable, "-c", FULL, saved, target]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert "cannot write" in done.stdout
    assert not done.stderr
    assert target.read_bytes() == b"old"
    assert {path.name for path in tmp_path.iterdir()} == {"fit.nc", "target.nc"}


def test_an_absent_folder_is_refused(small_fit, tmp_path):
    with pytest.raises(sf.StorageError, match="cannot write"):
        small_fit.save(tmp_path / "no" / "fit.nc")
    with pytest.raises(sf.StorageError, match="cannot write"):
        small_fit.save(tmp_path / ("long" * 100))


def test_a_law_that_is_a_function_is_refused(small_fit, tmp_path):
    law = sf.laws.FunctionLaw(
        lambda t, x: t["E"] + t["A"] * x["params"] ** -0.3,
        inputs=("params",),
        priors={"E": sf.Prior.of("LogNormal", loc=0.0, scale=1.0), "A": sf.Prior.of("LogNormal", loc=6.0, scale=2.0)},
    )
    fit = sf.fit(simulated(), sf.Model(law), engine=sf.MAP())
    with pytest.raises(sf.StorageError, match="function"):
        fit.save(tmp_path / "fit.nc")
    assert not list(tmp_path.iterdir())


def test_reading_a_fit_needs_no_xarray(saved):
    """It is the larger part of what opening a file took."""
    code = f"import scalefit, sys; scalefit.load({str(saved)!r}); print('xarray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
