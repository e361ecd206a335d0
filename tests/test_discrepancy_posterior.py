"""The discrepancy: its process, its posterior against a long joint run, and what answers include of it."""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from conftest import TRUTH, compiled, isoflop_design, simulated

import scalefit as sf
from scalefit._precision import precision
from scalefit.diagnostics.convergence import convergence
from scalefit.model import noise
from scalefit.model.discrepancy import Discrepancy, Scales, coordinates, kernel, pivots
from scalefit.model.paths import AtPivots, discrepancies_at, sample_paths

SCALES = Scales(0.08, 4.0, 0.05)
FIXED = sf.Discrepancy.fixed(*SCALES[:3])


@pytest.fixture(scope="module")
def at_runs(chinchilla):
    return coordinates({"params": chinchilla.params, "tokens": chinchilla.tokens})


def paths_of(scales, centres, weights, seed):
    """Paths that all have the same scales."""
    at = [AtPivots.of(scales, centres)]
    return sample_paths(at, np.zeros(len(weights), int), weights, np.random.default_rng(seed))


def errors(paths, params, tokens):
    """(draw, run) of paths."""
    with precision():
        return np.asarray(compiled(discrepancies_at)(dict(paths), np.log(params), np.log(tokens)))


@pytest.mark.parametrize("scales", Discrepancy().scales[::5], ids=str)
def test_a_few_runs_carry_the_process(at_runs, scales):
    """What the pivots leave out of the process at any run is a twentieth of its scale in (ln C, ln D/N), at most."""
    _, basis = pivots(scales, at_runs)
    exact = kernel(scales, at_runs[:, None], at_runs[None])
    left = np.diag(exact) - (basis**2).sum(axis=1)
    assert np.sqrt(left.max()) < 0.05 * scales.allocation
    np.testing.assert_allclose(basis @ basis.T, exact, atol=left.max() + 1e-9)


def test_paths_pass_through_what_the_runs_say(chinchilla, at_runs):
    """At the runs a path is basis @ weights, whatever prior path it was made from."""
    centres, basis = pivots(SCALES, at_runs)
    weights = np.random.default_rng(0).normal(size=(20, basis.shape[1]))
    found = errors(paths_of(SCALES, centres, weights, seed=1), chinchilla.params, chinchilla.tokens)
    np.testing.assert_allclose(found, weights @ basis.T, atol=1e-3)


def at(u):
    """N and D of coordinates (ln C, ln D/N)."""
    log_k, ratio = u[..., 0] - np.log(6), u[..., 1]
    return np.exp((log_k - ratio) / 2), np.exp((log_k + ratio) / 2)


def test_far_from_all_runs_paths_have_the_priors_covariance():
    """4,000 paths: a standard deviation within 6 % is 5 standard errors; broken amplitudes or frequencies fail."""
    paths = paths_of(SCALES, np.array([[45.0, 3.0]]), np.random.default_rng(0).normal(size=(4000, 28)), seed=0)
    u = np.array([[60.0, 3.0], [62.0, 3.0], [60.0, 6.0]])
    found = np.cov(errors(paths, *at(u)).T)
    expected = kernel(SCALES, u[:, None], u[None])
    np.testing.assert_allclose(np.sqrt(np.diag(found)), np.sqrt(np.diag(expected)), rtol=0.06)
    np.testing.assert_allclose(found, expected, atol=0.08 * expected[0, 0])


@pytest.mark.parametrize("scales", Discrepancy().scales[1::6], ids=str)
def test_paths_are_as_rough_as_the_process_given_the_runs(at_runs, scales):
    """Standard deviations given the values at the pivots, of level and of slope in ln D/N at 3, 10, 44 and 1,000 times
    the compute of the data, within 5 % of exact linear algebra: 4.5 standard errors of 4,000 paths. Waves at quantiles
    of the spectral density, as they once were, give .58 to .87 of them."""
    centres, _ = pivots(scales, at_runs)
    paths = paths_of(scales, centres, np.zeros((4000, 28)), seed=3)
    step = 0.05
    far = np.array([[at_runs[:, 0].max() + np.log(times), 3.0] for times in (3, 10, 44, 1000)])
    u = np.stack([far, far + [0.0, step]], axis=1).reshape(-1, 2)
    cross = kernel(scales, u[:, None], centres[None])
    own = kernel(scales, centres[:, None], centres[None]) + 1e-9 * kernel(scales, u[0], u[0]) * np.eye(len(centres))
    exact = kernel(scales, u[:, None], u[None]) - cross @ np.linalg.solve(own, cross.T)
    found = errors(paths, *at(u))
    np.testing.assert_allclose(found[:, ::2].std(0), np.sqrt(np.diag(exact)[::2]), rtol=0.05)
    turn = np.kron(np.eye(len(far)), [-1.0, 1.0]) / step
    np.testing.assert_allclose((found @ turn.T).std(0), np.sqrt(np.diag(turn @ exact @ turn.T)), rtol=0.05)


