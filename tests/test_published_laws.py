"""Published figures of each law, and how the laws are related."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from numpyro import distributions
from scipy.optimize import curve_fit

import scalefit as sf
from scalefit.frontier.frontier import frontier
from scalefit.laws import FunctionLaw, find_law

EVAL = Path(__file__).parents[2] / "shared" / "data" / "eval"
needs_eval = pytest.mark.skipif(not EVAL.is_dir(), reason="the evaluation tables are not part of the project")


def loss(name, theta=None, **x):
    """The law's loss at its first published constants, in float64."""
    law = find_law(name)
    with jax.enable_x64(True):
        return np.asarray(law.loss(theta or law.reference()[0].theta, {k: jnp.asarray(v, float) for k, v in x.items()}))


def front(name, budgets, theta=None, **fixed):
    law = find_law(name)
    draws = {k: np.array([v]) for k, v in (theta or law.reference()[0].theta).items()}
    return frontier(law, draws, np.asarray(budgets, float), (1.0, 2.0), fixed)


def slope(name, **kwargs):
    """d ln N_opt / d ln C."""
    params = front(name, [1e21, 1e23], **kwargs).params[0]
    return np.log(params[1] / params[0]) / np.log(100)


def test_kaplans_losses():
    assert loss("kaplan-n", params=1.5e9) == pytest.approx(2.3036, abs=1e-4)
    assert loss("kaplan-n", params=175e9) == pytest.approx(1.6044, abs=1e-4)
    assert loss("kaplan-c", flops=3634 * 8.64e19) == pytest.approx(1.7642, abs=1e-4), "C_c is in PF-days"
    alpha = find_law("kaplan-n").reference()[0].theta["alpha_N"]
    assert find_law("kaplan-n").derived({"alpha_N": alpha})["doubling"] == pytest.approx(0.9487, abs=1e-4)
    assert loss("kaplan-n", params=1e10) / loss("kaplan-n", params=1e9) == pytest.approx(0.8395, abs=1e-4)


def test_taken_for_flop_the_constant_would_be_absurd():
    """The common slip of reading C_c = 3.1e8 as FLOP: .178 nats at GPT-3's compute."""
    misread = (3.1e8 / 3.14e23) ** 0.05
    assert misread == pytest.approx(0.178, abs=1e-3)
    assert loss("kaplan-c", flops=3.14e23) == pytest.approx(1.764, abs=1e-3)


def test_kaplans_joint_law_under_6nd_does_not_give_their_allocation():
    assert slope("kaplan") == pytest.approx(1 / (1 + 0.076 / 0.103), abs=1e-6)


def test_steps_and_the_critical_batch_give_kaplans_allocation():
    """N_opt ~ C_min^(alpha_C/alpha_N), a pure power law, steeper than the joint law's; their appendix B.1.

    They print alpha_C = .054 and fit N ~ C^.73; their constants give .0525 and .68.
    """
    theta = find_law("kaplan-steps").reference()[0].theta
    derived = find_law("kaplan-steps").derived(theta)
    assert derived["alpha_C"] == pytest.approx(0.0525, abs=1e-4)
    assert slope("kaplan-steps") == pytest.approx(derived["a"], abs=1e-6)
    assert 0.65 < derived["a"] < 0.73


def test_the_loss_of_kaplan_steps_solves_its_equation():
    theta = find_law("kaplan-steps").reference()[0].theta
    n, d, b = np.meshgrid([1e6, 1e9, 1e12], [1e8, 1e11, 1e13], [0.0, 1e5, 1e8])
    found = loss("kaplan-steps", params=n, tokens=d, batch=b)
    steps = d / (b + theta["B_star"] / found ** (1 / theta["alpha_B"]))
    rest = (theta["N_c"] / n) ** theta["alpha_N"] + (theta["S_c"] / steps) ** theta["alpha_S"]
    np.testing.assert_allclose(found, rest, rtol=1e-10)


