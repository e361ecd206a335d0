"""Programs are traced once on a machine: kept beside the compilation cache, and never taken for another."""

import os
import subprocess
import sys
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import scalefit as sf
from scalefit import _aot
from scalefit._aot import FAST_COMPILE, _compiled, cached_jit, fast_compile_options
from scalefit._precision import precision
from scalefit._program_files import read_program

LAW = sf.laws.Chinchilla()
THETA = {name: jnp.asarray(value) for name, value in LAW.reference()[0].values}
traced = []


def _loss(law, theta, x):
    traced.append(law)
    return {"loss": law.loss(theta, x), "pair": (x["params"], x["tokens"])}


_loss.__module__ = "scalefit.tests"  # only the package's own programs are kept: its source is part of their name
loss = cached_jit("law")(_loss)


@pytest.fixture(autouse=True)
def folder(tmp_path):
    """An empty cache, and no program in memory."""
    before = jax.config.values["jax_compilation_cache_dir"]
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    forget()
    yield tmp_path
    jax.config.update("jax_compilation_cache_dir", before)


def forget():
    """As a new process would begin."""
    _compiled.cache_clear()
    traced.clear()


def at(params, law=LAW):
    return loss(law, THETA, {"params": jnp.asarray(params), "tokens": jnp.asarray(1e11)})


def test_a_kept_program_is_not_traced_again():
    first = at(1e9)
    assert len(traced) == 1
    forget()
    again = at(1e9)
    assert not traced
    assert again["loss"] == first["loss"] == pytest.approx(2.372, abs=1e-3)
    assert again["pair"] == first["pair"]


@pytest.mark.parametrize("prepared", [True, False])
def test_a_prepared_program_need_not_be_compiled(prepared, caplog):
    theta, x = {name: np.float32(value) for name, value in THETA.items()}, {"params": np.ones(2), "tokens": np.ones(2)}
    with precision("float64"):
        if prepared:
            loss.prepare(LAW, theta, x)
        with jax.log_compiles():
            loss(LAW, theta, x)
    assert any("XLA compilation of jit(call)" in record.message for record in caplog.records) != prepared


def test_other_shapes_and_precision_are_other_programs():
    at(1e9)
    at([1e9, 2e9])
    with precision("float64"):
        assert at(1e9)["loss"].dtype == np.float64
    assert len(traced) == 3


def test_changed_source_is_another_program(monkeypatch):
    at(1e9)
    forget()
    monkeypatch.setattr(_aot, "_source", lambda: "edited")
    at(1e9)
    assert len(traced) == 1


@dataclass(frozen=True)
class Own(sf.laws.Law, listed=False):
    """A user's class: its source may change without scalefit's, so that it is traced in every process."""

    name = "own"
    equation, inputs, params, rescale = LAW.equation, LAW.inputs, LAW.params, LAW.rescale
    derived, reference = LAW.derived, LAW.reference

    def loss(self, theta, x):
        return LAW.loss(theta, x)


LAMBDA = sf.laws.FunctionLaw(lambda t, x: t["E"] * x["params"], inputs=("params",), priors={"E": LAW.params()[0].prior})


@pytest.mark.parametrize("law", [Own(), LAMBDA], ids=["class", "function"])
def test_what_no_key_can_name_is_not_kept(law, folder):
    at(1e9, law)
    forget()
    at(1e9, law)
    assert len(traced) == 1
    assert not list(folder.glob("*-lowered"))


def test_for_a_device_asked_for_none_is_kept(folder):
    """Lowered for the default backend it would not run on another, such as the CPU beside a GPU."""
    usual = at(1e9)
    (kept,) = folder.glob("*-lowered")
    kept.unlink()
    with jax.default_device(jax.devices("cpu")[0]):
        assert at(1e9)["loss"] == usual["loss"]
    assert len(traced) == 2
    assert not list(folder.glob("*-lowered"))


def test_the_environment_turns_the_files_off(folder, monkeypatch):
    """A file that is there is not read either."""
    usual = at(1e9)
    (kept,) = folder.glob("*-lowered")
    forget()
    monkeypatch.setenv("SCALEFIT_AOT_CACHE", "0")
    assert at(1e9)["loss"] == usual["loss"]
    assert len(traced) == 1
    kept.unlink()
    forget()
    at(1e9)
    assert not list(folder.glob("*-lowered"))


