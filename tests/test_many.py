"""Many tables at once: the same numbers however they are dealt out, failures kept apart, work taken up again."""

import gc
import json
import os
import socket
import subprocess
import sys
import weakref
from functools import lru_cache

import jax
import numpy as np
import pytest
from conftest import simulated

import scalefit as sf
from scalefit._precision import precision
from scalefit._random import prng_keys
from scalefit.infer._chunk import Chunk
from scalefit.infer.many import table_seed

ENGINE = sf.AIS(chains=4, draws=500, block=500, rounds=8)  # that of `quick`, already compiled
BAD = {3: {"N": [1e9, 2e9], "D": [2e10, 4e10], "loss": [3.0, 2.9]}, 5: {"N": [1e9]}}

UNCHECKED = {"SCALEFIT_CHECK_SHAPES": "0"}  # of other processes, where checks of shapes take twice the rest


def tables(count=11):
    """Ragged, 60 to 100 runs; two of them beyond use."""
    return [table(i) for i in range(count)]


@lru_cache
def table(number):
    return BAD.get(number) or simulated(seed=number, sizes=6 + number % 5, budgets=10)


def alphas(fits):
    return {i: fits.result(i).draws["alpha"] for i in range(len(fits)) if i not in fits.failures}


def same(first, second):
    assert first.keys() == second.keys()
    for i in first:
        np.testing.assert_array_equal(first[i], second[i])


@pytest.fixture(scope="module")
def fits():
    return sf.fit_many(tables(), engine=ENGINE)


def test_failures_are_kept_apart(fits):
    assert set(fits.failures) == set(BAD)
    assert "2 runs cannot determine" in fits.failures[3]
    with pytest.raises(sf.FitError, match="table 5 has no fit"):
        fits[5]
    assert [i for i, _ in fits.fitted()] == [i for i in range(11) if i not in BAD]


def test_each_is_a_fit_of_its_table(fits):
    fit = fits[-1]
    assert fit.seed == table_seed(0, 10)
    assert fit.runs.fingerprint == tables()[10].fingerprint
    assert np.median(fit.draws["alpha"]) == pytest.approx(0.35, abs=0.06)
    alone = sf.fit(tables()[10], engine=ENGINE, seed=fit.seed)
    for name, draws in fit.draws.items():
        assert np.median(draws) == pytest.approx(np.median(alone.draws[name]), rel=1e-6), "the seed replays it"


def test_a_summary_has_a_row_a_table(fits):
    table = fits.summary(budgets=[1e22], discrepancy=False)
    assert len(table) == 11
    assert table["N_opt[1e22]", "lower"].notna().sum() == 9
    assert table["failure", ""][3]
    assert "2 failed" in repr(fits)


def test_chunks_do_not_change_the_numbers(fits):
    same(alphas(fits), alphas(sf.fit_many(tables(), engine=ENGINE, chunk=2)))


def test_seeds_do(fits):
    assert (alphas(sf.fit_many(tables(2), engine=ENGINE, seed=1))[0] != alphas(fits)[0]).any()


def test_an_interrupted_batch_is_taken_up_again(fits, tmp_path, monkeypatch):
    """Stopped after two chunks of three tables, resumed: the same numbers, and nothing computed twice."""
    computed = []
    run_many = sf.AIS.run_many

    def counted(engine, bounds, seeds):
        if len(computed) == 2 and not (tmp_path / "resumed").exists():
            raise KeyboardInterrupt
        computed.append(len(bounds))
        return run_many(engine, bounds, seeds)

    monkeypatch.setattr(sf.AIS, "run_many", counted)
    with pytest.raises(KeyboardInterrupt):
        sf.fit_many(tables(), engine=ENGINE, chunk=3, folder=tmp_path / "fits")
    assert len(list((tmp_path / "fits").glob("chunk-*.nc"))) == 2
    (tmp_path / "resumed").touch()
    resumed = sf.fit_many(tables(), engine=ENGINE, chunk=3, folder=tmp_path / "fits")
    same(alphas(fits), alphas(resumed))
    assert resumed.failures == fits.failures
    assert sum(computed) == 9
    assert resumed[0].health == fits[0].health


