"""The law's own error: its process, its posterior against a long joint run, and what answers of kind form carry."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from conftest import TRUTH, isoflop_design, simulated

import scalefit as sf
from scalefit._precision import precision
from scalefit.diagnostics.convergence import convergence
from scalefit.model.discrepancy import (
    PATH_AXES,
    Discrepancy,
    coordinates,
    discrepancies_at,
    kernel,
    pivots,
    sample_paths,
)
from scalefit.model.model import noise

SCALES = Discrepancy().scales


@pytest.fixture(scope="module")
def at_runs(chinchilla):
    return coordinates({"params": chinchilla.params, "tokens": chinchilla.tokens})


def errors(paths, params, tokens):
    """(draw, run) of paths."""
    with precision():
        arrays = {name: jnp.asarray(values) for name, values in paths.items()}
        return np.asarray(discrepancies_at(arrays, jnp.log(params), jnp.log(tokens)))


def test_a_few_runs_carry_the_process(at_runs):
    """What the pivots leave out of the process at any run is a tenth of the noise of a run, at most."""
    _, basis = pivots(SCALES, at_runs)
    exact = kernel(SCALES, at_runs[:, None], at_runs[None])
    left = np.diag(exact) - (basis**2).sum(axis=1)
    assert np.sqrt(left.max()) < 4e-4
    np.testing.assert_allclose(basis @ basis.T, exact, atol=1.6e-7)


def test_paths_pass_through_what_the_runs_say(chinchilla, at_runs):
    """At the runs a path is basis @ weights, whatever prior path it was made from."""
    centres, basis = pivots(SCALES, at_runs)
    weights = np.random.default_rng(0).normal(size=(20, basis.shape[1]))
    found = errors(sample_paths(SCALES, centres, weights, seed=1), chinchilla.params, chinchilla.tokens)
    np.testing.assert_allclose(found, weights @ basis.T, atol=3e-4)


def test_far_from_all_runs_paths_have_the_priors_covariance():
    """4,000 paths: a standard deviation within 6 % is 5 standard errors; broken amplitudes or frequencies fail."""
    one = np.array([[45.0, 3.0]])
    paths = sample_paths(SCALES, one, np.random.default_rng(0).normal(size=(4000, 24)), seed=0)
    u = np.array([[70.0, 3.0], [72.0, 3.0], [70.0, 6.0]])  # ln C, ln D/N
    log_k, ratio = u[:, 0] - np.log(6), u[:, 1]
    found = np.cov(errors(paths, np.exp((log_k - ratio) / 2), np.exp((log_k + ratio) / 2)).T)
    expected = kernel(SCALES, u[:, None], u[None])
    np.testing.assert_allclose(np.sqrt(np.diag(found)), np.sqrt(np.diag(expected)), rtol=0.06)
    np.testing.assert_allclose(found, expected, atol=0.08 * expected[0, 0])


@pytest.mark.slow
def test_the_posterior_is_that_of_the_joint_model(chinchilla_fit):
    """Against NUTS on the NumPyro model with the error in it: loss and error far out, and law and noise: medians within
    a fifth of a standard deviation, standard deviations within a fifth. With the weights taken as normal, uncorrected,
    the scale of the noise is .7 standard deviations too high, and fails.

    False alarms: both runs have an ESS of about 900, so that a median is known to .04 standard deviations.
    """
    from numpyro.infer import MCMC, NUTS

    fit, model = chinchilla_fit, chinchilla_fit.model.with_discrepancy_priors
    centres, basis = fit.bound.basis
    with precision():
        data = fit.bound.data
        sampler = MCMC(NUTS(model.numpyro_model, dense_mass=True), num_warmup=1000, num_samples=1000, num_chains=2,
                       chain_method="sequential", progress_bar=False)  # fmt: skip
        sampler.run(jax.random.PRNGKey(0), data.x, data.log_loss, data.weight, jnp.asarray(basis))
        draws = {name: np.asarray(values) for name, values in sampler.get_samples(group_by_chain=True).items()}
    assert min(v["ess_bulk"] for v in convergence({k: v for k, v in draws.items() if v.ndim == 2}).values()) > 400
    long = {name: draws[name].reshape(-1) for name in fit.draws}
    raw = fit.bound.to_raw(long)
    for name in ("E", "alpha", "beta", "sigma"):
        ours, theirs = fit.discrepancy_posterior.theta[name], raw[name]
        assert abs(np.median(ours) - np.median(theirs)) < 0.2 * theirs.std()
        assert ours.std() == pytest.approx(theirs.std(), rel=0.2)
    paths = sample_paths(SCALES, centres, draws["discrepancy"].reshape(-1, basis.shape[1]), seed=0)
    n, d = np.array([1e9, 1e10]), np.array([2e10, 2e11])
    took, expected = errors(fit.discrepancy_posterior.paths, n, d), errors(paths, n, d)
    assert (np.abs(np.median(took, 0) - np.median(expected, 0)) < 0.2 * expected.std(0)).all()
    np.testing.assert_allclose(took.std(0), expected.std(0), rtol=0.2)


def test_normal_noise_leaves_nothing_to_correct():
    """The weights are then normal, and integrate out exactly, whatever the law."""
    from scalefit.sampling.alr import unconstrain_alr
    from scalefit.sampling.discrepancy_posterior import _log_error
    from scalefit.sampling.marginal_discrepancy import ConditionalWeights, conditional, law_residuals

    bound = sf.Model(noise="normal").bind(simulated())
    model, (_, basis) = bound.model.with_discrepancy_priors, bound.basis
    with precision():
        normal = jnp.asarray(np.random.default_rng(0).normal(size=(32, basis.shape[1])))
        truth = bound.to_unit(TRUTH | {"sigma": 0.01})
        place = unconstrain_alr(model, {name: jnp.asarray(truth[name]) for name in truth})
        given = conditional(
            model, bound.data, ConditionalWeights.unaware(basis), *law_residuals(model, bound.data, place)
        )
        error, worth = _log_error(model, bound.data, given, place + 0.1, normal)
    assert float(error) == pytest.approx(0.0, abs=1e-9)
    assert float(worth) == pytest.approx(64)


def test_noise_without_a_scale_leaves_the_error_out(small_fit):
    """What a run's trust is measured by; until then such a fit ended in a KeyError beyond the data."""

    @dataclass(frozen=True)
    class Wide(noise.Noise):
        name = "wide"
        params = lambda self: (sf.laws.Param("width", sf.laws.Prior.of("HalfNormal", scale=0.05), "of the noise"),)
        distribution = lambda self, theta, log_loss: dist.Laplace(log_loss, theta["width"])
        log_density = lambda self, theta, r: dist.Laplace(0.0, theta["width"]).log_prob(r)
        sample = lambda self, theta, log_loss, rng: log_loss + rng.laplace(size=log_loss.shape)
        guess = lambda self, size: {"width": size}

    try:
        fit = replace(small_fit, model=sf.Model(noise=Wide()))
        assert not fit.has_discrepancy
        assert fit.kind_at(1e25) == "mean"
        with pytest.raises(sf.ScalefitError, match="noise with a sigma"):
            _ = fit.discrepancy_posterior
    finally:
        del noise.Noise.registry["wide"]


