"""Every compiled program lowers for CPU, CUDA and TPU, in float32 without a float64 in it: all but a device."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import simulated
from contracts.test_laws import LAWS, NOISE, design
from jax import export

import scalefit as sf
from scalefit import _aot
from scalefit._precision import precision
from scalefit.infer import _with_discrepancy, nuts
from scalefit.infer._contracts import CompiledEngine, Engine
from scalefit.infer.batch import solve_group
from scalefit.sampling.modes import modes

PLATFORMS = ("cpu", "cuda", "tpu")
ENGINES = [engine for engine in Engine.registry.values() if issubclass(engine, CompiledEngine)]
SINGLE = {np.dtype("float64"): np.float32, np.dtype("int64"): np.int32}


def lower(f, *inputs):
    """The text of a program of these inputs, or their shapes, as an accelerator has it."""
    leaves, tree = jax.tree.flatten(inputs)
    shapes = [jax.ShapeDtypeStruct(np.shape(leaf), SINGLE.get(np.dtype(leaf.dtype), leaf.dtype)) for leaf in leaves]
    with precision("float32"):
        program = jax.jit(lambda leaves: f(*jax.tree.unflatten(tree, leaves)))
        return export.export(program, platforms=PLATFORMS)(shapes).mlir_module()


def double(text):
    """Lines with numbers of 64 bits."""
    return [line for line in text.splitlines() if re.search(r"f64\b", line)]


def test_what_does_not_lower_is_noticed():
    """A decomposition that TPU lacks, and a precision that stands in the program itself."""
    with pytest.raises(NotImplementedError):
        lower(jnp.linalg.eig, np.eye(3))

    def in_double(x):
        with jax.enable_x64(True):
            return x.astype("float64") + 1

    assert double(lower(in_double, np.ones(3)))
    assert not double(lower(lambda x: x + 1, np.ones(3)))


def tables(model, runs):
    """Two of them, and their keys: what `fit_many` gives a program."""
    data = model.bind(runs).data
    return jax.tree.map(lambda leaf: np.stack([leaf, leaf]), data), np.zeros((2, 2), np.uint32)


@pytest.mark.parametrize("engine", [sf.AIS, sf.Huber], ids=lambda engine: engine.name)
def test_engines_lower(engine):
    model = sf.Model()
    assert not double(lower(lambda *given: solve_group.f(engine(), model, *given), *tables(model, simulated())))


def test_nuts_lowers():
    """Warm-up and draws of all chains, a block at a time."""
    model = sf.Model()
    data, keys = model.bind(simulated()).data, np.zeros((4, 2), np.uint32)
    init, advance = nuts._compiled(model, sf.NUTS())
    with precision("float32"):
        one = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), data)
        found = jax.eval_shape(lambda data: jax.tree.map(lambda leaf: leaf[0], modes(model, data)), one)
        state = jax.eval_shape(init, found, one, keys)
    assert not double(lower(init.__wrapped__, found, data, keys))
    assert not double(lower(advance.__wrapped__, state, found, data))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_every_law_lowers_under_every_engine(law, engine):
    model, x = sf.Model(law), design(law)
    runs = sf.Runs({**x, "loss": model.simulate(dict(law.reference()[0].values) | NOISE, x, 0)})
    try:
        given = tables(model, runs)
        text = lower(lambda *given: solve_group.f(engine(), model, *given), *given)
    except sf.OptionError:
        pytest.skip("this engine is not for this law")
    assert not double(text)


QUESTIONS = (
    lambda fit: sf.plan(fit, 1e22),
    lambda fit: sf.target(fit, 2.2),
    lambda fit: sf.lifetime(fit, "7B", sf.costs.Lifetime(2e12)),
    lambda fit: sf.audit(fit, ["llama-3-8b", "70B:1.4T"]),
    lambda fit: sf.compare_runs(fit, "280B:300B", "70B:1.4T"),
    lambda fit: sf.rules_of_thumb(fit, 1e22),
    lambda fit: sf.loss_surface(fit, np.geomspace(1e8, 1e10, 20), np.geomspace(1e9, 1e11, 9), prob=0.8),
    lambda fit: sf.reconcile(fit, discrepancy=False),
    lambda fit: sf.plan(fit, 1e22, discrepancy=False),
    lambda fit: sf.next_runs(fit, 1e22, spend=2e20, count=2),
    lambda fit: sf.compare_recipes(sf.fit_recipes({"A": fit.runs, "B": simulated(seed=1, budgets=2)}), at=1e22),
)  # the same as elsewhere in these tests, so that nothing is compiled for them alone


@pytest.mark.slow
def test_programs_of_a_fit_and_its_questions_lower(quick, small_fit, monkeypatch):
    """Whatever they compile is lowered again for accelerators, without being compiled or run there."""
    used, compiled = {}, _aot._compiled

    def recorded(f, options, tree, shapes, config):
        used[f, options, tree, shapes] = f
        return compiled(f, options, tree, shapes, config)

    monkeypatch.setattr(_aot, "_compiled", recorded)
    sf.fit(simulated(), engine=quick)
    for question in QUESTIONS:
        question(small_fit)
    names = {f.__name__ for f in used.values()}
    assert names >= {"_modes", "draw_from_modes", "optima", "joint_modes", "joint_draw", "_log_losses", "linearised"}
    assert len(names) > 12
    for f, options, tree, shapes in used:
        text = lower(lambda *leaves: f(**dict(options), **jax.tree.unflatten(tree, leaves)), *shapes)  # noqa: B023
        assert not double(text), f.__qualname__


@pytest.mark.slow
def test_the_program_of_many_discrepancies_lowers(small_fit, monkeypatch):
    """No CPU runs it."""
    texts = []

    def lowered(model, *arrays):
        *leaves, shape, schedule = arrays
        program = lambda *inputs: _with_discrepancy.joint_draws_of_tables(model, *inputs, shape, schedule)
        monkeypatch.undo()
        texts.append(lower(program, *leaves))
        return np.zeros((2, 1))

    monkeypatch.setattr(_with_discrepancy, "joint_draws_of_tables", lowered)
    with precision():
        _with_discrepancy.drawn_in_lanes([small_fit], most=2)
    assert len(texts[0]) > 100_000
    assert not double(texts[0])
