"""Shared tables and fits. Compiled programs are kept for the session: processes and command lines share them."""

import json
import os
import sys
import tempfile
from dataclasses import replace
from functools import lru_cache

if "PYTEST_XDIST_WORKER" not in os.environ:  # a worker has that of the process that started it
    _cache = tempfile.TemporaryDirectory(prefix="scalefit-tests-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _cache.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
os.environ["MPLBACKEND"] = "Agg"

import jsonschema
import numpy as np
import pytest
from jaxtyping import install_import_hook

if os.environ.get("SCALEFIT_CHECK_SHAPES", "1") != "0":  # before the package is imported
    sys.path.insert(0, os.path.dirname(__file__))
    install_import_hook("scalefit", "typechecking.check")

import scalefit as sf

TRUTH = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658, "sigma": 0.004, "nu": 4.0}


def isoflop_design(budgets: int = 8, sizes: int = 10, width: float = 10.0) -> dict[str, np.ndarray]:
    """params and tokens on isoFLOP lines from 1e19 to 1e21 FLOP, N within a factor `width` of sqrt(C / 120)."""
    flops = np.repeat(np.geomspace(1e19, 1e21, budgets), sizes)
    params = np.sqrt(flops / 120) * np.tile(np.geomspace(1 / width, width, sizes), budgets)
    return {"params": params, "tokens": flops / 6 / params}


def simulated(seed: int = 0, model: sf.Model | None = None, theta: dict | None = None, **design) -> sf.Runs:
    """Runs that the model itself could have produced."""
    x = isoflop_design(**design)
    return sf.Runs({**x, "loss": (model or sf.Model()).simulate(theta or TRUTH, x, seed)}, name="simulated")


def ray(alpha: float, beta: float, count: int = 100) -> sf.Runs:
    """Runs on one exact ray: parameters and tokens could change places, so there are two modes."""
    params = np.geomspace(1e7, 1e10, count)
    u = params / np.exp(np.log(params).mean())
    log_noise = 3e-4 * np.random.default_rng(0).standard_normal(count)
    loss = (1 + 0.5 * u**-alpha + 0.8 * u**-beta) * np.exp(log_noise)
    return sf.Runs({"params": params, "tokens": 20 * params, "loss": loss})


@lru_cache
def compiled(f, static=()):
    """`f` as one program, the same each time: operation by operation each of them is one, for every shape again."""
    import jax

    from scalefit._aot import fast_compile_options

    return jax.jit(f, static_argnames=static, compiler_options=fast_compile_options(jax.default_backend()))


@pytest.fixture(scope="session")
def chinchilla():
    return sf.datasets.load("chinchilla")


@pytest.fixture(scope="session")
def chinchilla_fit(chinchilla):
    return sf.fit(chinchilla)


@pytest.fixture(scope="session")
def law_fit(chinchilla_fit):
    """The same draws by the law alone: what published closed forms and exact figures are about."""
    return replace(chinchilla_fit, model=replace(chinchilla_fit.model, discrepancy=None))


@pytest.fixture(scope="session")
def quick():
    """A small engine for tests that look at everything but precision."""
    return sf.AIS(chains=4, draws=500, block=500, rounds=8)


@pytest.fixture(scope="session")
def nuts_fit(chinchilla):
    return sf.fit(chinchilla, engine="nuts")


@pytest.fixture(scope="session")
def small_fit(quick):
    return sf.fit(simulated(), engine=quick)


@pytest.fixture(scope="session")
def point_fit(small_fit):
    """Make a fit of one draw from given constants: what the published closed forms are about."""

    def make(**theta):
        draws = {name: np.array([[theta.get(name, values.mean())]]) for name, values in small_fit.draws.items()}
        return replace(small_fit, draws=draws, kind="point", stats={})

    return make


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command line; gives (exit status, standard output, standard error). JSON is held to its schema."""

    from scalefit import cli
    from scalefit.cli import schema

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["scalefit", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        out, err = capsys.readouterr()
        if "--json" in arguments and left.value.code != 2:
            name = "-".join(arguments[: 1 + (arguments[0] == "compare")])
            jsonschema.validate(json.loads(out), json.loads((schema.FOLDER / f"{name}.json").read_text()))
        return left.value.code or 0, out, err

    return call


@pytest.fixture
def saved(small_fit, tmp_path):
    return small_fit.save(tmp_path / "fit.nc")
