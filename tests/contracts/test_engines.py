"""What every engine must do."""

import numpy as np
import pytest
from conftest import simulated

import scalefit as sf
from scalefit.infer import Engine, find_engine

ENGINES = [find_engine(name) for name in sorted(Engine.registry)]

# Median and sd of the posterior of the 240 runs with default priors, from 40 chains x 10,000 draws of NUTS.
REFERENCE = {
    "E": (1.8068, 0.0156),
    "alpha": (0.3452, 0.0093),
    "beta": (0.3604, 0.0102),
    "a": (0.5108, 0.0104),
}


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.name)
def engine(request):
    return request.param


def test_an_engine_is_options(engine):
    assert hash(engine) == hash(type(engine)())
    assert engine.kind in ("posterior", "bootstrap", "point")


def test_the_same_seed_gives_the_same_draws_and_another_does_not(engine):
    first, again, other = (sf.fit(simulated(), engine=engine, seed=seed) for seed in (3, 3, 4))
    for name in first.draws:
        np.testing.assert_array_equal(first.draws[name], again.draws[name])
    assert engine.kind == "point" or (first.draws["alpha"] != other.draws["alpha"]).any()


def test_draws_are_raw_and_shaped_chain_by_draw(engine):
    fit = sf.fit(simulated(), engine=engine)
    assert list(fit.draws) == [p.name for p in fit.model.params()]
    assert {values.shape for values in fit.draws.values()} == {fit.draws["E"].shape}
    assert fit.draws["E"].ndim == 2
    assert np.median(fit.draws["A"]) > 50, "A is in raw units"


def test_agreement_with_the_reference_posterior(engine, chinchilla):
    """Medians within 0.15 posterior sd and Monte Carlo error, sd within 10 %."""
    if engine.kind != "posterior":
        pytest.skip("not a posterior")
    fit = sf.fit(chinchilla, engine=engine)
    found = {**fit.draws, **fit.model.law.derived(fit.draws)}
    for name, (median, sd) in REFERENCE.items():
        error = 0.15 * sd + 3 * 1.25 * sd / np.sqrt(1000)
        assert np.median(found[name]) == pytest.approx(median, abs=error)
        assert found[name].std() == pytest.approx(sd, rel=0.1)
