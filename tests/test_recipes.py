"""Recipes of one law: known gains are found, draws are paired, few runs are exact, answers say what they rest on."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import jsonschema
import numpy as np
import pytest
from conftest import TRUTH, isoflop_design, simulated
from test_hostile_files import instead, sealed

import scalefit as sf
from scalefit.cli.schema import FOLDER
from scalefit.model.discrepancy import Scales
from scalefit.model.paths import AtPivots, sample_paths, values_at
from scalefit.planning.least_budgets import Settle
from scalefit.recipes._conditional import RecipeRows, conditional_draws
from scalefit.recipes._health import few_runs_checks
from scalefit.recipes._joint import smaller
from scalefit.recipes._paths import summed
from scalefit.recipes._terms import Terms
from scalefit.recipes.comparison import RecipeGain, gain_interval

GAIN = 1.5
TARGET = 1e22


def counted(runs: sf.Runs, name: str, factor: float) -> sf.Runs:
    """The same runs by a recipe under which N and D count `factor` times: its gain in compute is the square."""
    loss = lambda x: np.asarray(sf.laws.find_law("chinchilla").loss(TRUTH, x))
    more = {name: factor * runs[name] for name in ("params", "tokens")}
    ratio = loss(more) / loss({"params": runs.params, "tokens": runs.tokens})
    return replace(runs, columns={**runs.columns, "loss": runs.loss * ratio}, name=name)


@pytest.fixture(scope="module")
def tables():
    whole = simulated(seed=3)
    some = np.random.default_rng(0).choice(len(whole), 8, replace=False)
    return {"A": simulated(seed=4), "B": counted(whole.subset(np.sort(some)), "B", GAIN**0.5)}


@pytest.fixture(scope="module")
def fits(tables):
    return sf.fit_recipes(tables, baseline="A")


@pytest.fixture(scope="module")
def found(fits):
    return sf.compare_recipes(fits, at=TARGET)


def test_a_known_gain_is_found(found):
    gain = found["B"]
    low, high = np.quantile(gain.draws["gain"], [0.05, 0.95])
    assert low < GAIN < high
    assert high / low < 6
    assert gain.chance > 0.8
    assert 0 < gain.share_of_prior < 0.8  # eight runs say more than half of it
    assert np.median(gain.draws["token_gain"]) > 1
    inside = gain.along[:, np.argmin(np.abs(np.log(found.budgets / 1e20)))]
    assert np.quantile(inside, 0.95) / np.quantile(inside, 0.05) < high / low  # surer where the runs are


def test_draws_are_paired_and_repeat(fits, tables):
    a, b = (fits[name].predict({"params": [1e9], "tokens": [2e11]}, noise=False)[:, 0] for name in "AB")
    assert np.corrcoef(a, b)[0, 1] > 0.15  # independent draws reach that in none of a million cases
    again = sf.fit_recipes(tables, baseline="A")
    for name in "AB":
        for key, values in fits[name].discrepancy_posterior.theta.items():
            np.testing.assert_array_equal(values, again[name].discrepancy_posterior.theta[key])
    other = sf.fit_recipes(tables, baseline="A", seed=1)
    assert not np.array_equal(fits["B"].theta["A"], other["B"].theta["A"])


def test_every_recipe_is_a_fit(fits):
    assert fits["A"].health.verdict == "ok"
    front = fits["B"].frontier([TARGET])
    assert np.median(front.loss) < np.median(fits["A"].frontier([TARGET]).loss)
    assert np.isfinite(sf.plan(fits["B"], TARGET).loss)
    assert set(fits["B"].draws) == set(fits["A"].draws)
    standardised = fits.residuals()["standardised"]
    assert standardised.abs().median() < 3
    with pytest.raises(sf.OptionError, match="recipe"):
        fits["C"]


def test_the_law_alone_has_its_own_draws(fits):
    alone = sf.compare_recipes(fits, at=TARGET, discrepancy=False)
    assert not alone.assumptions.discrepancy
    assert np.quantile(alone["B"].draws["gain"], 0.05) > 1


def test_few_runs_are_exact():
    """Given law and noise, two unknowns of one recipe: moments by quadrature.

    400 draws: a mean is off by more than 4 standard errors in 1 of 10,000 cases. A prior twice as wide fails.
    """
    model = sf.Model(noise="normal", discrepancy=None)
    terms = Terms(("params", "tokens"), (0.3, 0.3))
    theta = {"E": 0.6, "A": 0.25, "B": 0.2, "alpha": 0.34, "beta": 0.36, "sigma": 0.01}
    x = {"params": np.array([0.3, 1.0, 4.0]), "tokens": np.array([2.0, 1.0, 0.5])}
    log_loss = np.log(model.law.loss(theta, {k: v * 1.4 for k, v in x.items()})) + [0.01, -0.012, 0.004]
    count = 400
    with sf.precision():
        rows = RecipeRows(
            {k: jnp.asarray(v[None]) for k, v in x.items()}, jnp.asarray(log_loss[None]), jnp.ones((1, 3)),
            jnp.zeros((1, 1, 3, 1)),
        )  # fmt: skip
        draws = {name: jnp.full(count, value) for name, value in theta.items()}
        flat, zeros = jnp.zeros(count, int), jnp.zeros((count, 1, 3))
        key = jax.random.PRNGKey(0)
        drawn = np.asarray(conditional_draws(model, terms, rows, draws, flat, zeros, zeros, key))[:, 0, 1:]
    grid = np.linspace(-4, 4, 161)
    v = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1).reshape(-1, 2)
    counts = {name: x[name] * np.exp(0.3 * v[:, i, None]) for i, name in enumerate(x)}
    off = (log_loss - np.log(model.law.loss(theta, counts))) / 0.01
    log_density = -0.5 * (off**2).sum(1) - 0.5 * (v**2).sum(1)
    weight = np.exp(log_density - log_density.max())
    weight /= weight.sum()
    mean = weight @ v
    sd = np.sqrt(weight @ (v - mean) ** 2)
    assert np.abs(drawn.mean(0) - mean).max() < 4 * (sd / count**0.5).max()
    np.testing.assert_allclose(drawn.std(0), sd, rtol=4 / (2 * count) ** 0.5)


def test_a_sum_of_paths_is_the_sum():
    rng = np.random.default_rng(0)
    scales, share = Scales(0.02, 4.0, 0.02), 0.3
    at = [AtPivots.of(scales, rng.normal(size=(6, 2)))]
    own = [AtPivots.of(smaller(scales, share), rng.normal(size=(3, 2)))]
    pick, u = np.zeros(5, int), rng.normal(size=(7, 2))
    one = sample_paths(at, pick, rng.normal(size=(5, 28)), rng)
    two = sample_paths(own, pick, rng.normal(size=(5, 12)), rng)
    both = summed(one, two, np.full(5, share), 12)
    from scalefit.model.paths import discrepancy_at

    log_n, log_d = 0.5 * (u[:, 0] - u[:, 1] - np.log(6)), 0.5 * (u[:, 0] + u[:, 1] - np.log(6))
    with sf.precision():
        path = {name: jnp.asarray(values[2]) for name, values in both.items()}
        found = np.array(
            [discrepancy_at(path, jnp.asarray(n), jnp.asarray(d)) for n, d in zip(log_n, log_d, strict=True)]
        )
    expected = values_at(at, pick, one, u)[2] + values_at(own, pick, two, u)[2]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def gain(values, unseen=None, threshold=1.0):
    draws = {"gain": np.asarray(values, dtype=float)}
    return RecipeGain("B", 4, draws, np.ones((1, 1)), np.ones((1, 1)), np.geomspace(0.1, 10, 101), threshold, 0.95)


def test_the_verdict_follows_its_rule():
    assert gain([1.1] * 19 + [0.9]).verdict == "promote"
    assert gain([1.1] * 18 + [0.9] * 2).verdict == "run more"
    assert gain([1.1] + [0.9] * 19).verdict == "hold"
    assert gain([1.1] * 20, threshold=1.2).verdict == "hold"
    assert gain(np.geomspace(0.1, 10, 101)).share_of_prior == pytest.approx(1)
    assert gain([1.2] * 50 + [1.3] * 50).share_of_prior < 0.1


def test_intervals_of_what_may_be_out_of_reach():
    middle, low, high = gain_interval(np.array([1.0, 2.0, 3.0, np.inf, np.inf]), 0.9)
    assert (middle, low, high) == (3.0, 1.0, np.inf)
    assert gain([1.0] * 50 + [np.inf] * 50).share_of_prior == 1


def test_an_open_question_names_the_run_that_settles_it(fits):
    found = sf.compare_recipes(fits, at=TARGET, threshold=GAIN)["B"]
    assert found.verdict == "run more"
    run = found.settled_by
    assert run.flops == pytest.approx(6 * run.params * run.tokens)
    assert run.flops <= TARGET
    assert 0 < run.settles <= 1


def test_ranks_are_shares_of_draws(found):
    rng = np.random.default_rng(0)
    first = found["B"]
    base = found.loss_along[:, -1]
    by = {"B": -0.1, "C": 0.1}
    losses = {name: base + off + 0.01 * rng.normal(size=len(base)) for name, off in by.items()}
    recipes = {name: replace(first, name=name, draws={**first.draws, "loss": loss}) for name, loss in losses.items()}
    found = replace(found, recipes=recipes)
    assert found.winner == "B"
    assert found.chance_of_rank["C"][2] == 1
    np.testing.assert_allclose([sum(each) for each in found.chance_of_rank.values()], 1)
    assert found.shortfall == 0
    assert "best of 3" in found.headline()
    never = {**recipes, "D": replace(recipes["C"], draws={**recipes["C"].draws, "loss": losses["C"] - 0.05})}
    assert replace(found, recipes=never).ranking == ("B", "D", "C")


@pytest.mark.slow
def test_many_recipes_are_ranked(tables):
    worse = counted(tables["B"], "C", GAIN**-1)
    found = sf.compare_recipes({**tables, "C": worse}, baseline="A", at=TARGET)
    assert found.winner == "B"
    ranks = found.chance_of_rank
    assert ranks["B"][0] > 0.8
    assert ranks["C"][2] > 0.8
    np.testing.assert_allclose([sum(each) for each in ranks.values()], 1)
    assert found.shortfall >= 0


def test_results_introduce_themselves(fits, found):
    assert "B" in fits.headline()
    assert found.baseline == "A"
    assert found["B"].verdict in found.headline()
    for result in (fits, found):
        assert result.to_latex().startswith("\\begin")
        assert "<table" in result._repr_html_()
    data = found.to_xarray()
    assert data["gain_along"].dims == ("recipe", "draw", "budget")
    assert data["gain"].attrs["units"] == "1"
    assert fits.to_xarray().sizes["recipe"] == 1
    frame = found.summary(0.5)
    assert frame.loc["B", ("gain", "lower")] > found.summary(0.9).loc["B", ("gain", "lower")]


def test_pictures(found, fits):
    for along in ("compute", "loss"):
        assert sf.plots.recipes(found, along).get_lines()
    assert sf.plots.recipe_residuals(fits).collections
    with pytest.raises(sf.OptionError, match="along"):
        sf.plots.recipes(found, "tokens")


def test_tables_are_read(tables):
    whole = tables["A"].joined(tables["B"])
    names = ["A"] * len(tables["A"]) + ["B"] * len(tables["B"])
    from scalefit.recipes._tables import read_recipes

    frame = {name: whole[name] for name in ("params", "tokens", "loss")} | {"which": np.array(names)}
    read, parts = read_recipes(frame, "which", None, None)
    assert read == ("A", "B")
    assert [len(part) for part in parts] == [80, 8]
    assert read_recipes(frame, "which", "B", None)[0] == ("B", "A")
    by_loss = {"params": whole.params, "tokens": whole.tokens, "math": whole.loss, "code": 0.5 * whole.loss}
    read, parts = read_recipes(by_loss, "recipe", None, ["math", "code"])
    assert read == ("math", "code")
    np.testing.assert_allclose(parts[1].loss, 0.5 * parts[0].loss)


@pytest.mark.parametrize("by", ["name", "format", "weight", "unit", "recipe name"])
def test_the_column_of_recipes_may_have_any_name(tables, by):
    """Those of options of `read_runs` too: "name" was read as the table's name, and "weight" as precisions."""
    from scalefit.recipes._tables import read_recipes

    whole = tables["A"].joined(tables["B"])
    columns = {name: whole[name] for name in ("params", "tokens", "loss")}
    names = np.array(["A"] * len(tables["A"]) + ["B ", "B"] * (len(tables["B"]) // 2))
    read, parts = read_recipes({**columns, by: names}, by, None, None)
    assert read == ("A", "B")
    assert [len(part) for part in parts] == [80, 8]
    with pytest.raises(sf.DataError, match=by):
        read_recipes({**columns, by: np.where(names == "B", "", names)}, by, None, None)


@pytest.mark.parametrize(
    ("options", "error", "word"),
    [
        ({"baseline": "Z"}, sf.OptionError, "baseline"),
        ({"floor": "none"}, sf.OptionError, "floor"),
        ({"exponents": "free"}, sf.OptionError, "exponents"),
        ({"model": sf.Model("power-law(input=params)")}, sf.QuestionError, "allocation"),
    ],
)
def test_what_cannot_be_fitted_is_refused(tables, options, error, word):
    with pytest.raises(error, match=word):
        sf.fit_recipes(tables, **options)


def test_one_recipe_and_one_without_a_name_are_refused(tables):
    with pytest.raises(sf.DataError, match="two"):
        sf.fit_recipes({"A": tables["A"]})
    with pytest.raises(sf.DataError, match="name"):
        sf.fit_recipes({"A": tables["A"], "": tables["B"]})


def test_options_of_a_question_are_checked(fits):
    for wrong in ({"sure": 0.4}, {"threshold": 0.0}, {"seed": 1}, {"baseline": "B"}):
        with pytest.raises(sf.OptionError):
            sf.compare_recipes(fits, at=TARGET, **wrong)


def test_losses_on_different_data_are_not_compared(fits):
    free = replace(fits, draws={"B": {**fits.draws["B"], "level": np.ones(4)}})
    with pytest.raises(sf.QuestionError, match="floors"):
        sf.compare_recipes(free, at=TARGET)


def test_scales_of_differences_are_checked():
    with pytest.raises(sf.OptionError, match="positive"):
        sf.Differences(multiplier=0.0)
    with pytest.raises(sf.OptionError, match="probabilities"):
        sf.Differences(probability=(1.0,))


def test_few_runs_are_reported(fits, tables):
    few = tables["B"].subset(np.array([0, 1]))
    fit = replace(fits["B"], runs=few, model=sf.Model(discrepancy=None))
    found = {check.name: check.verdict for check in few_runs_checks(fit, "A", 1e19)}
    assert found["recipe runs"] == "review"


def test_a_recipe_cannot_be_saved_alone(fits, tmp_path):
    with pytest.raises(sf.StorageError, match="recipe"):
        fits["B"].save(tmp_path / "b.nc")


@pytest.fixture(scope="module")
def stored(fits, tmp_path_factory):
    return fits.save(tmp_path_factory.mktemp("recipes") / "fits.nc")


def test_fits_come_back_to_the_bit(fits, found, stored):
    again = sf.load(stored)
    assert list(again) == list(fits)
    assert again.baseline == "A"
    assert again.differences == fits.differences
    assert fits.residuals().equals(again.residuals())
    for name in fits:
        assert again[name].health == fits[name].health
        assert again[name].runs.fingerprint == fits[name].runs.fingerprint
        np.testing.assert_array_equal(again[name].draws["alpha"], fits[name].draws["alpha"])
    asked = sf.compare_recipes(again, at=TARGET)
    for key, values in found["B"].draws.items():
        np.testing.assert_array_equal(values, asked["B"].draws[key])
    np.testing.assert_array_equal(found["B"].along, asked["B"].along)
    np.testing.assert_array_equal(found["B"].unseen, asked["B"].unseen)
    assert found["B"].settled_by == asked["B"].settled_by
    assert found.summary().equals(asked.summary())


def test_fits_of_the_law_alone_come_back(fits, tmp_path):
    alone = {name: replace(fit, model=sf.Model(discrepancy=None)) for name, fit in fits.items()}
    for name, fit in alone.items():
        vars(fit)["health"] = fits[name].health
    path = replace(fits, fits=alone, unseen=alone["A"]).save(tmp_path / "alone.nc")
    again = sf.load(path)
    assert not again["B"].has_discrepancy
    np.testing.assert_array_equal(again["B"].theta["A"], fits["B"].theta["A"])


@pytest.mark.parametrize(
    "change",
    {
        "one recipe": lambda file: file.attrs.__setitem__("recipes", '["A"]'),
        "one name twice": lambda file: file.attrs.__setitem__("recipes", '["A", "A"]'),
        "another format": lambda file: file.attrs.__setitem__("format", "scalefit fit"),
        "no differences": lambda file: file.__delitem__("differences"),
        "differences of text": lambda file: file["differences"].attrs.__setitem__("names", '["x"]'),
        "negative scales": lambda file: file.attrs.__setitem__("differences", '{"options": {"floor": -1}}'),
        "no paths": lambda file: file.__delitem__("recipe_1/discrepancy_paths"),
        "no draws": lambda file: file.__delitem__("recipe_1/joint_posterior"),
        "a path too few": lambda file: file.__delitem__("recipe_0/discrepancy_paths/pull"),
        "no residuals": lambda file: file.__delitem__("unseen/residuals"),
        "a short residual": instead("recipe_0/residuals/off", data=np.ones(3)),
        "another engine": lambda file: file["recipe_1"].attrs.__setitem__("engine", "nuts"),
    }.items(),
    ids=lambda change: change[0],
)
def test_a_hostile_file_of_recipes_is_refused(stored, tmp_path, change):
    path = tmp_path / "fits.nc"
    path.write_bytes(stored.read_bytes())
    sealed(path, change[1])
    with pytest.raises(sf.StorageError, match="cannot read"):
        sf.load(path)


def test_a_damaged_file_of_recipes_is_refused(stored, tmp_path):
    damaged = bytearray(stored.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (path := tmp_path / "fits.nc").write_bytes(damaged)
    with pytest.raises(sf.StorageError, match="SHA"):
        sf.load(path)


def test_the_command_reads_what_is_stored(run, stored, found, fits, tmp_path):
    import json

    code, out, _ = run("compare", "recipes", str(stored), "--at", "1e22", "--json", "-o", str(tmp_path / "again.nc"))
    assert code == 0
    assert json.loads(out)["recipes"]["B"]["chance"] == found["B"].chance
    assert list(sf.load(tmp_path / "again.nc")) == list(fits)
    for wrong in (["--seed", "1"], ["--by", "corpus"], ["--baseline", "B"]):
        code, _, err = run("compare", "recipes", str(stored), *wrong)
        assert code == 2
        assert wrong[0].strip("-").split("-")[0] in err or "baseline" in err
    code, _, err = run("plan", str(stored), "--budget", "1e22")
    assert code == 2
    assert "recipes" in err


def test_the_command(run, tables, stored, tmp_path):
    import json

    x = isoflop_design()
    lines = ["params,tokens,loss,recipe"]
    for name, runs in tables.items():
        lines += [f"{n},{d},{loss},{name}" for n, d, loss in zip(runs.params, runs.tokens, runs.loss, strict=True)]
    path = tmp_path / "runs.csv"
    path.write_text("\n".join(lines))
    assert len(lines) == 1 + len(x["params"]) + 8
    code, out, _ = run("compare", "recipes", str(path), "--baseline", "A", "--at", "1e22", "--json")
    assert code == 0
    document = json.loads(out)
    jsonschema.validate(document, json.loads((FOLDER / "compare-recipes.json").read_text()))
    assert document["recipes"]["B"]["gain"]["90"]["lower"] < GAIN < document["recipes"]["B"]["gain"]["90"]["upper"]
    code, out, _ = run("compare", "recipes", stored, "--at", "1e22", "--plot", tmp_path / "g.png")
    assert code == 0
    assert (tmp_path / "g.png").stat().st_size > 10_000
    assert "share of" in out
    code, _, err = run("compare", "recipes", str(path), "--by", "corpus")
    assert code == 2
    assert "corpus" in err


def test_next_runs_settle_an_open_gain(fits, found):
    """The same question, probability and odds as the verdict's; the runs are of the recipe."""
    asked = sf.next_runs(fits, TARGET, spend=1e21, threshold=GAIN, count=2)
    gain = sf.compare_recipes(fits, at=TARGET, threshold=GAIN)["B"]
    assert asked.settle.above == pytest.approx(gain.chance_of_threshold, abs=0.01)
    assert not asked.stop
    assert not asked.about_plan
    assert 0 < asked.settles.max() <= asked.settle.chance(np.array(asked.batch.value))
    assert asked.summary()["settles"].is_monotonic_decreasing
    assert "B" in asked.headline()
    assert "settle" in asked.headline()
    named = {"params": [gain.settled_by.params], "tokens": [gain.settled_by.tokens]}
    alone = sf.next_runs(fits, TARGET, spend=TARGET, candidates=named, aim="B", threshold=GAIN)
    assert alone.settles[0] == pytest.approx(gain.settled_by.settles, abs=0.02)


def test_a_settled_gain_takes_no_run(fits):
    asked = sf.next_runs(fits, TARGET, spend=1e21, threshold=0.2, count=1)
    assert asked.stop
    assert "no further run" in asked.headline()


def test_which_gain_to_settle_is_checked(fits, found):
    for wrong in ({"aim": "Z"}, {"threshold": 0.0}, {"sure": 1.0}):
        with pytest.raises(sf.OptionError):
            sf.next_runs(fits, TARGET, spend=1e21, **wrong)
    with pytest.raises(sf.OptionError, match="threshold"):
        sf.next_runs(fits["B"], TARGET, spend=1e21, threshold=1.2)


@pytest.mark.parametrize(("above", "share"), [(0.7, 0.5), (0.93, 0.1), (0.3, 0.9)])
def test_the_chance_to_settle_is_that_of_normals(above, share):
    """200,000 outcomes: within .01 in all but one of 10,000 cases; the share instead of its root is further off."""
    from scipy.special import ndtr, ndtri

    settle = Settle("B", "A", np.zeros(1), above, 1.0, 0.95)
    after = ndtr((ndtri(above) + np.sqrt(share) * np.random.default_rng(0).normal(size=200_000)) / np.sqrt(1 - share))
    settled = np.mean((after >= 0.95) | (after <= 0.05))
    assert settle.chance(np.array(share)) == pytest.approx(settled, abs=0.01)


def test_the_cheapest_likely_run_is_named():
    settle = Settle("B", "A", np.zeros(1), 0.8, 1.0, 0.95)
    assert settle.cheapest(np.array([0.01, 0.9, 0.99]), np.array([1.0, 3.0, 2.0])) == 2
    assert settle.cheapest(np.array([0.01, 0.1, 0.2]), np.array([1.0, 2.0, 3.0])) == 2