def test_noise_and_paths_are_drawn_apart(small_fit):
    """One stream for both made a run's noise the amplitude of its draw's path."""
    normal = replace(small_fit, model=replace(small_fit.model, noise=sf.Normal()))
    loss = np.ones((small_fit.theta["E"].size, 96))
    seen = np.log(normal.observed(loss)) / small_fit.theta["sigma"][:, None]
    path = np.random.default_rng(small_fit.seed).normal(size=loss.shape)
    assert abs(np.corrcoef(seen.ravel(), path.ravel())[0, 1]) < 0.02  # four standard errors of 48,000 draws at least


def test_a_quadratic_is_found_and_ends_where_the_places_do():
    """Through exact values it is exact; a place that is not finite counts for nothing; farther out it stays."""
    from scalefit.numerics.quadratic import Quadratic

    rng = np.random.default_rng(0)
    places, bend, slope = rng.normal(size=(60, 3)) * [1.0, 5.0, 0.1] + 7, rng.normal(size=(3, 3)), rng.normal(size=3)
    quadratic = lambda z: 2.0 + z @ slope + ((z @ bend) * z).sum(-1)
    values = quadratic(places)
    values[0] = np.nan
    with precision():
        found = Quadratic.through(jnp.asarray(places), jnp.asarray(values), jnp.asarray(rng.uniform(1, 2, size=60)))
        np.testing.assert_allclose(jax.vmap(found)(places[1:]), values[1:], atol=1e-3 * np.nanstd(values))
        far = jnp.asarray(places[1] - np.asarray(found.mean))
        assert float(found(found.mean + 100 * far)) == pytest.approx(float(found(found.mean + 1000 * far)), rel=1e-9)


