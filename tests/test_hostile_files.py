"""Damaged, edited, foreign and hostile files: one short `StorageError`, in a moment, whatever they contain."""

import hashlib
import json
import os
import subprocess
import sys
import tracemalloc

import h5py
import numpy as np
import pytest
import xarray as xr
from conftest import simulated

import scalefit as sf
from scalefit._netcdf import LAST_LINE_BYTES

LONGEST = 400  # characters of a sentence
MOST = 20_000_000  # bytes of memory to refuse a file with


def refused(path, match=None):
    tracemalloc.start()
    try:
        with pytest.raises(sf.StorageError, match=match) as refusal:
            sf.load(path)
        assert tracemalloc.get_traced_memory()[1] < MOST + path.stat().st_size
    finally:
        tracemalloc.stop()
    assert len(str(refusal.value)) - len(str(path)) < LONGEST
    assert "\n" not in str(refusal.value)


def edit(path, change):
    with h5py.File(path, "r+") as file:
        change(file)


def sealed(path, change):
    """Edit a file and give it the digest of what it then has, as only ill will does."""
    content = path.read_bytes()
    last = content[-LAST_LINE_BYTES:]
    path.write_bytes(content[:-LAST_LINE_BYTES])
    edit(path, change)
    content = path.read_bytes()
    path.write_bytes(content + last[:29] + hashlib.sha256(content).hexdigest().encode() + b"\n")


def attribute(name, value, group="/"):
    return lambda file: file[group].attrs.__setitem__(name, value)


def model(change):
    def edited(file):
        stored = json.loads(file.attrs["model"])
        change(stored)
        file.attrs["model"] = json.dumps(stored)

    return edited


def check(**changed):
    def edited(file):
        stored = json.loads(file.attrs["health"])
        stored[0] |= changed
        file.attrs["health"] = json.dumps(stored)

    return edited


def instead(name, **dataset):
    def edited(file):
        del file[name]
        file.create_dataset(name, **dataset)

    return edited


def test_the_seal_of_these_tests_is_the_right_one(saved, small_fit):
    sealed(saved, lambda file: None)
    np.testing.assert_array_equal(sf.load(saved).draws["alpha"], small_fit.draws["alpha"])


def test_what_is_no_file_of_scalefit_is_refused(saved, tmp_path):
    with pytest.raises(sf.StorageError, match="No such file"):
        sf.load(tmp_path / "absent.nc")
    with pytest.raises(sf.StorageError):
        sf.load(tmp_path / ("long" * 1000))
    with pytest.raises(sf.StorageError):
        sf.load("zero\0")
    with pytest.raises(sf.StorageError, match="not a file"):
        sf.load("/dev/zero")
    for name, content in {"empty": b"", "text": b"not netcdf", "half": saved.read_bytes()[:100_000]}.items():
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name)
    xr.Dataset({"x": ("y", [1.0])}).to_netcdf(tmp_path / "foreign.nc", engine="h5netcdf")
    refused(tmp_path / "foreign.nc", "SHA-256")


def test_other_formats_are_refused(saved):
    content = saved.read_bytes()
    saved.write_bytes(content.replace(b"\nscalefit format 0002", b"\nscalefit format 0003"))
    refused(saved, "format 3")
    saved.write_bytes(content[:-LAST_LINE_BYTES])  # as files of format 1 were
    refused(saved, "older scalefit; .* fit again")


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file["posterior/alpha"].__setitem__((0, 0), 0.3),
        lambda file: file["sample_stats/pareto_k"].__setitem__((0, 0), 0.3),
        lambda file: file["runs/column_2"].__setitem__(0, 2.0),
        attribute("kind", "bootstrap"),
        attribute("seed", np.int64(1)),
        attribute("engine", "magic"),
        attribute("versions", "{}"),
        check(verdict="ok", value=1.0),
        model(lambda stored: stored["noise"].update(name="normal")),
        attribute("note", "a note", "posterior"),
        lambda file: file.move("posterior/alpha", "posterior/gamma"),
    ],
)
def test_every_edit_is_noticed(saved, change):
    edit(saved, change)
    refused(saved, "SHA-256")


def test_no_byte_can_change_unnoticed(saved):
    """HDF5 sees none of these files: on some it would crash or loop."""
    content, rng = saved.read_bytes(), np.random.default_rng(0)
    for place in [*rng.integers(0, len(content), 100), *range(0, 60, 3), *range(-LAST_LINE_BYTES, 0, 3)]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.integers(8)
        saved.write_bytes(damaged)
        refused(saved)
    for size in rng.integers(0, len(content), 20):
        saved.write_bytes(content[:size])
        refused(saved)


