"""Programs are traced once on a machine: kept beside the compilation cache, and never taken for another."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import scalefit as sf
from scalefit import _aot
from scalefit._aot import FAST_COMPILE, _compiled, cached_jit, fast_compile_options
from scalefit._precision import precision

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


def test_every_fit_is_kept(chinchilla, folder):
    """The engines' program, the optimum's and the prior draws': what `scalefit fit` is made of."""
    sf.fit(chinchilla)
    kept = {path.name.partition("-")[0] for path in folder.glob("*-lowered")}
    assert kept == {"_modes", "draw_from_modes", "optima", "_prior_draws"}