def test_a_damaged_file_is_made_again(folder):
    first = at(1e9)
    (kept,) = folder.glob("*-lowered")
    kept.write_bytes(kept.read_bytes()[:100])
    forget()
    assert at(1e9)["loss"] == first["loss"]
    assert len(traced) == 1


@pytest.mark.parametrize("place", [0, 0.3, 0.6, -1])
def test_one_wrong_bit_is_noticed(folder, place):
    """JAX would read many of these files, and crash, refuse to run or compute something else, every time."""
    first = at(1e9)
    (kept,) = folder.glob("*-lowered")
    damaged = bytearray(kept.read_bytes())
    damaged[int(place * len(damaged)) if 0 <= place < 1 else place] ^= 4
    kept.write_bytes(damaged)
    forget()
    assert at(1e9)["loss"] == first["loss"]
    assert len(traced) == 1
    assert read_program(kept)


def test_a_program_under_the_name_of_another_is_not_it(folder):
    first = at(1e9)
    (kept,) = folder.glob("*-lowered")
    at([1e9, 2e9])
    (other,) = set(folder.glob("*-lowered")) - {kept}
    kept.write_bytes(other.read_bytes())
    forget()
    assert at(1e9)["loss"] == first["loss"]
    assert len(traced) == 1


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no such modes")
@pytest.mark.parametrize("mode", [0o777, 0o720, 0o1777])
def test_a_folder_that_others_can_write_is_not_used(folder, mode):
    """Whoever writes a program there could run anything here."""
    first = at(1e9)
    folder.chmod(mode)
    _aot._is_safe.cache_clear()
    try:
        forget()
        with pytest.warns(UserWarning, match="others can write"):
            assert at(1e9)["loss"] == first["loss"]
        assert at([1e9, 2e9])["loss"].shape == (2,)
        assert len(traced) == 2
        assert len(list(folder.glob("*-lowered"))) == 1
    finally:
        folder.chmod(0o700)
        _aot._is_safe.cache_clear()


COMMAND = """
import sys
from pathlib import Path
from scalefit.cli import _app
_app.use_compilation_cache()
import jax
import scalefit._aot
from scalefit._program_files import unsealed
double = jax.jit(lambda x: 2 * x + 1)
assert double(3.0) == 7
folder = Path(sys.argv[1])
kept = list(folder.glob("*-cache"))
assert kept
for cut in (False, True):
    for path in kept:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content[: len(content) // 2] if cut else content)
    jax.clear_caches()
    assert double(3.0) == 7
    assert all(unsealed(path.name.removesuffix("-cache"), path.read_bytes()) for path in kept)
print("made again")
"""


def test_commands_look_at_jaxs_own_programs_too(tmp_path):
    """JAX compares no digest, and where it notices damage it compiles anew each time."""
    command = [sys.executable, "-W", "error", "-c", COMMAND, str(tmp_path)]
    there = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(tmp_path)}
    assert subprocess.run(command, stdout=subprocess.PIPE, text=True, env=there).stdout == "made again\n"


def test_a_folder_that_cannot_be_written_costs_time_only(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    jax.config.update("jax_compilation_cache_dir", str(blocked))
    assert np.isfinite(at(1e9)["loss"])


def test_inside_another_program_it_is_a_part_of_that(folder):
    doubled = jax.jit(lambda n: 2 * loss(LAW, THETA, {"params": n, "tokens": 1e11})["loss"])
    assert doubled(1e9) == pytest.approx(2 * at(1e9)["loss"])


def test_options_this_jax_does_not_know_are_left_out(monkeypatch):
    assert fast_compile_options("cpu").items() <= FAST_COMPILE.items()
    assert fast_compile_options("gpu") == {}
    monkeypatch.setitem(FAST_COMPILE, "xla_no_such_option", True)
    fast_compile_options.cache_clear()
    assert "xla_no_such_option" not in fast_compile_options("cpu")
    fast_compile_options.cache_clear()


def test_every_program_of_a_fit_is_kept(chinchilla, monkeypatch):
    """The engines' program, the optimum's and the prior draws': what `scalefit fit` is made of."""
    jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])  # warm: no compilation
    found, cache_path = [], _aot._cache_path
    monkeypatch.setattr(_aot, "_cache_path", lambda *key: found.append(cache_path(*key)) or found[-1])
    sf.fit(chinchilla)
    assert all(path and read_program(path) for path in found)
    assert {path.name.partition("-")[0] for path in found} >= {"_modes", "draw_from_modes", "_prior_draws"}
