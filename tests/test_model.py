from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from conftest import TRUTH, isoflop_design, simulated
from numpyro.infer.util import log_density

import scalefit as sf
from scalefit._precision import precision
from scalefit.model.numpyro_model import numpyro_model


def as_arguments(data):
    """What the NumPyro model takes."""
    return data.x, data.log_loss, data.weight


def test_potential_is_minus_the_numpyro_log_density_with_the_transforms():
    bound = sf.Model().bind(simulated())
    with precision():
        z = {name: jnp.asarray(-0.5 - 0.1 * i) for i, name in enumerate(TRUTH)}
        theta = bound.model.space.constrain(z)
        density, _ = log_density(partial(numpyro_model, bound.model), as_arguments(bound.data), {}, theta)
        jacobian = sum(z.values())  # all parameters are positive: d exp(z)/dz = exp(z)
        np.testing.assert_allclose(bound.model.potential(z, bound.data), -(density + jacobian), rtol=1e-12)
        parts = (
            sum(bound.model.space.log_prior(theta).values()) + bound.model.log_likelihood(theta, bound.data)[:80].sum()
        )
        np.testing.assert_allclose(parts, density, rtol=1e-12)
        back = bound.model.space.unconstrain(theta)
    for name in z:
        np.testing.assert_allclose(back[name], z[name], rtol=1e-12)


def test_the_model_runs_in_plain_numpyro():
    bound = sf.Model().bind(simulated())
    with precision():
        trace = numpyro.handlers.trace(numpyro.handlers.seed(partial(numpyro_model, bound.model), 0)).get_trace(
            *as_arguments(bound.data)
        )
    assert set(trace) == {*TRUTH, "run", "log_loss"}


def test_raw_and_unit_free_coordinates_lead_to_each_other():
    bound = sf.Model().bind(simulated())
    back = bound.to_raw(bound.to_unit(TRUTH))
    for name, value in TRUTH.items():
        np.testing.assert_allclose(back[name], value, rtol=1e-12)


def test_priors_carry_no_unit():
    """The same runs in bits, with counts in millions: the same unit-free data."""
    runs = simulated()
    scaled = sf.Runs({"params": runs.params / 1e6, "tokens": runs.tokens / 1e6, "loss": runs.loss / np.log(2)})
    with precision():
        (x, y, *_), (x2, y2, *_) = sf.Model().bind(runs).data, sf.Model().bind(scaled).data
        np.testing.assert_allclose(x["params"], x2["params"], rtol=1e-12)
        np.testing.assert_allclose(y, y2, atol=1e-12)


def test_prior_overrides_from_scalefit_and_numpyro():
    ours = sf.Model(priors={"alpha": sf.Prior.of("LogNormal", loc=-1.0, scale=0.1)})
    theirs = sf.Model(priors={"alpha": dist.LogNormal(-1.0, 0.1)})
    assert hash(ours) == hash(theirs)
    assert ours == theirs
    assert str(next(p for p in ours.params() if p.name == "alpha").prior) == "LogNormal(loc -1, scale 0.1)"
    with pytest.raises(sf.ScalefitError, match="no parameter is called gamma"):
        sf.Model(priors={"gamma": dist.Normal(0, 1)})
    with pytest.raises(sf.ScalefitError, match="not a distribution"):
        sf.Prior.of("Normall", loc=0.0)


def test_an_override_moves_the_posterior():
    tight = sf.Model(priors={"E": sf.Prior.of("LogNormal", loc=np.log(0.5), scale=0.001)})
    runs = simulated()
    fit = sf.fit(runs, tight, engine=sf.MAP())
    assert np.median(fit.draws["E"]) == pytest.approx(0.5 * np.exp(np.log(runs.loss).mean()), rel=0.01)


def test_too_few_runs_and_no_variation_are_refused():
    runs = simulated()
    with pytest.raises(sf.DataError, match="6 runs cannot determine the 7 parameters"):
        sf.Model().bind(runs.subset(np.arange(6)))
    for name in ("params", "tokens"):
        flat = sf.Runs({**runs.columns, name: np.full(len(runs), 1e9)})
        with pytest.raises(sf.DataError, match=f"{name} are the same in every run"):
            sf.Model().bind(flat)
    with pytest.raises(sf.DataError, match="the loss is the same in every run"):
        sf.Model().bind(sf.Runs({**runs.columns, "loss": np.full(len(runs), 3.0)}))


def test_simulation_repeats_with_its_seed():
    x = isoflop_design()
    first, again, other = (sf.Model().simulate(TRUTH, x, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()
    few = {name: values[:30] for name, values in x.items()}
    np.testing.assert_array_equal(sf.Model().simulate(TRUTH, few, 1), first[:30], "padding leaves the noise alone")


def test_data_are_float64_on_cpu():
    if jax.default_backend() != "cpu":
        pytest.skip("accelerators compute in float32")
    with precision():
        x, y, *_ = sf.Model().bind(simulated()).data
    assert x["params"].dtype == y.dtype == jnp.float64
    assert jnp.zeros(()).dtype == jnp.float32, "the library must not switch precision globally"