def test_a_folder_is_of_one_batch(tmp_path):
    kept = {"engine": sf.MAP(), "folder": tmp_path / "fits"}
    first = sf.fit_many(tables(2), **kept)
    assert first[0].kind == "point"
    with pytest.raises(sf.StorageError, match="seed 0, not 1"):
        sf.fit_many(tables(2), seed=1, **kept)
    with sf.precision("float32"), pytest.raises(sf.StorageError, match="precision float64, not float32"):
        sf.fit_many(tables(2), **kept)
    with pytest.raises(sf.StorageError, match="tables 2, not 3"):
        sf.fit_many(tables(3), **kept)
    with pytest.raises(sf.StorageError, match="engine"):
        sf.fit_many(tables(2), **{**kept, "engine": sf.Huber()})
    with pytest.raises(sf.StorageError, match="model"):
        sf.fit_many(tables(2), sf.Model(discrepancy=None), **kept)
    with pytest.raises(sf.StorageError, match="table 1 is not the one"):
        sf.fit_many([tables(2)[0], simulated(seed=77)], **kept)
    chunk = next((tmp_path / "fits").glob("chunk-*.nc"))
    chunk.write_bytes(chunk.read_bytes()[:200])
    with pytest.raises(sf.StorageError, match="remove it"):
        sf.fit_many(tables(2), **kept)
    chunk.unlink()
    np.testing.assert_array_equal(sf.fit_many(tables(2), **kept)[1].draws["E"], first[1].draws["E"])


def test_other_versions_are_named(tmp_path, monkeypatch):
    from scalefit.infer import many

    kept = {"engine": sf.MAP(), "folder": tmp_path / "fits"}
    sf.fit_many(tables(2), **kept)
    now = many.versions()
    monkeypatch.setattr(many, "versions", lambda: {**now, "jax": "0.0.1"})
    with pytest.raises(sf.StorageError, match="version of jax"):
        sf.fit_many(tables(2), **kept)


def test_any_chunk_of_another_seed_is_noticed(tmp_path):
    """Not that of the first chunk alone: a folder may have lost it."""
    kept = {"engine": sf.MAP(), "folder": tmp_path / "fits", "chunk": 1}
    sf.fit_many(tables(3), **kept)
    (tmp_path / "fits" / "chunk-000000.nc").unlink()
    with pytest.raises(sf.StorageError, match="seed 0, not 1"):
        sf.fit_many(tables(3), seed=1, **kept)