def test_a_grid_of_products_is_the_path_point_by_point(chinchilla_fit):
    from scalefit.model.path_grids import discrepancy_on_grid

    paths, n, d = chinchilla_fit.discrepancy_posterior.paths, np.geomspace(1e8, 1e12, 5), np.geomspace(1e9, 1e14, 6)
    with precision():
        some = {name: values[:3] for name, values in paths.items()}
        found = compiled(jax.vmap(discrepancy_on_grid, (0, None, None)))(some, np.log(n), np.log(d))
    expected = errors({name: values[:3] for name, values in paths.items()}, np.repeat(n, 6), np.tile(d, 5))
    np.testing.assert_allclose(np.asarray(found).reshape(3, -1), expected, atol=1e-9)


@pytest.mark.slow
def test_the_posterior_is_that_of_the_joint_model(chinchilla):
    """Against NUTS on the NumPyro model with the discrepancy in it: loss and discrepancy far out, and law and noise:
    medians within a fifth of a standard deviation, standard deviations within a fifth.

    False alarms: both runs have an ESS of about 900, so that a median is known to .04 standard deviations.
    """
    from numpyro.infer import MCMC, NUTS

    from scalefit.model.numpyro_model import numpyro_model

    fit = sf.fit(chinchilla, sf.Model(discrepancy=FIXED))
    model, (centres, bases) = fit.model.with_discrepancy_priors, fit.bound.bases
    with precision():
        data = fit.bound.data
        kernel = NUTS(partial(numpyro_model, model), dense_mass=True)
        sampler = MCMC(kernel, num_warmup=1000, num_samples=1000, num_chains=2, chain_method="sequential",
                       progress_bar=False)  # fmt: skip
        sampler.run(jax.random.PRNGKey(0), data.x, data.log_loss, data.weight, jnp.asarray(bases[0]))
        draws = {name: np.asarray(values) for name, values in sampler.get_samples(group_by_chain=True).items()}
    assert min(v["ess_bulk"] for v in convergence({k: v for k, v in draws.items() if v.ndim == 2}).values()) > 400
    long = {name: draws[name].reshape(-1) for name in fit.draws}
    raw = fit.bound.to_raw(long)
    for name in ("E", "alpha", "beta", "sigma"):
        ours, theirs = fit.discrepancy_posterior.theta[name], raw[name]
        assert abs(np.median(ours) - np.median(theirs)) < 0.2 * theirs.std()
        assert ours.std() == pytest.approx(theirs.std(), rel=0.2)
    paths = paths_of(SCALES, centres[0], draws["discrepancy"].reshape(-1, bases.shape[-1]), seed=0)
    n, d = np.array([1e9, 1e10]), np.array([2e10, 2e11])
    took, expected = errors(fit.discrepancy_posterior.paths, n, d), errors(paths, n, d)
    assert (np.abs(np.median(took, 0) - np.median(expected, 0)) < 0.2 * expected.std(0)).all()
    np.testing.assert_allclose(took.std(0), expected.std(0), rtol=0.2)


def test_normal_noise_leaves_nothing_to_correct():
    """The weights are then normal, and integrate out exactly, whatever the law."""
    from scalefit.sampling.alr import unconstrain_alr
    from scalefit.sampling.marginal_discrepancy import (
        LaplaceWeights,
        laplace_weights,
        law_residuals,
        marginal_potential,
        propose_weights,
    )

    bound = sf.Model("kaplan", noise="normal", discrepancy=FIXED).bind(simulated())
    model, (_, bases) = bound.model.with_discrepancy_priors, bound.bases

    @compiled
    def look(data, basis, normal):
        middle = {p.name: p.prior.quantile(np.array([0.5]))[0] for p in model.params()} | {"sigma": 0.02}
        place = unconstrain_alr(model, middle)
        begin = LaplaceWeights.uninformed(basis, data)
        given = laplace_weights(model, data, begin, *law_residuals(model, data, place))
        log_importance = propose_weights(model, data, given, place + 0.1, normal)[1]
        found = jax.scipy.special.logsumexp(log_importance) - np.log(16000)
        return found, -marginal_potential(model, data, given, place + 0.1)

    with precision():
        normal = np.random.default_rng(0).normal(size=(4000, bases.shape[-1]))
        found, exact = map(float, look(bound.data, jnp.asarray(bases[0]), jnp.asarray(normal)))
    # Proposals of which half are wider than the weights: their mean is known to about a hundredth.
    assert found == pytest.approx(exact, abs=0.05)


