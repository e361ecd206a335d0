"""Priors as people mean them: in the unit of losses, fixed, tied, of any family, and in conflict with the table."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from conftest import TRUTH, simulated
from numpyro.infer.util import log_density
from scipy import stats

import scalefit as sf
from scalefit._precision import precision
from scalefit.cli._priors import priors_of
from scalefit.diagnostics.prior_conflict import check_least_loss
from scalefit.laws import ParamSpace, SameAs, as_prior, find_law, stored_prior
from scalefit.laws._priors import Param
from scalefit.model.model import Model
from scalefit.model.noise import StudentT
from scalefit.model.numpyro_model import numpyro_model
from scalefit.sampling.alr import alr_potential, parts, unconstrain_alr
from scalefit.sampling.modes import derivatives

FAMILIES = {
    "LogNormal": (dist.LogNormal(0.5, 0.1), stats.lognorm(0.1, scale=np.exp(0.5))),
    "Normal": (dist.Normal(1.7, 0.1), stats.norm(1.7, 0.1)),
    "Uniform": (dist.Uniform(1.5, 1.8), stats.uniform(1.5, 0.3)),
    "cut below": (dist.TruncatedNormal(1.6, 0.3, low=1.4), stats.truncnorm(-2 / 3, np.inf, 1.6, 0.3)),
    "cut twice": (dist.TruncatedNormal(1.6, 0.3, low=1.4, high=1.9), stats.truncnorm(-2 / 3, 1.0, 1.6, 0.3)),
    "Beta": (dist.Beta(4.0, 2.0), stats.beta(4, 2)),
    "Gamma": (dist.Gamma(3.0, 2.0), stats.gamma(3, scale=0.5)),
}


@pytest.mark.parametrize(("family", "known"), FAMILIES.values(), ids=FAMILIES)
def test_any_family_in_nats_has_its_density_in_units_of_a_table(family, known):
    """The density in units of 2.5 nats, that of the distribution; and it is kept as JSON."""
    prior = sf.nats(family)
    assert stored_prior(json.loads(json.dumps(prior.stored()))) == prior
    unit_free = prior.times(1 / 2.5)
    x = known.ppf(np.linspace(0.02, 0.98, 9))
    with precision("float64"):
        np.testing.assert_allclose(
            unit_free.distribution().log_prob(jnp.asarray(x / 2.5)), known.logpdf(x) + np.log(2.5), rtol=1e-6
        )
        space = ParamSpace((Param("E", unit_free, ""),))
        there = space.constrain(space.unconstrain({"E": jnp.asarray(x / 2.5)}))["E"]
    np.testing.assert_allclose(2.5 * np.asarray(there), x, rtol=1e-6)


def test_the_default_prior_of_nu_is_cut_and_drawn_as_such():
    """False alarms: 1 in 1,000."""
    prior = StudentT().params()[1].prior
    with precision("float64"):
        draws = np.asarray(prior.distribution().sample(jax.random.PRNGKey(0), (2000,)))
        mass = stats.gamma(2, scale=10).sf(1.0)
        np.testing.assert_allclose(
            prior.distribution().log_prob(3.0), stats.gamma(2, scale=10).logpdf(3.0) - np.log(mass), rtol=1e-6
        )
    cdf = lambda x: 1 - stats.gamma(2, scale=10).sf(x) / mass
    assert draws.min() >= 1
    assert stats.kstest(draws, cdf).pvalue > 1e-3 > stats.kstest(draws, stats.gamma(2.5, scale=10).cdf).pvalue


@pytest.mark.parametrize(
    "value",
    [
        dist.Dirichlet(jnp.ones(3)), dist.Poisson(3.0), dist.Uniform(1.8, 1.5), dist.Normal(jnp.zeros(2), 1.0),
        dist.TruncatedNormal(1, 0.3, low=3, high=2.0), object(), True, None, float("nan"),
    ],
)  # fmt: skip
def test_what_is_no_prior_is_refused(value):
    with pytest.raises(sf.OptionError):
        as_prior(value)


MODEL = {"E": sf.nats(1.6), "beta": "alpha", "B": dist.Uniform(0.05, 0.6), "sigma": dist.HalfNormal(0.02)}


def test_densities_and_searches_leave_out_what_is_not_free():
    """The same density in NumPyro's words, the same derivatives, and coordinates of the free parameters alone."""
    bound = sf.Model(priors=MODEL).bind(simulated())
    model, unit = bound.model, bound.unit["loss"]
    assert model.free == ("A", "B", "alpha", "sigma", "nu")
    assert bound.stated == sf.Model(priors=MODEL)
    assert parts(model) == ("A",), "what is fixed or bounded is none of the ratios"

    @jax.jit
    def densities(z, data):
        theta = model.space.constrain(z)
        free = {name: theta[name] for name in model.free}
        arguments = data.x, data.log_loss, data.weight
        density, _ = log_density(lambda *a: numpyro_model(model, *a), arguments, {}, free)
        volume = sum(p.transform.log_abs_det_jacobian(z[k], theta[k]) for k, p in model.space.priors.items())
        at = unconstrain_alr(model, theta)
        value, slope = jax.value_and_grad(lambda a: alr_potential(model, data, a))(at)
        return theta, model.potential(z, data), -(density + volume), derivatives(model, data, at), value, slope

    with precision("float64"):
        z = {name: jnp.asarray(v) for name, v in zip(model.free, (-1.5, 0.3, -1.0, -5.0, 1.0), strict=True)}
        theta, ours, theirs, found, value, slope = densities(z, bound.data)
    assert float(theta["E"]) == pytest.approx(1.6 / unit)
    assert float(theta["beta"]) == float(theta["alpha"])
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    np.testing.assert_allclose(found.value, value, rtol=1e-9)
    np.testing.assert_allclose(found.gradient, slope, rtol=1e-6, atol=1e-6)