def grow(file):
    """2.4 GB of zeros, in a few kB."""
    instead("posterior/alpha", shape=(4, 75_000_000), dtype=float, chunks=(1, 1_000_000), compression="gzip")(file)


def unwritten(file):
    instead("posterior/alpha", shape=(4, 75_000_000), dtype=float, fillvalue=1.0)(file)


def virtual(file):
    layout = h5py.VirtualLayout((1000, 4, 500), float)
    for i in range(1000):
        layout[i] = h5py.VirtualSource(".", "posterior/alpha", (4, 500))
    del file["runs"]["column_0"]
    file["runs"].create_virtual_dataset("column_0", layout)


@pytest.mark.parametrize(
    "change",
    {
        "a group that is its own child": lambda file: file["posterior"].__setitem__("again", file["posterior"]),
        "a root in itself": lambda file: file["runs"].__setitem__("again", file["/"]),
        "a variable twice": lambda file: file["runs"].__setitem__("again", file["runs/column_0"]),
        "a link": lambda file: file.__setitem__("again", h5py.SoftLink("/")),
        "a link to a file": lambda file: file.__setitem__("again", h5py.ExternalLink("/etc/passwd", "/")),
        "deep groups": lambda file: file.create_group("/".join("abcdefgh")),
        "gigabytes compressed": grow,
        "gigabytes never written": unwritten,
        "gigabytes of another variable": virtual,
        "a type": lambda file: file.__setitem__("again", np.dtype("f8")),
        "objects": instead("posterior/alpha", data=np.array(["a", "b"], object), dtype=h5py.string_dtype()),
        "records": instead("posterior/alpha", data=np.zeros(3, [("a", "f8"), ("b", "S100")])),
        "text": instead("posterior/alpha", data=np.zeros((4, 500, 3), "S1")),
        "complex": instead("posterior/alpha", data=np.zeros((4, 500), complex)),
        "other draws": instead("posterior/alpha", data=np.zeros((4, 501))),
        "flat draws": instead("posterior/alpha", data=np.zeros(2000)),
        "a scale below zero": lambda file: file["posterior/sigma"].__setitem__((0, 0), -1.0),
        "degrees of freedom that are no number": lambda file: file["posterior/nu"].__setitem__((0, 0), np.nan),
        "no draws": lambda file: file.__delitem__("posterior"),
        "a parameter too few": lambda file: file.__delitem__("posterior/alpha"),
        "a parameter too many": lambda file: file["posterior"].__setitem__("gamma", np.zeros((4, 500))),
        "no column": lambda file: file.__delitem__("runs/column_1"),
        "a short column": instead("runs/column_1", data=np.ones(3)),
        "another column": lambda file: file["runs/column_1"].__setitem__(0, 1.0),
        "a nan": lambda file: file["runs/column_1"].__setitem__(0, np.nan),
        "no table": lambda file: file["runs"].attrs.__delitem__("table"),
        "a table of numbers": attribute("table", "[1, 2]", "runs"),
        "an array for a text": attribute("kind", np.zeros(1000)),
        "a number for a text": attribute("model", 3),
        "bytes": attribute("kind", np.bytes_(b"\xff\xfe")),
        "another kind": attribute("kind", "prior"),
        "another format": attribute("format", "scalefit chunk"),
        "a seed below zero": attribute("seed", np.int64(-1)),
        "a seed of text": attribute("seed", "0"),
        "a seed beyond 64 bits": attribute("seed", np.uint64(2**64 - 1)),
        "a superb verdict": check(verdict="superb"),
        "a number of text": check(value="high"),
        "a check without a name": lambda file: file.attrs.__setitem__("health", '[{"verdict": "ok"}]'),
        "health of one word": attribute("health", '"ok"'),
        "deep json": attribute("health", "[" * 100_000),
        "long json": attribute("versions", "x" * 1_000_000),
        "a list for versions": attribute("versions", "[]"),
        "an unknown law": model(lambda stored: stored["law"].update(name="nolaw" * 10_000)),
        "an unknown option": model(lambda stored: stored["law"].update(options={"x": 1})),
        "a billion parameters": model(
            lambda stored: stored.update(law={"name": "broken", "options": {"breaks": 10**9}})
        ),
        "a prior of nothing": model(lambda stored: stored["priors"].update(E={"family": "os", "settings": {}})),
        "a prior of text": model(
            lambda stored: stored["priors"].update(E={"family": "Normal", "settings": {"loc": "x"}})
        ),
        "a prior of no parameter": model(
            lambda stored: stored["priors"].update(zeta={"family": "Normal", "settings": {"loc": 0.0, "scale": 1.0}})
        ),
        "negative scales": model(lambda stored: stored["discrepancy"].update(compute=-1.0)),
        "scales that are no numbers": model(lambda stored: stored["discrepancy"].update(compute=float("nan"))),
        "one exponent": model(lambda stored: stored["discrepancy"].update(exponent=[0.3])),
        "three lengths": model(lambda stored: stored["discrepancy"].update(allocation_lengths=[4.0, 3.0, 2.0])),
        "no model": attribute("model", "null"),
    }.items(),
    ids=lambda change: change[0],
)
def test_a_hostile_file_is_refused(saved, change):
    sealed(saved, change[1])
    refused(saved)


