"""Where commands run: files and folders that cannot be written, streams that take nothing, caches of others."""

import os
import stat
import subprocess
import sys
from types import SimpleNamespace

import pytest

import scalefit as sf
from scalefit.cli import _app
from scalefit.planning.compare_runs import Candidate

COMMAND = [sys.executable, "-m", "scalefit"]
POSIX = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no such modes")


def refused(run, *arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "Please report" not in err
    assert len([line for line in err.splitlines() if not line.startswith("note: ")]) == 1
    return err


# Files


@POSIX
def test_a_read_only_file_stays_as_it_is(run, small_fit, tmp_path):
    """Root may write it all the same, and a folder that can be written lets anyone replace it."""
    path = tmp_path / "fit.nc"
    path.write_bytes(b"old")
    path.chmod(0o444)
    assert "read-only" in refused(run, "fit", "chinchilla", "-o", path)
    with pytest.raises(sf.StorageError, match="read-only"):
        small_fit.save(path)
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["fit.nc"]


@POSIX
def test_a_device_or_a_pipe_is_not_replaced(run, small_fit, tmp_path):
    """As root, `-o /dev/null` would put a file in its place."""
    os.mkfifo(tmp_path / "pipe")
    assert "not a file" in refused(run, "fit", "chinchilla", "-o", tmp_path / "pipe")
    with pytest.raises(sf.StorageError, match="not a file"):
        small_fit.save(tmp_path / "pipe")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@POSIX
def test_a_link_is_followed_and_a_mode_is_kept(small_fit, tmp_path):
    target, link = tmp_path / "target.nc", tmp_path / "link.nc"
    target.write_bytes(b"old")
    target.chmod(0o600)
    link.symlink_to(target)
    small_fit.save(link)
    assert link.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sf.load(target).seed == small_fit.seed


@POSIX
def test_a_folder_that_is_gone_is_one_sentence(run, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    err = refused(run, "fit", "chinchilla", "-o", "fit.nc")
    assert "No such file" in err
    assert "standard output" not in err


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="not Linux")
@pytest.mark.parametrize("where", ["fit", "-o"])
def test_a_path_without_permission_is_one_sentence(tmp_path, where):
    """Root reads everything, unless it gives that up."""
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "runs.csv").write_text("N,D,loss\n")
    closed.chmod(0o000)
    arguments = {
        "fit": ["fit", closed / "runs.csv"],
        "-o": ["fit", "chinchilla", "-o", closed / "fit.nc"],
    }[where]
    capabilities = "-dac_override,-dac_read_search"
    as_anyone = ["setpriv", "--bounding-set", capabilities, "--inh-caps", capabilities] if not os.geteuid() else []
    try:
        done = subprocess.run([*as_anyone, *COMMAND, *map(str, arguments)], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no setpriv here")
    finally:
        closed.chmod(0o700)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Permission denied" in done.stderr
    assert len(done.stderr.splitlines()) == 1


# Streams


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_standard_error_that_takes_nothing_is_no_failure():
    command = ["sh", "-c", '"$@" 2>/dev/full', "sh", *COMMAND]
    done = subprocess.run([*command, "data"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "chinchilla" in done.stdout
    assert subprocess.run([*command, "data", "nope"]).returncode == 2


# The cache


@pytest.fixture
def environment(monkeypatch):
    """One that a command may change."""
    for name in ("JAX_COMPILATION_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    return monkeypatch


@POSIX
def test_a_cache_that_others_can_write_is_said_and_left_alone(run, tmp_path, environment):
    tmp_path.chmod(0o777)
    environment.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    code, out, err = run("count", "gpt2")
    assert code == 0
    assert "124,439,808" in out
    assert err.startswith("note: others can write")
    assert len(err.splitlines()) == 1
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == ""


@POSIX
def test_the_usual_cache_is_ones_own(tmp_path, environment):
    environment.delenv("JAX_COMPILATION_CACHE_DIR")
    environment.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = os.umask(0o000)
    try:
        _app.use_compilation_cache()
    finally:
        os.umask(before)
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path / "scalefit")
    assert stat.S_IMODE((tmp_path / "scalefit").stat().st_mode) == 0o700


@pytest.mark.parametrize("home", ["/dev/null", "x" * 300, "no\nwhere"])
def test_a_cache_that_cannot_be_made_is_no_failure(run, tmp_path, environment, home):
    environment.chdir(tmp_path)
    environment.delenv("JAX_COMPILATION_CACHE_DIR")
    environment.setenv("XDG_CACHE_HOME", home)
    assert run("count", "gpt2")[::2] == (0, "")


# Comparisons of nothing


def test_a_run_is_not_compared_with_itself(run, saved, monkeypatch):
    same = 280e9, 300e9, 5e23
    both = SimpleNamespace(a=Candidate("gopher", *same), b=Candidate("280B:300B", *same))
    monkeypatch.setattr(sf, "compare_runs", lambda *_, **__: both)
    assert "same run" in refused(run, "compare", "runs", "gopher", "280B:300B", "--fit", saved)


@pytest.mark.parametrize("what", ["laws", "methods"])
def test_two_runs_are_too_few_to_compare(run, tmp_path, what):
    (tmp_path / "two.csv").write_text("N,D,loss\n1e9,1e10,3\n2e9,2e10,2.9\n")
    refused(run, "compare", what, tmp_path / "two.csv")


# Names and numbers


@pytest.mark.parametrize(
    "arguments",
    [
        ["fit", ""],
        ["fit", " "],
        ["laws", "x" * 5000],
        ["fit", "chinchilla", "--engine", "9" * 5000],
        ["fit", "chinchilla", "--budgets", "1e21:1e25:99999999"],
        ["count", "--layers", "9" * 5000],
    ],
    ids=lambda arguments: " ".join(arguments)[:40],
)
def test_empty_names_and_endless_ones_are_one_short_sentence(run, arguments):
    assert len(refused(run, *arguments)) < 2100