@pytest.fixture(scope="module")
def fixed(quick):
    """E below the truth by far, and exponents as the truth has them nearly."""
    return sf.fit(simulated(), sf.Model(priors={"E": sf.nats(1.6), "beta": "alpha"}), engine=quick)


def test_a_fit_with_fixed_and_tied_parameters_answers_and_is_kept(fixed, tmp_path):
    np.testing.assert_allclose(fixed.draws["E"], 1.6)
    np.testing.assert_array_equal(fixed.draws["alpha"], fixed.draws["beta"])
    assert np.ptp(fixed.draws["alpha"]) > 0
    table = fixed.summary(budgets=[1e22])
    assert np.isfinite(table[["median", "lower", "upper"]].to_numpy()).all()
    assert fixed.has_discrepancy
    assert "E" not in " ".join(c.sentence for c in fixed.health.checks if "ESS" in c.name).split()
    again = sf.load(fixed.save(tmp_path / "fit.nc"))
    assert again.model == fixed.model
    np.testing.assert_array_equal(again.optima(1e22, False)["N_opt[1e22]"], fixed.optima(1e22, False)["N_opt[1e22]"])


def test_a_prior_in_conflict_with_the_runs_is_named_with_numbers(fixed):
    """Truth: E 1.817, alpha .348 and beta .366."""
    found = {check.name: check for check in fixed.health.checks}
    conflict = found["prior of E"]
    assert conflict.verdict == "review"
    assert conflict.value > 5
    assert "1.6" in conflict.sentence
    alone = float(conflict.sentence.split("alone give ")[1].split()[0])
    assert alone == pytest.approx(TRUTH["E"], abs=0.05)
    assert found["prior of beta"].verdict == "ok"