@pytest.mark.slow
def test_scales_follow_the_table(chinchilla_fit):
    """A table made with one of three sets of scales prefers it; the draws carry theirs."""
    kept = Discrepancy().scales
    assert set(chinchilla_fit.discrepancy_posterior.component) <= set(range(len(kept)))
    paths = chinchilla_fit.discrepancy_posterior.paths["scales"]
    np.testing.assert_array_equal(paths, np.array(kept)[chinchilla_fit.discrepancy_posterior.component])
    sets = tuple(Scales(times, 5.0, times) for times in (0.001, 0.007, 0.05))
    for index in (0, 2):
        rough = with_discrepancy_of(sets[index], seed=index)
        fit = sf.fit(rough, sf.Model(discrepancy=sf.Discrepancy(sets)), engine=sf.AIS(draws=250))
        share = np.bincount(fit.discrepancy_posterior.component, minlength=3) / 1000
        assert share[index] > 0.8, share


def with_discrepancy_of(scales, seed):
    """Runs of the true law with one draw of the process, and little noise."""
    design = isoflop_design()
    u = coordinates(design)
    rng = np.random.default_rng(seed)
    f = np.linalg.cholesky(kernel(scales, u[:, None], u[None]) + 1e-10 * np.eye(len(u))) @ rng.normal(size=len(u))
    terms = TRUTH["A"] * design["params"] ** -TRUTH["alpha"] + TRUTH["B"] * design["tokens"] ** -TRUTH["beta"]
    loss = (TRUTH["E"] + terms) * np.exp(f + 0.001 * rng.normal(size=len(u)))
    return sf.read_runs(design | {"loss": loss})


def test_no_loss_lies_below_its_draws_floor(chinchilla_fit):
    """At a million times the compute of the data 42 % of the optimal losses once did."""
    theta, _ = chinchilla_fit.joint_draws(True)
    loss = chinchilla_fit.predict({"params": [1e8, 1e13], "tokens": [1e9, 1e15]}, noise=False)
    assert (loss > theta["E"][:, None]).all()


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
        assert not fit.resolve(None)
        with pytest.raises(sf.ScalefitError, match="noise with a sigma"):
            _ = fit.discrepancy_posterior
    finally:
        del noise.Noise.registry["wide"]


def test_noise_and_paths_are_drawn_apart(small_fit):
    """One stream for both made a run's noise the amplitude of its draw's path."""
    normal = replace(small_fit, model=replace(small_fit.model, noise=sf.Normal()))
    loss = np.ones((small_fit.theta["E"].size, 96))
    seen = np.log(normal.add_noise(loss, discrepancy=False)) / small_fit.theta["sigma"][:, None]
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

    @compiled
    def look(places, values, weight):
        found = Quadratic.through(places, values, weight)
        far = places[1] - found.mean
        return jax.vmap(found)(places[1:]), found(found.mean + 100 * far), found(found.mean + 1000 * far)

    with precision():
        at_places, far, farther = look(places, values, rng.uniform(1, 2, size=60))
    np.testing.assert_allclose(at_places, values[1:], atol=1e-3 * np.nanstd(values))
    assert float(far) == pytest.approx(float(farther), rel=1e-9)


def test_beyond_the_data_the_discrepancy_widens_and_inside_it_does_little(chinchilla_fit):
    inside, beyond = {"params": [2e9], "tokens": [4e10]}, {"params": [7e10], "tokens": [1.4e12]}
    width = lambda x, included: np.ptp(
        np.quantile(np.log(chinchilla_fit.predict(x, discrepancy=included)), [0.05, 0.95])
    )
    assert width(beyond, True) > 2 * width(beyond, False)
    assert width(inside, True) < 1.5 * width(inside, False)
    assert chinchilla_fit.discrepancy_posterior.pareto_k < 0.7