@pytest.mark.parametrize("name", ["manifest.json", "chunk-000000.npz"])
def test_a_folder_of_the_old_format_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(sf.StorageError, match="older format. Fit again"):
        sf.fit_many(tables(2), engine=sf.MAP(), folder=tmp_path)
    with pytest.raises(sf.StorageError, match="older format"):
        sf.load(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def function_law(exponent=0.3, scale=2.0):
    """Another object each time, as in another process."""
    return sf.laws.FunctionLaw(
        lambda t, x: t["E"] + t["A"] * x["params"] ** -exponent,
        inputs=("params",),
        priors={"E": sf.Prior.of("LogNormal", loc=0.0, scale=1.0), "A": sf.Prior.of("LogNormal", loc=6.0, scale=scale)},
    )


def test_fits_of_a_law_that_is_a_function_are_taken_up_again(tmp_path, monkeypatch):
    """The function is known by what it computes, constants around it included: its name and address say nothing."""
    kept = {"engine": sf.MAP(), "folder": tmp_path / "fits"}
    first = sf.fit_many(tables(2), sf.Model(function_law()), **kept)
    assert not first.failures
    monkeypatch.setattr(sf.MAP, "run_many", None)
    again = sf.fit_many(tables(2), sf.Model(function_law()), **kept)
    np.testing.assert_array_equal(again[1].draws["A"], first[1].draws["A"])
    for other in (function_law(exponent=0.31), function_law(scale=2.1), sf.laws.Chinchilla()):
        with pytest.raises(sf.StorageError, match="law is a function"):
            sf.fit_many(tables(2), sf.Model(other), **kept)
    with pytest.raises(sf.StorageError, match="law is a function"):
        sf.load(tmp_path / "fits")


def test_a_folder_opens_without_its_tables(fits, tmp_path):
    first = sf.fit_many(tables(), engine=ENGINE, chunk=4, folder=tmp_path / "fits")
    back = sf.load(tmp_path / "fits")
    assert isinstance(back, sf.Fits)
    assert len(back) == 11
    assert (back.model, back.engine, back.seed) == (first.model, ENGINE, 0)
    assert back.failures == fits.failures
    assert repr(back) == repr(fits)
    same(alphas(fits), alphas(back))
    for (_, fit), (_, known) in zip(back.fitted(), fits.fitted(), strict=True):
        for name, draws in known.draws.items():
            assert fit.draws[name].tobytes() == draws.tobytes()
        assert (fit.seed, fit.engine, fit.versions, fit.health) == (
            known.seed, known.engine, known.versions, known.health
        )  # fmt: skip
        assert (fit.runs.name, fit.runs.fingerprint) == (known.runs.name, known.runs.fingerprint)
    assert sf.load(back[0].save(tmp_path / "fit.nc")).runs.fingerprint == tables()[0].fingerprint
    with pytest.raises(sf.FitError, match="table 5 has no fit"):
        back[5]


def test_tables_of_different_columns_share_a_chunk(tmp_path):
    mixed = tables(3)
    mixed[1] = sf.Runs(
        {**mixed[1].columns, "group": ["é"] * len(mixed[1]), "batch": np.arange(len(mixed[1]))},
        name="own", notes=("a note",), convention="total",
    )  # fmt: skip
    sf.fit_many(mixed, engine=sf.MAP(), folder=tmp_path / "fits")
    back = sf.load(tmp_path / "fits")
    for i in range(3):
        stored, given = back[i].runs, mixed[i]
        assert (stored.name, stored.notes, stored.convention) == (given.name, given.notes, given.convention)
        assert stored.fingerprint == given.fingerprint
        assert list(stored.columns) == list(given.columns)


def test_an_incomplete_folder_says_what_to_do(tmp_path):
    kept = {"engine": sf.MAP(), "folder": tmp_path / "fits", "chunk": 1}
    sf.fit_many(tables(3), **kept)
    (tmp_path / "fits" / "chunk-000001.nc").unlink()
    with pytest.raises(sf.StorageError, match="1 of 3 chunks"):
        sf.load(tmp_path / "fits")
    sf.fit_many(tables(3), **kept)
    assert len(sf.load(tmp_path / "fits")) == 3
    (tmp_path / "empty").mkdir()
    with pytest.raises(sf.StorageError, match="no fits"):
        sf.load(tmp_path / "empty")


def test_others_can_read_a_chunk(fits, tmp_path):
    import xarray as xr

    sf.fit_many(tables(), engine=ENGINE, folder=tmp_path / "fits")
    with xr.open_datatree(next((tmp_path / "fits").glob("*.nc")), engine="h5netcdf") as tree:
        group = next(g for g in tree.children.values() if "unit_free_posterior" in g.children)
        alpha, runs = group["unit_free_posterior"]["alpha"], group["runs"]
        assert alpha.dims == ("table", "chain", "draw")
        np.testing.assert_array_equal(alpha.sel(table=7), fits.result(7).draws["alpha"])
        start = int(runs["row_count"].sel(table=slice(0, 6)).sum())
        loss = next(a for a in runs.data_vars.values() if a.attrs.get("long_name") == "loss")
        np.testing.assert_array_equal(loss[start : start + len(tables()[7])], tables()[7].loss)


KILLED = """
import os, signal, sys
import scalefit as sf
from conftest import simulated
from scalefit.infer import _chunk_store
write, written = _chunk_store.write_file, []
def killed(path, *rest):
    if len(written) == int(sys.argv[2]):
        path.with_name(".unfinished.nc").write_bytes(b"half a chunk")
        os.kill(os.getpid(), signal.SIGKILL)
    written.append(path)
    return write(path, *rest)
_chunk_store.write_file = killed
sf.fit_many([simulated(seed=i) for i in range(6)], engine=sf.MAP(), chunk=2, folder=sys.argv[1])
"""


def test_a_killed_batch_is_taken_up_again(tmp_path):
    """kill -9 while the second chunk is written: what is then computed is the same to the bit."""
    command = [sys.executable, "-c", KILLED, str(tmp_path / "fits"), "1"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **UNCHECKED}
    assert subprocess.run(command, env=environment, timeout=240).returncode == -9
    assert len(list((tmp_path / "fits").glob("chunk-*.nc"))) == 1
    again, engine = [simulated(seed=i) for i in range(6)], sf.MAP()
    whole = sf.fit_many(again, engine=engine, folder=tmp_path / "whole")
    for shard in ("2/2", "1/2"):
        sf.fit_many(again, engine=engine, folder=tmp_path / "fits", shard=shard)
    same(alphas(whole), alphas(sf.load(tmp_path / "fits")))
    assert sf.merge(tmp_path / "fits").read_bytes() == sf.merge(tmp_path / "whole").read_bytes()


FULL = """
import resource, sys
import scalefit as sf
from conftest import simulated
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    sf.fit_many([simulated()], engine=sf.MAP(), folder=sys.argv[1])
except sf.StorageError as refusal:
    print(refusal)
"""


def test_a_full_disk_is_one_sentence(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **UNCHECKED}
    command = [sys.executable, "-c", FULL, str(tmp_path / "fits")]
    environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "1e9"  # programs are read; their files are longer
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert "cannot write" in done.stdout, done.stderr
    assert [path.name for path in (tmp_path / "fits").iterdir()] == ["batch.json"]


@pytest.mark.parametrize("here", [None, OSError("disk full")])
def test_a_failure_is_told_to_the_cluster(here, monkeypatch):
    """The other processes would wait for ever for one that left."""
    from jax.experimental import multihost_utils

    from scalefit.infer._cluster import agree

    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(multihost_utils, "process_allgather", lambda mine: np.array([mine, True]))
    with pytest.raises(
        OSError if here else sf.FitError, match="disk full" if here else "process 1 of the cluster failed"
    ):
        agree(here)
    monkeypatch.setattr(multihost_utils, "process_allgather", lambda mine: np.array([mine, False]))
    if not here:
        agree(here)


def test_fits_in_memory_are_let_go():
    fits = sf.fit_many(tables(2), engine=sf.MAP())
    assert fits[1].kind == "point"
    store = weakref.ref(fits.store)
    del fits
    gc.collect()
    assert store() is None


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_a_seed_is_its_own_key_in_any_precision(kind):
    """JAX drops the high half of a seed in float32, so that 7 and 2^32 + 7 would give the same draws."""
    with precision("float64"):
        seeds = [0, 7, 2**32 + 7, 2**63 - 1]
        whole = np.stack([jax.random.PRNGKey(seed) for seed in seeds])
    with precision(kind):
        np.testing.assert_array_equal(prng_keys(seeds), whole)


def test_a_chunk_survives_the_way_to_another_process(fits):
    chunk = fits.store.read(0)
    back = Chunk.from_bytes(bytes(chunk.to_bytes()))
    assert back.failures == chunk.failures
    assert back.fingerprints == chunk.fingerprints
    for name, draws in chunk.results[7].draws.items():
        np.testing.assert_array_equal(back.results[7].draws[name], draws)
        assert back.results[7].draws[name].dtype == draws.dtype


def test_engines_that_are_no_single_program_go_table_by_table():
    fits = sf.fit_many(tables(2), engine=sf.Bootstrap(resamples=20))
    assert fits[1].kind == "bootstrap"
    assert fits[1].draws["E"].shape == (1, 20)


def test_nonsense_is_refused():
    with pytest.raises(sf.OptionError, match="chunk is a number of tables"):
        sf.fit_many(tables(2), chunk=0)
    with pytest.raises(sf.OptionError, match="no engine"):
        sf.fit_many(tables(2), engine="magic")


ELSEWHERE = """
import json, sys
import jax, numpy as np
source, target, times, *process = sys.argv[1:]
if process:
    jax.distributed.initialize("localhost:" + process[1], 2, int(process[0]))
import scalefit as sf
with open(source) as file:
    tables = json.load(file) * int(times)
fits = sf.fit_many(tables, engine=sf.Huber(), chunk=3 if process else None)
found = {str(i): fits.result(i).draws["alpha"] for i in range(len(fits)) if i not in fits.failures}
np.savez(target, **found)
print(sf.devices())
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The tables as a file, to the last bit, so that other processes need not simulate them."""
    columns = lambda runs: {name: runs[name].tolist() for name in ("params", "tokens", "loss")}
    path = tmp_path_factory.mktemp("tables") / "tables.json"
    path.write_text(json.dumps([table if isinstance(table, dict) else columns(table) for table in tables()]))
    return path


def elsewhere(source, path, *process, devices=1, times=1):
    """A process of its own, with that many virtual devices, for the tables `times` over."""
    flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", ELSEWHERE, str(source), str(path), str(times), *map(str, process)]
    return subprocess.Popen(
        command, env={**os.environ, **flags}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def read(path):
    with np.load(path) as archive:
        return {int(name): archive[name] for name in archive.files}


@pytest.fixture(scope="module")
def optima():
    return alphas(sf.fit_many(tables(), engine=sf.Huber()))


def test_two_processes_give_the_same_numbers_as_one(optima, source, tmp_path):
    """A cluster on localhost: either process returns every table, to the last bit."""
    paths = [tmp_path / f"{process}.npz" for process in (0, 1)]
    for _ in range(2):
        said, wrong = cluster(source, paths)
        if "Connect timeout" not in wrong:
            break
    else:
        pytest.skip("the network here does not let one process connect to another")
    assert "process 1 of 2" in said, wrong
    for path in paths:
        same(optima, read(path))


def cluster(source, paths):
    """What the last of two processes said, and what either complained of."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    running = [elsewhere(source, path, process, port) for process, path in enumerate(paths)]
    said = [process.communicate(timeout=240) for process in running]
    return said[-1][0], "".join(wrong for _, wrong in said)


@pytest.mark.slow
def test_eight_devices_give_the_same_numbers_as_one(optima, source, tmp_path):
    """To the last bit: 9 groups of tables, so that every device has one and one has two."""
    process = elsewhere(source, tmp_path / "eight.npz", devices=8, times=8)
    said = process.communicate(timeout=300)[0]
    assert "8 cpu devices" in said
    found = read(tmp_path / "eight.npz")
    assert len(found) == 72
    same({i: optima[i % 11] for i in found}, found)


def test_devices_say_what_will_be_used(small_fit):
    found = sf.devices()
    assert found.precision == "float64"
    assert str(found).startswith(f"{found.local} cpu device")
    with sf.precision("float32"):
        assert sf.devices().precision == "float32"
        single = sf.fit(small_fit.runs, engine=ENGINE)
    double = small_fit.draws["alpha"]
    assert np.median(single.draws["alpha"]) == pytest.approx(np.median(double), abs=0.2 * double.std())
    with pytest.raises(sf.ScalefitError, match="float32 or float64"), sf.precision("float16"):
        pass


def test_the_devices_command(capsys, monkeypatch):
    from scalefit import cli

    monkeypatch.setattr(sys, "argv", ["scalefit", "devices", "--json"])
    with pytest.raises(SystemExit):
        cli.main()
    assert json.loads(capsys.readouterr().out)["precision"] == "float64"