REFUSED = {
    "not in nats": ({"E": dist.LogNormal(np.log(1.69), 0.02)}, "nats"),
    "fixed above the least loss": ({"E": sf.nats(2.5)}, "above the loss"),
    "no loss": ({"A": sf.nats(400.0)}, "measured"),
    "a tie of unlike units": ({"B": "A"}, "measured"),
    "a tie to nothing": ({"beta": "gamma"}, "Choose"),
    "a ring": ({"alpha": "beta", "beta": "alpha"}, "third"),
    "negative noise": ({"sigma": dist.Normal(0, 1)}, "positive"),
    "nothing free": (dict.fromkeys(("E", "A", "B", "alpha", "beta", "sigma", "nu"), 0.5), "fixed"),
}


@pytest.mark.parametrize(("priors", "words"), REFUSED.values(), ids=REFUSED)
def test_priors_that_cannot_be_meant_are_refused(priors, words, chinchilla):
    with pytest.raises(sf.OptionError, match=words):
        sf.Model(priors=priors).bind(chinchilla)


def test_a_loss_below_the_laws_least_is_named(small_fit):
    """As where one run was evaluated on other data."""
    above = float(small_fit.runs.loss.min()) + 0.01
    draws = small_fit.draws | {"E": np.full_like(small_fit.draws["E"], above)}
    (check,) = check_least_loss(small_fit.bound, draws)
    assert check.verdict == "review"
    assert f"row {small_fit.runs.loss.argmin() + 1}" in check.sentence
    assert not list(check_least_loss(small_fit.bound, small_fit.draws))


def test_priors_in_nats_need_a_table():
    with pytest.raises(sf.OptionError, match="nats"):
        Model(priors={"E": sf.nats(1.6)}).space  # noqa: B018


def test_the_command_line_reads_priors():
    law, noise = find_law("chinchilla"), StudentT()
    for text in ("E=1.69±0.03", "E = 1.69+-0.03", "E=1.69 +/- 0.03"):
        prior = priors_of(law, noise, [text], None)["E"]
        assert prior == sf.nats(dist.LogNormal(np.log(1.69), 0.03 / 1.69))
    found = priors_of(law, noise, ["alpha=Uniform(0.2, 0.5)", "nu=5+-1"], ["E=1.6", "beta=alpha"])
    assert found["alpha"] == sf.Prior.of("Uniform", low=0.2, high=0.5)
    assert found["E"] == sf.nats(1.6)
    assert found["beta"] == SameAs("alpha")
    assert priors_of(law, noise, ["E=TruncatedNormal(1.6, 0.1, low=1.2)"], None)["E"].low == 1.2


@pytest.mark.parametrize(
    ("stated", "pinned"),
    [
        ("E=1.69", None), ("E=x+-1", None), ("E=1+-0", None), ("E=Foo(1)", None), ("E=Normal(1,-2)", None),
        ("A=400+-3", None), ("E", None), ("E=-1+-.1", None), (None, "Q=3"), (None, "E=nan"), ("E=1+-.1", "E=1"),
        ("E=Normal(x)", None), (None, "A=400"),
    ],
)  # fmt: skip
def test_the_command_line_refuses_what_is_no_prior(stated, pinned):
    with pytest.raises(sf.OptionError):
        priors_of(find_law("chinchilla"), StudentT(), [stated] if stated else None, [pinned] if pinned else None)


def test_priors_move_a_fit_from_the_command_line(run):
    """Towards 1.69, from 1.81; and alpha is beta."""
    options = ["--prior", "E=1.69+-0.02", "--pin", "beta=alpha", "--engine", "map", "--outliers", "show", "--json"]
    status, out, _ = run("fit", "chinchilla", *options)
    document = json.loads(out)
    fitted = {name: row["median"] for name, row in document["summary"].items()}
    assert status == 0
    assert 1.70 < fitted["E"] < 1.80
    assert fitted["alpha"] == fitted["beta"]
    assert document["priors"] == {"E": "LogNormal(loc 0.5247, scale 0.01183) nats", "beta": "the same as alpha"}
    assert [row["row"] for row in document["outliers"][:2]] == [34, 30]