def test_beyond_the_data_form_is_wider_and_inside_it_is_not_much(chinchilla_fit):
    inside, beyond = {"params": [2e9], "tokens": [4e10]}, {"params": [7e10], "tokens": [1.4e12]}
    width = lambda x, kind: np.ptp(np.quantile(np.log(chinchilla_fit.predict(x, kind=kind)), [0.05, 0.95]))
    assert width(beyond, "form") > 2 * width(beyond, "run")
    assert width(inside, "form") < 1.5 * width(inside, "run")
    assert chinchilla_fit.discrepancy_posterior.pareto_k < 0.7


def test_a_simulated_law_is_not_bent_by_an_error_it_does_not_have(quick):
    """Runs of the law itself, predicted 10 times beyond their compute: no farther off than the interval, and inside the
    data at most half as wide again. False-alarm rate: 1 % for the interval."""
    fit = sf.fit(simulated(3), engine=quick)
    x = {"params": np.array([9e9]), "tokens": np.array([1.85e11])}
    low, high = np.quantile(fit.predict(x, kind="form"), [0.005, 0.995])
    truth = TRUTH["E"] + TRUTH["A"] * x["params"] ** -TRUTH["alpha"] + TRUTH["B"] * x["tokens"] ** -TRUTH["beta"]
    assert low < truth[0] < high
    middle = {name: values[40:41] for name, values in isoflop_design().items()}
    width = lambda kind: np.ptp(np.quantile(np.log(fit.predict(middle, kind=kind)), [0.05, 0.95]))
    assert width("form") < 1.5 * width("run")


def test_outliers_do_not_bend_it(chinchilla_fit):
    """The five runs that published fits drop by hand move what is expected far out by a part of its own uncertainty."""
    every = sf.fit(sf.datasets.load("chinchilla", outliers="keep"))
    x = {"params": [7e10], "tokens": [1.4e12]}
    kept, dropped = (np.log(fit.predict(x, kind="form")) for fit in (every, chinchilla_fit))
    assert abs(np.median(kept) - np.median(dropped)) < 0.5 * dropped.std()


def one_of(draws, index):
    """One of `planning_draws`."""
    path = {name: v[index] if PATH_AXES[name] == 0 else v for name, v in draws["paths"].items()}
    return {name: path if name == "paths" else v[index] for name, v in draws.items()}


def test_the_optimum_of_a_bent_loss_is_the_best_of_a_dense_grid(chinchilla_fit):
    from scalefit.frontier.optimum import log_loss_of, planning_draws

    front = chinchilla_fit.frontier([1e22, 5.76e23], kind="form")
    assert front.kind == "form"
    theta, paths = chinchilla_fit.draws_of_kind("form")
    with precision():
        draws = planning_draws(chinchilla_fit.model.law, theta, {}, paths)
        log_k = np.log(5.76e23 / 6)
        for draw in range(0, 1000, 97):
            loss = log_loss_of(chinchilla_fit.model.law, one_of(draws, draw))
            best = np.log(front.params[draw, 1])
            grid = jnp.linspace(best - 2.5, best + 2.5, 4001)
            values = jax.vmap(lambda u, loss=loss: loss(u, log_k - u))(grid)
            assert front.loss[draw, 1] <= float(values.min()) * (1 + 1e-9)


def test_beyond_the_data_answers_carry_the_laws_error_unless_told_otherwise(chinchilla_fit, law_fit):
    """One rule for every question; inside the data, without a posterior or without an error they hold the law's own."""
    near, far = {"params": [1e9], "tokens": [2e10]}, {"params": [1e9, 7e10], "tokens": [2e10, 1.4e12]}
    assert chinchilla_fit.frontier([1e20, 1e22]).kind == "mean"
    assert chinchilla_fit.frontier([1e20, 5e22]).kind == "form"
    same = np.testing.assert_array_equal
    same(chinchilla_fit.predict(near), chinchilla_fit.predict(near, kind="run"))
    same(chinchilla_fit.predict(far), chinchilla_fit.predict(far, kind="form"))
    for budget, kind in ((1e21, "mean"), (5e22, "form")):
        assert sf.plan(chinchilla_fit, budget).basis.interval == kind
        assert sf.rules_of_thumb(chinchilla_fit, budget).basis.interval == kind
        assert sf.compare_runs(budget / 2, budget, fit=chinchilla_fit).basis.interval == kind
    assert sf.target(chinchilla_fit, 2.2).basis.interval == "mean"
    assert sf.target(chinchilla_fit, 2.1).basis.interval == "form"
    assert sf.audit(chinchilla_fit, "1B:20B").basis.interval == "mean"
    assert sf.audit(chinchilla_fit, ["1B:20B", "70B:1.4T"]).basis.interval == "form"
    assert law_fit.frontier([5e22]).kind == "mean"
    assert replace(chinchilla_fit, kind="bootstrap").frontier([5e22]).kind == "mean"
    same(law_fit.predict(far), law_fit.predict(far, kind="run"))


