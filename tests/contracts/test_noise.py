"""What every noise must do."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import TRUTH, compiled, isoflop_design
from scipy.special import digamma, gammaln, polygamma

import scalefit as sf
from scalefit.model.noise import Noise, find_noise, log_gamma_step

NOISES = [find_noise(name) for name in sorted(Noise.registry)]


@pytest.fixture(params=NOISES, ids=lambda noise: noise.name)
def noise(request):
    return request.param


def test_noise_is_hashable_and_explains_itself(noise):
    assert hash(noise) == hash(type(noise)())
    assert all(p.meaning for p in noise.params())


def test_log_density_integrates_to_one_and_is_centred_on_the_law(noise):
    with jax.enable_x64(True):
        grid = np.linspace(-3.0, 3.0, 600_001)
        log_density = compiled(lambda r: noise.distribution({"sigma": 0.01, "nu": 4.0}, 0.2).log_prob(r))
        density = np.exp(np.asarray(log_density(grid)))
    assert np.trapezoid(density, grid) == pytest.approx(1.0, abs=1e-4)
    assert grid[np.argmax(density)] == pytest.approx(0.2, abs=1e-4)


def test_the_density_written_for_speed_is_the_distributions(noise):
    theta = {"sigma": 0.01, "nu": 4.0}
    with jax.enable_x64(True):
        r = np.linspace(-0.1, 0.1, 41)
        both = lambda theta, r: (noise.log_density(theta, r), noise.distribution(theta, 0.0).log_prob(r))
        ours, exact = compiled(both)(theta, r)
    np.testing.assert_allclose(ours, exact, rtol=1e-12)


def test_log_gamma_step_and_its_slopes_are_exact_to_rounding():
    """Beside SciPy's, where those do not cancel; single precision loses a few of its digits only."""
    x = np.geomspace(1e-3, 1e3, 300)
    with jax.enable_x64(True):
        slope = jax.grad(log_gamma_step)
        all_three = lambda x: tuple(f(x) for f in (log_gamma_step, slope, jax.grad(slope)))
        ours = [np.asarray(values) for values in compiled(jax.vmap(all_three))(x)]
        single = np.asarray(compiled(jax.vmap(log_gamma_step))(x.astype(np.float32)))
    exact = [f(x + 0.5) - f(x) for f in (gammaln, digamma, lambda x: polygamma(1, x))]
    for power, (found, wanted) in enumerate(zip(ours, exact, strict=True)):
        assert (np.abs(found - wanted) / (1 + np.abs(gammaln(x)) + x**-power)).max() < 1e-14
    assert np.abs(single - ours[0]).max() < 1e-5


def test_a_guess_is_a_start(noise):
    """Inside the priors' support, and of the scale of the residuals it is made for."""

    @compiled
    def look(size):
        guess = noise.guess(size)
        inside = {p.name: p.prior.distribution().log_prob(guess[p.name]) for p in noise.params()}
        return guess, inside, noise.distribution(guess, 0.0).sample(jax.random.PRNGKey(0), (20_000,))

    guess, inside, drawn = look(jnp.float32(0.02))
    assert set(guess) == {p.name for p in noise.params()}
    assert np.isfinite(list(inside.values())).all()
    assert np.abs(drawn).mean() == pytest.approx(0.02, rel=0.35)


def test_gradients_are_finite_over_the_prior(noise):

    @compiled
    def slopes():
        draws = {p.name: p.prior.distribution().sample(jax.random.PRNGKey(3), (500,)) for p in noise.params()}
        return jax.vmap(jax.grad(lambda t: noise.distribution(t, 0.0).log_prob(0.3)))(draws)

    with jax.enable_x64(True):
        gradients = slopes()
    assert all(np.isfinite(g).all() for g in gradients.values())


def test_simulated_scatter_has_the_scale(noise):
    """Median absolute deviation of 80 x 50 simulated ln losses; false alarms: 4 standard errors, about 1 in 16,000."""
    x = {name: np.tile(values, 50) for name, values in isoflop_design().items()}
    model = sf.Model(noise=noise)
    with jax.enable_x64(True):
        mean = np.asarray(compiled(partial(model.log_mean, TRUTH))(x))
        grid = np.linspace(-0.05, 0.05, 200_001)
        mass = np.cumsum(np.exp(compiled(lambda r: noise.distribution(TRUTH, 0.0).log_prob(r))(grid)))
    expected = float(np.interp(0.75, mass / mass[-1], grid))
    scatter = np.median(np.abs(np.log(model.simulate(TRUTH, x, seed=5)) - mean))
    error = 4 * 1.6 * expected / np.sqrt(len(mean))
    assert scatter == pytest.approx(expected, abs=error)
    assert scatter != pytest.approx(1.2 * expected, abs=error), "the check must notice a scale 20 % off"