LIMITED = """
import resource, sys
import scalefit as sf
sf.load(sys.argv[1])
used = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize")) * 1024
resource.setrlimit(resource.RLIMIT_AS, (used + 200_000_000,) * 2)
for path in sys.argv[2:]:
    try:
        sf.load(path)
    except sf.StorageError as refusal:
        print("MemoryError" in str(refusal))
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="not Linux")
def test_hostile_files_are_refused_under_a_memory_limit(saved, tmp_path):
    """Of HDF5's own memory too: 200 MB beyond what reading an honest file took."""
    paths = []
    for change in (grow, unwritten, virtual, attribute("kind", "x" * 60_000)):
        paths.append(tmp_path / f"{len(paths)}.nc")
        paths[-1].write_bytes(saved.read_bytes())
        sealed(paths[-1], change)
    done = subprocess.run([sys.executable, "-c", LIMITED, saved, *paths], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["False"] * len(paths), done.stderr


def test_a_small_file_of_gigabytes_is_small(saved):
    """What the tests above refuse would be 2.4 GB read."""
    sealed(saved, grow)
    assert saved.stat().st_size < 1_000_000


@pytest.fixture
def folder(tmp_path):
    sf.fit_many([simulated(seed=i) for i in range(4)], engine=sf.MAP(), chunk=2, folder=tmp_path / "fits")
    return tmp_path / "fits"


def test_a_chunk_is_not_a_fit(folder):
    with pytest.raises(sf.StorageError, match="chunk"):
        sf.load(folder / "chunk-000000.nc")


@pytest.mark.parametrize(
    "change",
    {
        "another seed": attribute("seed", np.int64(-1)),
        "no chunks": attribute("chunk", np.int64(0)),
        "tables of text": attribute("tables", "many"),
        "billions of tables": attribute("tables", np.int64(2**62)),
        "an engine of nothing": attribute("engine", '{"name": "magic", "options": {}}'),
        "an option of an engine": attribute("engine", '{"name": "map", "options": {"x": 1}}'),
        "another start": attribute("start", np.int64(1)),
        "other tables": lambda file: file["layout_0/table"].__setitem__(0, -7),
        "a table twice": lambda file: file["layout_0/table"].__setitem__(0, 1),
        "more rows": lambda file: file["layout_0/runs/row_count"].__setitem__(0, 10**15),
        "rows below zero": lambda file: file["layout_0/runs/row_count"].__setitem__(0, -1),
        "another value": lambda file: file["layout_0/runs/column_0"].__setitem__(0, 1.0),
        "no results": lambda file: file.__delitem__("layout_0/unit_free_posterior"),
        "no tables": lambda file: file.__delitem__("layout_0"),
        "checks of nothing": attribute("checks", "[[], [{}]]", "layout_0"),
        "too few checks": attribute("checks", "[[]]", "layout_0"),
        "a group in itself": lambda file: file["layout_0"].__setitem__("again", file["layout_0"]),
    }.items(),
    ids=lambda change: change[0],
)
def test_a_hostile_chunk_is_refused(folder, change):
    sealed(folder / "chunk-000000.nc", change[1])
    with pytest.raises(sf.StorageError) as refusal:
        sf.load(folder)[0]
    assert len(str(refusal.value)) - len(str(folder)) < LONGEST


def test_chunks_do_not_change_places(folder):
    os.replace(folder / "chunk-000001.nc", folder / "chunk-000000.nc")
    with pytest.raises(sf.StorageError):
        sf.load(folder)