def test_a_surface_beyond_the_data_carries_it_too(chinchilla_fit):
    """Cell by cell the median of the from_alr law, as `expected` has it run by run."""
    found = sf.loss_surface(chinchilla_fit, [1e9, 7e10], [2e10, 1.4e12])
    assert found.kind == "form"
    runs = {"params": [1e9, 1e9, 7e10, 7e10], "tokens": [2e10, 1.4e12, 2e10, 1.4e12]}
    expected = np.median(chinchilla_fit.expected(runs, "form"), axis=0)
    np.testing.assert_allclose(found.median.ravel(), expected, rtol=1e-12)
    assert sf.loss_surface(chinchilla_fit, [1e9], [2e10]).kind == "mean"


def test_a_plan_of_kind_form_prices_the_laws_error(chinchilla_fit):
    """A wide optimum and a cheap mistake, at 44 times the compute of the largest run."""
    bare, form = (sf.plan(chinchilla_fit, 5.76e23, kind=kind) for kind in ("mean", "form"))
    spread = lambda plan: np.ptp(np.log(np.quantile(plan.draws["N_opt"], [0.05, 0.95])))
    assert spread(form) > 2 * spread(bare)
    assert bare.regret < form.regret < 0.01
    assert np.all(form.draws["regret"] >= 0)


def test_decisions_can_carry_the_laws_error(chinchilla_fit):
    """Wider beyond the data, and labelled as what it is."""
    questions = {
        "audit": lambda kind: sf.audit(chinchilla_fit, "70B:1.4T", kind=kind),
        "versus": lambda kind: sf.compare_runs("280B:300B", "70B:1.4T", fit=chinchilla_fit, kind=kind),
    }
    looked_at = {"audit": "loss", "versus": "difference"}
    for name, ask in questions.items():
        mean, form = ask("mean"), ask("form")
        width = [np.ptp(np.quantile(np.log(1 + each.draws[looked_at[name]]), [0.05, 0.95])) for each in (mean, form)]
        assert width[1] > 1.3 * width[0], name
        assert (mean.basis.interval, form.basis.interval) == ("mean", "form")


def test_a_target_is_reached_by_the_bent_law(chinchilla_fit):
    """The budget of each draw reaches the loss at its own optimum, and a plan as often as its chance says."""
    found = sf.target(chinchilla_fit, 2.05, kind="form")
    front = chinchilla_fit.frontier(found.draws["budget"][[0, 500, 999]], kind="form")
    np.testing.assert_allclose(front.loss[[0, 500, 999], [0, 1, 2]], 2.05, atol=1e-6)
    run = {"params": [found.sure.params], "tokens": [found.sure.tokens]}
    one_run = chinchilla_fit.predict(run, kind="form")
    assert found.sure.chance_one_run == pytest.approx((one_run <= 2.05).mean(), abs=0.03)
    assert found.even.chance == pytest.approx(0.5, abs=0.01)
    assert found.sure.chance == pytest.approx(0.9, abs=0.01)


def test_the_same_seed_gives_the_same_paths(quick):
    first, again, other = (sf.fit(simulated(), engine=quick, seed=seed).discrepancy_posterior for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.paths["pull"], again.paths["pull"])
    assert (first.paths["pull"] != other.paths["pull"]).any()


def test_without_a_discrepancy_there_is_no_form(small_fit, quick):
    fit = sf.fit(simulated(), sf.Model(discrepancy=None), engine=quick)
    with pytest.raises(sf.errors.OptionError, match="has no error of its own"):
        fit.frontier([1e22], kind="form")
    with pytest.raises(sf.errors.QuestionError, match="no interval kind"):
        small_fit.frontier([1e22], kind="run")
    with pytest.raises(sf.errors.OptionError, match="is positive"):
        sf.Discrepancy(compute=0.0)


def test_a_saved_fit_keeps_its_scales(quick, tmp_path):
    model = sf.Model(discrepancy=sf.Discrepancy(compute=0.03))
    fit = sf.fit(simulated(), model, engine=quick)
    assert sf.load(fit.save(tmp_path / "fit.nc")).model == model