def test_a_simulated_law_is_not_moved_by_a_discrepancy_it_does_not_have(quick):
    """Runs of the law itself, predicted 10 times beyond their compute: no farther off than the interval, and inside the
    data at most half as wide again. False-alarm rate: 1 % for the interval."""
    fit = sf.fit(simulated(3), engine=quick)
    x = {"params": np.array([9e9]), "tokens": np.array([1.85e11])}
    low, high = np.quantile(fit.predict(x, discrepancy=True), [0.005, 0.995])
    truth = TRUTH["E"] + TRUTH["A"] * x["params"] ** -TRUTH["alpha"] + TRUTH["B"] * x["tokens"] ** -TRUTH["beta"]
    assert low < truth[0] < high
    middle = {name: values[40:41] for name, values in isoflop_design().items()}
    width = lambda included: np.ptp(np.quantile(np.log(fit.predict(middle, discrepancy=included)), [0.05, 0.95]))
    assert width(True) < 1.5 * width(False)


def test_outliers_do_not_bend_it(chinchilla_fit):
    """The five runs that published fits drop by hand move what is expected far out by a part of its own uncertainty."""
    every = sf.fit(sf.datasets.load("chinchilla", outliers="keep"))
    x = {"params": [7e10], "tokens": [1.4e12]}
    kept, dropped = (np.log(fit.predict(x, discrepancy=True)) for fit in (every, chinchilla_fit))
    assert abs(np.median(kept) - np.median(dropped)) < 0.5 * dropped.std()


def one_of(draws, index):
    """One of `planning_draws`."""
    path = {name: v[index] for name, v in draws["paths"].items()}
    return {name: path if name == "paths" else v[index] for name, v in draws.items()}


def test_the_optimum_with_discrepancy_is_the_best_of_a_dense_grid(chinchilla_fit):
    from scalefit.frontier.optimum import log_loss_of, planning_draws

    front = chinchilla_fit.frontier([1e22, 5.76e23], discrepancy=True)
    assert front.discrepancy
    theta, paths = chinchilla_fit.joint_draws(True)
    with precision():
        draws = planning_draws(chinchilla_fit.model.law, theta, {}, paths)
        log_k, steps = np.log(5.76e23 / 6), np.linspace(-2.5, 2.5, 4001)

        @compiled
        def least(draw, best):
            loss = log_loss_of(chinchilla_fit.model.law, draw)
            return jax.vmap(lambda u: loss(u, log_k - u))(best + steps).min()

        for draw in range(0, 1000, 97):
            best = np.log(front.params[draw, 1])
            assert front.loss[draw, 1] <= float(least(one_of(draws, draw), best)) * (1 + 1e-9)


def test_every_answer_includes_the_discrepancy_unless_asked_not_to(chinchilla_fit, law_fit):
    """Inside the data and beyond: there is no edge at which an answer changes. Without a posterior or without a
    discrepancy in the model answers are the law's."""
    x = {"params": [1e9, 7e10], "tokens": [2e10, 1.4e12]}
    same = np.testing.assert_array_equal
    same(chinchilla_fit.predict(x), chinchilla_fit.predict(x, discrepancy=True))
    assert len(chinchilla_fit.predict(x, discrepancy=False)) == 4000
    for budget in (1e21, 5e22):
        assert chinchilla_fit.frontier([budget]).discrepancy
        for answer in (
            sf.plan(chinchilla_fit, budget),
            sf.rules_of_thumb(chinchilla_fit, budget),
            sf.compare_runs(chinchilla_fit, budget / 2, budget),
        ):
            assert answer.assumptions.discrepancy
    for answer in (sf.target(chinchilla_fit, 2.2), sf.target(chinchilla_fit, 2.1), sf.audit(chinchilla_fit, "1B:20B")):
        assert answer.assumptions.discrepancy
    assert sf.lifetime(chinchilla_fit, "7B", sf.costs.Lifetime(1e12)).assumptions.discrepancy
    assert not law_fit.frontier([5e22]).discrepancy
    assert not replace(chinchilla_fit, kind="bootstrap").frontier([5e22]).discrepancy
    same(law_fit.predict(x), law_fit.predict(x, discrepancy=False))
    same(law_fit.predict(x), chinchilla_fit.predict(x, discrepancy=False))


def test_answers_do_not_jump_at_the_edge_of_the_data(chinchilla_fit):
    """Plans a hair inside and a hair outside the largest run's compute agree; they were a third of N apart."""
    largest = chinchilla_fit.compute_range[1]
    inside, outside = (sf.plan(chinchilla_fit, factor * largest).params for factor in (1.004, 1.006))
    assert inside == pytest.approx(outside, rel=0.01)


