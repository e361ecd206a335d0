import json

import numpy as np
import pytest
import xarray as xr
from conftest import simulated

import scalefit as sf


@pytest.fixture
def saved(small_fit, tmp_path):
    return small_fit.save(tmp_path / "fit.nc")


def test_a_fit_comes_back_to_the_bit(small_fit, saved):
    back = sf.load(saved)
    for name, values in small_fit.draws.items():
        assert back.draws[name].tobytes() == values.tobytes()
    for name, values in small_fit.stats.items():
        np.testing.assert_array_equal(back.stats[name], values)
    for name in ("model", "kind", "engine", "seed", "versions", "health"):
        assert getattr(back, name) == getattr(small_fit, name)
    assert back.runs.fingerprint == small_fit.runs.fingerprint
    np.testing.assert_array_equal(back.frontier([1e21]).params, small_fit.frontier([1e21]).params)
    np.testing.assert_array_equal(back.predict(simulated()), small_fit.predict(simulated()))


def test_priors_notes_and_text_columns_come_back(tmp_path):
    runs = simulated()
    awkward = {"group": np.repeat(["a", "bé"], 40), "run": np.arange(80), "tokens/param": np.ones(80)}
    runs = sf.Runs({**runs.columns, **awkward}, name="mine", notes=("a note",))
    model = sf.Model(noise=sf.Normal(), priors={"alpha": sf.Prior.of("LogNormal", loc=-1.0, scale=0.3)})
    back = sf.load(sf.fit(runs, model, engine=sf.MAP()).save(tmp_path / "fit.nc"))
    assert back.model == model
    assert back.runs.notes == ("a note",)
    assert back.runs.name == "mine"
    assert set(back.runs["group"]) == {"a", "bé"}
    assert back.runs["run"].tolist() == list(range(80))


def test_arviz_works_on_the_tree_as_it_is(chinchilla_fit):
    import arviz_stats as az

    tree = chinchilla_fit.to_datatree()
    assert {"posterior", "log_likelihood", "log_prior", "posterior_predictive", "sample_stats", "observed_data",
            "constant_data"} <= set(tree.children)  # fmt: skip
    loo = az.loo(tree)
    assert loo.elpd == pytest.approx(879.8, abs=1.0)
    assert float(np.max(loo.pareto_k)) < 0.7
    pit = az.loo_pit(tree)["log_loss"].values
    assert pit.shape == (240,)
    assert 0.4 < pit.mean() < 0.6
    assert az.psense_summary(tree, round_to=4).loc[["E", "alpha", "beta"], "prior"].astype(float).max() < 0.05
    assert "alpha" in az.summary(tree).index


def test_arviz_reads_a_samplers_statistics(nuts_fit):
    import arviz_stats as az

    tree = nuts_fit.to_datatree()
    ours = {check.name: check.value for check in nuts_fit.health.checks}["E-BFMI"]
    assert float(az.bfmi(tree)["energy"].min()) == pytest.approx(ours, rel=0.01)


def test_log_likelihood_is_the_noise_around_the_law(small_fit):
    from scipy import stats

    tree, t = small_fit.to_datatree(), {k: v[..., None] for k, v in small_fit.draws.items()}
    runs = small_fit.runs
    mean = np.log(t["E"] + t["A"] * runs.params ** -t["alpha"] + t["B"] * runs.tokens ** -t["beta"])
    exact = stats.t.logpdf(np.log(runs.loss), t["nu"], mean, t["sigma"])
    np.testing.assert_allclose(tree["log_likelihood"]["log_loss"].values, exact, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(tree["observed_data"]["log_loss"].values, np.log(runs.loss))


def test_the_file_is_netcdf_that_others_can_read(saved):
    with xr.open_datatree(saved, engine="h5netcdf") as tree:
        assert tree["posterior"]["alpha"].dims == ("chain", "draw")
        assert json.loads(tree.attrs["model"])["law"]["name"] == "chinchilla"
        assert "scalefit" in json.loads(tree.attrs["versions"])


def test_saving_replaces_and_leaves_nothing_beside(saved, small_fit):
    small_fit.save(saved)
    assert [path.name for path in saved.parent.iterdir()] == ["fit.nc"]


def test_a_failed_save_leaves_the_old_file_and_no_other(saved, small_fit, monkeypatch):
    before = saved.read_bytes()

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.DataTree, "to_netcdf", fail)
    with pytest.raises(sf.FitError, match="No space left"):
        small_fit.save(saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["fit.nc"]


def test_an_absent_folder_is_refused(small_fit, tmp_path):
    with pytest.raises(sf.FitError, match="choose a folder that exists"):
        small_fit.save(tmp_path / "no" / "fit.nc")


def edit(path, change):
    import h5py

    with h5py.File(path, "r+") as file:
        change(file)


def test_foreign_newer_and_broken_files_are_refused(saved, tmp_path):
    with pytest.raises(sf.FitError, match="no file"):
        sf.load(tmp_path / "absent.nc")
    (tmp_path / "text.nc").write_text("not netcdf")
    with pytest.raises(sf.FitError, match="not a readable netCDF"):
        sf.load(tmp_path / "text.nc")
    (tmp_path / "half.nc").write_bytes(saved.read_bytes()[: saved.stat().st_size // 2])
    with pytest.raises(sf.FitError, match="not a readable netCDF"):
        sf.load(tmp_path / "half.nc")
    xr.Dataset({"x": ("y", [1.0])}).to_netcdf(tmp_path / "foreign.nc", engine="h5netcdf")
    with pytest.raises(sf.FitError, match="not written by scalefit"):
        sf.load(tmp_path / "foreign.nc")
    edit(saved, lambda file: file.attrs.__setitem__("format_version", 99))
    with pytest.raises(sf.FitError, match="newer"):
        sf.load(saved)


def test_an_edited_table_is_noticed(saved):
    edit(saved, lambda file: file["table/column_2"].__setitem__(0, 2.0))
    with pytest.raises(sf.FitError, match="fingerprint"):
        sf.load(saved)


def test_damaged_draws_are_noticed(saved):
    edit(saved, lambda file: file["posterior/alpha"].__setitem__((0, 0), 1e206))
    with pytest.raises(sf.FitError, match="digest"):
        sf.load(saved)


def test_an_unknown_law_is_named(saved):
    edit(saved, lambda file: file.attrs.__setitem__("model", file.attrs["model"].replace("chinchilla", "nolaw")))
    with pytest.raises(sf.FitError, match="no law 'nolaw'"):
        sf.load(saved)