def test_rounded_constants_move_the_optimum_by_a_quarter():
    """Hoffmann et al.'s equation 10 prints two digits of the exponents; the TeX source has eight."""
    exact = find_law("chinchilla").reference()[1].theta
    rounded = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
    assert front("chinchilla", [5.76e23], exact).params[0, 0] == pytest.approx(4.04e10, rel=1e-2)
    assert front("chinchilla", [5.76e23], rounded).params[0, 0] == pytest.approx(3.22e10, rel=1e-2)
    assert loss("chinchilla", rounded, params=280e9, tokens=300e9) == pytest.approx(1.9933, abs=1e-4)
    assert loss("chinchilla", rounded, params=70e9, tokens=1.4e12) == pytest.approx(1.9366, abs=1e-4)


def test_the_outer_exponent_joins_chinchilla_and_kaplan():
    published = find_law("chinchilla").reference()[0].theta
    x = {"params": np.geomspace(1e7, 1e11, 9), "tokens": np.geomspace(1e12, 1e8, 9)}
    np.testing.assert_allclose(
        loss("chinchilla-outer", {**published, "q": 1.0}, **x), loss("chinchilla", **x), rtol=1e-12
    )
    k = find_law("kaplan").reference()[0].theta
    member = {"E": 0.0, "A": k["N_c"] ** k["alpha_N"], "B": k["D_c"] ** k["alpha_D"], "q": k["alpha_D"]}
    member |= {"alpha": k["alpha_N"], "beta": k["alpha_D"]}
    np.testing.assert_allclose(loss("chinchilla-outer", member, **x), loss("kaplan", **x), rtol=1e-10)
    assert slope("chinchilla-outer", theta={**published, "q": 0.7}) == pytest.approx(slope("chinchilla"), abs=1e-9)


def test_muennighoffs_losses_and_optimum():
    at = lambda n, d: loss("data-constrained", params=n, tokens=d, unique_tokens=25e9)
    assert at(6.34e9, 242e9) == pytest.approx(2.2256440889984, abs=1e-9)
    assert at(8.67e9, 178e9) == pytest.approx(2.2269634075088, abs=1e-9)
    best = front("data-constrained", [1e22], unique_tokens=25e9)
    assert best.params[0, 0] == pytest.approx(7.026e9, rel=1e-3)
    assert best.tokens[0, 0] == pytest.approx(2.372e11, rel=1e-3)
    assert best.tokens[0, 0] / 25e9 == pytest.approx(9.488, rel=1e-3)
    assert best.loss[0, 0] == pytest.approx(2.222129, rel=1e-6)


def test_four_epochs_are_worth_almost_as_much_as_fresh_tokens():
    """93 % of fresh data, their headline; without end, repetition is worth 16.4 times the unique tokens."""
    theta = find_law("data-constrained").reference()[0].theta
    plain = {name: theta[name] for name in ("E", "A", "B", "alpha", "beta")}
    small = 1e6  # fewer parameters than the unique tokens deserve: none in excess
    for epochs, worth, within in ((4, 4 * 0.93, 0.05), (1e6, 16.4, 0.05)):
        repeated = loss("data-constrained", params=small, tokens=epochs * 1e9, unique_tokens=1e9)
        term = repeated - plain["E"] - plain["A"] * small ** -plain["alpha"]
        effective = (term / plain["B"]) ** (-1 / plain["beta"]) / 1e9
        assert effective == pytest.approx(worth, abs=within)


def test_fresh_data_are_chinchillas():
    theta = find_law("data-constrained").reference()[0].theta
    plain = {name: theta[name] for name in ("E", "A", "B", "alpha", "beta")}
    deserved = front("chinchilla", [1e21], plain)
    n, d = deserved.params[0, 0], deserved.tokens[0, 0]
    for unique in (d, 10 * d, np.inf):
        found = loss("data-constrained", params=n, tokens=d, unique_tokens=unique)
        assert found == pytest.approx(float(loss("chinchilla", plain, params=n, tokens=d)), rel=1e-9)


def test_over_training_is_chinchilla_with_one_exponent():
    theta = find_law("over-training").reference()[0].theta
    eta = theta["eta"]
    tied = {"E": theta["E"], "A": theta["a"] * 6**-eta, "B": theta["b"] * 6**-eta, "alpha": 2 * eta, "beta": 2 * eta}
    x = {"params": np.geomspace(1e7, 1e10, 7), "tokens": np.geomspace(1e12, 1e9, 7)}
    np.testing.assert_allclose(loss("over-training", **x), loss("chinchilla", tied, **x), rtol=1e-12)
    best = front("over-training", [1e20, 1e23])
    np.testing.assert_allclose(best.tokens_per_param[0], find_law("over-training").derived(theta)["M_star"], rtol=1e-6)


