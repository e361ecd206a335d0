"""What every engine must do."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import scalefit as sf
from scalefit.diagnostics.convergence import convergence
from scalefit.infer import Engine, find_engine
from scalefit.infer.bootstrap import BATCH

ENGINES = [find_engine(name) for name in sorted(Engine.registry)]

# 200,000 draws of the posterior of the 240 runs: benchmarks/reference_posterior.py.
REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "chinchilla_240.json").read_text())["quantities"]


@pytest.fixture(scope="module", params=ENGINES, ids=lambda engine: engine.name)
def engine(request):
    return request.param


def quicker(engine):
    """The engine with as few resamples as one call of its program takes: the rest are more of the same."""
    return replace(engine, resamples=BATCH) if engine.kind == "bootstrap" else engine


@pytest.fixture(scope="module")
def fit(request, engine, chinchilla):
    if shared := {"auto": "chinchilla_fit", "nuts": "nuts_fit"}.get(engine.name):
        return request.getfixturevalue(shared)
    return sf.fit(chinchilla, engine=quicker(engine))


def test_an_engine_is_options(engine):
    assert hash(engine) == hash(type(engine)())
    assert engine.kind in ("posterior", "bootstrap", "point")


def test_the_same_seed_gives_the_same_draws_and_another_does_not(engine, fit, chinchilla):
    again = sf.fit(chinchilla, engine=quicker(engine))
    for name in fit.draws:
        np.testing.assert_array_equal(fit.draws[name], again.draws[name])
    if engine.kind != "point":
        assert (fit.draws["alpha"] != sf.fit(chinchilla, engine=quicker(engine), seed=4).draws["alpha"]).any()


def test_draws_are_raw_and_shaped_chain_by_draw(fit):
    assert list(fit.draws) == [p.name for p in fit.model.params()]
    assert {values.shape for values in fit.draws.values()} == {fit.draws["E"].shape}
    assert fit.draws["E"].ndim == 2
    assert np.median(fit.draws["A"]) > 50, "A is in raw units"


def disagreements(draws):
    """Quantities with more or fewer draws below a reference quantile than chance explains: 4 standard errors.

    Distribution-free: the share of draws below the true p-quantile is p, give or take sqrt(p (1 - p) / ESS).
    """
    found = []
    for name, known in REFERENCE.items():
        for p, quantile in ((0.05, known["q05"]), (0.5, known["median"]), (0.95, known["q95"])):
            below = draws[name] < quantile
            error = np.sqrt(p * (1 - p) / convergence({name: below.astype(float)})[name]["ess_bulk"])
            if abs(below.mean() - p) > 4 * error:
                found.append((name, p))
    return found


def test_agreement_with_the_reference_posterior(engine, fit):
    """Parameters and derived quantities at three quantiles. False alarms: 39 checks at 6e-5, under 1 in 400.

    Power: the same draws a third of a standard deviation off, or a quarter too narrow, must fail.
    """
    if engine.kind != "posterior":
        pytest.skip("not a posterior")
    draws = {**fit.draws, **fit.law_derived, **fit.optima([5.76e23], discrepancy=False)}
    assert not disagreements(draws)
    assert disagreements({name: values + values.std() / 3 for name, values in draws.items()})
    assert disagreements({name: values.mean() + 0.75 * (values - values.mean()) for name, values in draws.items()})