def test_a_surface_includes_it_too(chinchilla_fit):
    """Cell by cell the median of the predictions, run by run."""
    found = sf.loss_surface(chinchilla_fit, [1e9, 7e10], [2e10, 1.4e12])
    assert found.discrepancy
    runs = {"params": [1e9, 1e9, 7e10, 7e10], "tokens": [2e10, 1.4e12, 2e10, 1.4e12]}
    expected = np.median(chinchilla_fit.predict(runs, noise=False, discrepancy=True), axis=0)
    np.testing.assert_allclose(found.median.ravel(), expected, rtol=1e-12)
    assert not sf.loss_surface(chinchilla_fit, [1e9], [2e10], discrepancy=False).discrepancy


def test_a_plan_prices_the_discrepancy(chinchilla_fit):
    """A wide optimum and a cheap mistake, at 44 times the compute of the largest run."""
    law_only, both = (sf.plan(chinchilla_fit, 5.76e23, discrepancy=included) for included in (False, True))
    spread = lambda plan: np.ptp(np.log(np.quantile(plan.draws["N_opt"], [0.05, 0.95])))
    assert spread(both) > 2 * spread(law_only)
    assert law_only.regret < both.regret < 0.04
    assert np.all(both.draws["regret"] >= 0)


def test_decisions_widen_with_the_discrepancy(chinchilla_fit):
    """Wider beyond the data, and labelled as what it is."""
    questions = {
        "audit": lambda included: sf.audit(chinchilla_fit, "70B:1.4T", discrepancy=included),
        "compare_runs": lambda included: sf.compare_runs(chinchilla_fit, "280B:300B", "70B:1.4T", discrepancy=included),
    }
    looked_at = {"audit": "loss", "compare_runs": "difference"}
    for name, ask in questions.items():
        law_only, both = ask(False), ask(True)
        width = [
            np.ptp(np.quantile(np.log(1 + each.draws[looked_at[name]]), [0.05, 0.95])) for each in (law_only, both)
        ]
        assert width[1] > 1.3 * width[0], name
        assert (law_only.assumptions.discrepancy, both.assumptions.discrepancy) == (False, True)


def test_a_target_is_reached_with_the_discrepancy(chinchilla_fit):
    """The budget of each draw reaches the loss at its own optimum, and a plan as often as its chance says."""
    found = sf.target(chinchilla_fit, 2.05, discrepancy=True)
    front = chinchilla_fit.frontier(found.draws["budget"][[0, 500, 999]], discrepancy=True)
    np.testing.assert_allclose(front.loss[[0, 500, 999], [0, 1, 2]], 2.05, atol=1e-6)
    run = {"params": [found.sure.params], "tokens": [found.sure.tokens]}
    one_run = chinchilla_fit.predict(run, discrepancy=True)
    assert found.sure.chance_one_run == pytest.approx((one_run <= 2.05).mean(), abs=0.03)
    assert found.even.chance == pytest.approx(0.5, abs=0.01)
    assert found.sure.chance == pytest.approx(0.9, abs=0.01)


def test_the_same_seed_gives_the_same_paths(quick):
    first, again, other = (sf.fit(simulated(), engine=quick, seed=seed).discrepancy_posterior for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.paths["pull"], again.paths["pull"])
    assert (first.paths["pull"] != other.paths["pull"]).any()


def test_a_discrepancy_that_is_not_there_is_refused(law_fit):
    with pytest.raises(sf.QuestionError, match="has no discrepancy"):
        law_fit.frontier([1e22], discrepancy=True)
    with pytest.raises(sf.ScalefitError, match="is positive"):
        sf.Discrepancy.fixed(0.0, 4.0, 0.1)


def test_draws_that_are_not_to_be_trusted_are_tried_again_and_warned_of(small_fit, monkeypatch):
    """The retry with a larger schedule, and the warning where that fails too."""
    from scalefit.sampling import joint_draws as module
    from scalefit.sampling.discrepancy_posterior import sample_discrepancy_posterior

    asked = []

    def doubting(stats, real=module.doubt):
        asked.append(real(stats))
        return "Pareto k is planted"

    monkeypatch.setattr(module, "doubt", doubting)
    with pytest.warns(sf.FitWarning, match="Pareto k is planted"):
        found = sample_discrepancy_posterior(small_fit.bound, small_fit.theta, small_fit.seed)
    assert len(asked) == len(module.SCHEDULES)
    assert found.doubt == "Pareto k is planted"
    assert np.isfinite(found.theta["E"]).all()


@pytest.mark.slow
def test_truths_of_law_and_discrepancy_have_any_rank():
    """Simulation-based calibration; paths that are too smooth beyond the runs fail. False alarms: 1 %."""
    from joint_truths import joint_sbc, too_smooth

    assert all(joint_sbc(100).inside(0.01).values())
    assert not all(joint_sbc(200, spoil=too_smooth).inside(0.05).values())