@needs_eval
@pytest.mark.parametrize("corpus", [0, 1, 2], ids=["C4", "RedPajama", "RefinedWeb"])
def test_gadres_fits_to_five_runs(corpus):
    """Their constants from their five small runs, and what these miss the largest RedPajama runs by."""
    name = ["c4_original", "rpj", "rw_original"][corpus]
    table = pd.read_csv(EVAL / "overtraining.csv").query("corpus == @name")
    ratio = (table.tokens / table.params).round()
    five = table[((ratio == 20) & (table.params < 1e9)) | ((ratio == 320) & (table.params < 2e7))]
    published = find_law("over-training").reference()[corpus].theta

    def predicted(runs, *values):
        theta = dict(zip(published, values, strict=True))
        return loss("over-training", theta, params=runs.params.to_numpy(), tokens=runs.tokens.to_numpy())

    found, _ = curve_fit(predicted, five, five.loss_c4_val, p0=[1.5, 100, 200, 0.12], maxfev=10_000)
    for value, (parameter, printed) in zip(found, published.items(), strict=True):
        assert value == pytest.approx(printed, rel=0.006), parameter
    if name == "rpj":
        large = table[(table.params > 1e9) & ~((ratio == 20) & (table.params < 5e9))].sort_values("params")
        miss = np.abs(predicted(large, *found) / large.loss_c4_val - 1)
        np.testing.assert_allclose(100 * miss, [0.7103, 0.7320], atol=1e-3)


def test_routing_saturates():
    theta = find_law("moe").reference()[0].theta
    effective = find_law("moe").effective_experts(theta, np.array([1.0, 8.0, 1e9]))
    assert effective[0] == pytest.approx(theta["E_start"])
    assert effective[2] == pytest.approx(theta["E_max"], rel=1e-5)
    assert loss("moe", params=368123904.0, experts=1) == pytest.approx(2.463, abs=0.03), "a dense model of the table"


@needs_eval
@pytest.mark.slow
def test_the_routed_law_recovers_the_published_constants():
    """S-BASE and dense models of Clark et al.'s own table: each published constant within its 95 % interval, or within
    1 % where noise of .2 % in the loss leaves even less room than the printed digits."""
    table = pd.read_csv(EVAL / "routing_moe.csv").query("router_type in ['S-Base', 'Dense'] and k == 1")
    table = table[table.routing_frequency == 0.5]
    runs = sf.read_runs(table[["params", "num_experts", "loss"]], experts="num_experts")
    fit = sf.fit(runs, sf.Model("moe"))
    assert fit.health.verdict != "fail"
    for name, printed in fit.model.law.reference()[0].values:
        low, high = np.quantile(fit.draws[name], [0.025, 0.975])
        assert low - 0.01 * abs(printed) < printed < high + 0.01 * abs(printed), (name, low, high)


def test_a_break_changes_the_exponent():
    law = find_law("broken(input=tokens)")
    theta = {"E": 0.0, "A": 5.0, "c0": 0.2, "c1": 0.3, "d1": 1e9, "f1": 0.4}
    at = lambda x: float(law.loss(theta, {"tokens": jnp.asarray(x)}))
    exponent = lambda x: -np.log(at(1.1 * x) / at(x)) / np.log(1.1)
    with jax.enable_x64(True):
        assert exponent(1e4) == pytest.approx(0.2, abs=1e-3)
        assert exponent(1e9) == pytest.approx(0.35, abs=0.02)
        assert exponent(1e15) == pytest.approx(0.5, abs=1e-3)


def test_farseers_tokens_per_parameter_rise_with_compute():
    best = front("farseer", [1e20, 1e22, 1e24])
    assert (np.diff(best.tokens_per_param[0]) > 0).all()
    assert 0.44 < loss("farseer", params=6e9, tokens=1e11) < loss("farseer", params=2e8, tokens=1e10) < 0.68


def test_bits_act_as_size():
    theta = find_law("precision").reference()[0].theta
    plain = {name: theta[name] for name in ("E", "A", "B", "alpha", "beta")}
    full = loss("precision", params=1e9, tokens=2e10, bits=64)
    assert full == pytest.approx(float(loss("chinchilla", plain, params=1e9, tokens=2e10)), rel=1e-9)
    smaller = 1e9 * (1 - np.exp(-4 / theta["g"]))
    four = loss("precision", params=1e9, tokens=2e10, bits=4)
    assert four == pytest.approx(float(loss("chinchilla", plain, params=smaller, tokens=2e10)), rel=1e-9)


@pytest.fixture(scope="module")
def written():
    """A law as one would write it in a notebook, of one column."""
    return FunctionLaw(
        lambda t, x: t["E"] + t["A"] * x["params"] ** -t["alpha"],
        inputs=("params",),
        priors={
            "E": distributions.LogNormal(0, 1),
            "A": distributions.LogNormal(6, 2),
            "alpha": sf.Prior.of("LogNormal", loc=-1, scale=0.5),
        },
    )


def test_a_function_is_a_law(written, quick, tmp_path):
    """It finds what the same law from its file finds, in raw units; and says why it cannot be saved."""
    x = {"params": np.geomspace(1e7, 1e10, 60)}
    truth = {"E": 1.8, "A": 480.0, "alpha": 0.35, "sigma": 0.004, "nu": 5.0}
    runs = sf.Runs({**x, "loss": sf.Model("power-law").simulate(truth, x, seed=2)})
    fit = sf.fit(runs, sf.Model(written), engine=quick)
    assert fit.health.verdict == "ok"
    for name in ("E", "A", "alpha"):
        low, high = np.quantile(fit.draws[name], [0.0005, 0.9995])
        assert low < truth[name] < high
    with pytest.raises(sf.errors.StorageError, match="cannot be saved"):
        fit.save(tmp_path / "fit.nc")
    assert not list(tmp_path.iterdir())


def test_a_function_without_priors_is_refused():
    with pytest.raises(sf.errors.OptionError, match="needs inputs"):
        FunctionLaw(lambda t, x: t["E"])


def test_a_law_by_name_with_options():
    assert find_law("power-law(input=tokens)").inputs == ("tokens",)
    assert len(find_law("broken(breaks=3)").params()) == 12
    with pytest.raises(sf.errors.OptionError, match="options of broken are: breaks, input"):
        find_law("broken(brakes=3)")
    with pytest.raises(sf.errors.OptionError, match="at least one break"):
        find_law("broken(breaks=0)")
    with pytest.raises(sf.errors.OptionError, match="at least one break, not -1"):
        find_law("broken(breaks=-1)")
    with pytest.raises(sf.errors.OptionError, match="choose from"):
        find_law("no-such-law")


def test_inputs_that_a_plan_leaves_open_are_asked_for():
    with pytest.raises(sf.errors.QuestionError, match="cannot be fixed"):
        front("chinchilla", [1e21], unique_tokens=1e9)
    with pytest.raises(sf.errors.QuestionError, match="no allocation"):
        front("moe", [1e21])


def test_a_run_that_a_law_cannot_take_is_named():
    runs = sf.Runs({"params": [1e8, 1e9] * 8, "experts": [1.0, 0.0] * 8, "loss": np.linspace(2, 3, 16)})
    with pytest.raises(sf.errors.DataError, match="row 2: experts is not a positive number"):
        sf.fit(runs, sf.Model("moe"))


@pytest.mark.slow
def test_what_repetition_is_worth_hangs_on_the_runs_taken():
    """R_D is no point: runs of up to five epochs allow 20 as well as 100, and health asks for a review of them all."""
    runs, model = sf.datasets.load("repeated_data"), sf.Model("data-constrained")
    every = sf.fit(runs, model)
    assert every.health.verdict == "review"
    assert any("part of the table" in words for words in every.health.cautions)
    few = runs.subset((runs.loss < 4.5) & (runs.tokens / runs["unique_tokens"] < 5))
    low, high = np.quantile(sf.fit(few, model).draws["R_D"], [0.05, 0.95])
    assert low < 20
    assert high > 100
