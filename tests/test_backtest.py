"""Scores against closed forms, and a backtest that must tell a kept promise from a broken one."""

import json
import re
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import TRUTH, isoflop_design, simulated
from scipy import stats

import scalefit as sf
from scalefit import cli
from scalefit.text.validation import coverage_sentence
from scalefit.validation.scores import clustered_error, crps, inside, interval_score, pit


def test_crps_of_a_normal_is_the_closed_form():
    """Gneiting and Raftery 2007, equation 22; 200,000 draws give it to about 0.5 %."""
    draws = np.random.default_rng(0).normal(1.0, 2.0, (200_000, 1))
    z = (2.5 - 1.0) / 2.0
    exact = 2.0 * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    assert crps(draws, np.array([2.5]))[0] == pytest.approx(exact, rel=0.01)
    assert crps(np.array([[1.0]]), np.array([2.5]))[0] == 1.5


def test_interval_score_rewards_width_and_punishes_misses():
    lower, upper = np.array([1.0, 1.0, 1.0]), np.array([2.0, 2.0, 2.0])
    np.testing.assert_allclose(interval_score(lower, upper, np.array([1.5, 0.9, 2.2]), 0.9), [1.0, 3.0, 5.0])


def test_pit_and_coverage():
    draws = np.arange(101.0)[:, None]
    assert pit(draws, np.array([50.0]))[0] == pytest.approx(0.5)
    np.testing.assert_array_equal(inside(np.array([0.04, 0.06, 0.94, 0.96]), 0.9), [False, True, True, False])


def test_runs_of_one_budget_are_not_independent():
    values = np.repeat(np.random.default_rng(0).normal(size=20), 10)
    clustered = clustered_error(values, np.repeat(np.arange(20), 10))
    assert clustered == pytest.approx(values.std(ddof=1) / np.sqrt(20), rel=0.05)
    assert clustered > 2 * values.std() / np.sqrt(200)
    assert np.isnan(clustered_error(values, np.zeros(200, int)))


def test_log_density_is_the_predictive_density(small_fit):
    """Averaged over draws: against SciPy's Student-t."""
    runs, t = simulated(seed=5), {k: v[:, None] for k, v in small_fit.theta.items()}
    mean = np.log(t["E"] + t["A"] * runs.params ** -t["alpha"] + t["B"] * runs.tokens ** -t["beta"])
    exact = np.log(stats.t.pdf(np.log(runs.loss), t["nu"], mean, t["sigma"]).mean(0))
    np.testing.assert_allclose(small_fit.log_density(runs, discrepancy=False), exact, rtol=1e-8)


def test_holdouts_cut_where_they_say():
    runs = simulated()
    ((label, train),) = sf.above_compute(1.5e20)(runs)
    assert label == "above 1.5e20"
    assert runs.flops[train].max() <= 1.5e20 < runs.flops[~train].min()
    folds = sf.random_folds(5)(runs)
    assert sum((~train).astype(int) for _, train in folds).tolist() == [1] * 80
    shares = [train.mean() for _, train in sf.rolling_origin(4)(runs)]
    assert shares == sorted(shares)
    grouped = sf.Runs({**runs.columns, "group": np.repeat(["a", "b"], 40)})
    assert [label for label, _ in sf.by_group("group")(grouped)] == ["group a", "group b"]


@pytest.fixture(scope="module")
def engines(quick):
    return {"posterior": quick, "huber": sf.Huber(), "bootstrap": sf.Bootstrap(resamples=250)}


@pytest.fixture(scope="module")
def honest(engines):
    """Runs that the law itself produced: held-out intervals must keep their promise."""
    return sf.backtest(simulated(seed=11), engines=engines, holdout=sf.above_compute(2e20))


def test_inside_the_law_the_posterior_keeps_its_promise(honest):
    """30 held-out runs of the model itself: at least as many inside 90 % as chance allows (1 in 1,000)."""
    for predictor in ("posterior", "posterior, law only"):
        chosen = honest.chosen(predictor)
        held = inside(honest.records["pit"][chosen], 0.9).sum()
        assert held >= stats.binom(chosen.sum(), 0.9).ppf(0.001)


def test_outside_the_law_the_backtest_says_so(engines):
    """A truth with an outer exponent of 0.6: nominal 90 % intervals of the law hold too few, and it shows."""
    x = isoflop_design()
    n, d = TRUTH["A"] * x["params"] ** -TRUTH["alpha"], TRUTH["B"] * x["tokens"] ** -TRUTH["beta"]
    noise = np.exp(np.random.default_rng(0).normal(0, 5e-4, 80))
    bent = sf.Runs({**x, "loss": (TRUTH["E"] + (n ** (1 / 0.6) + d ** (1 / 0.6)) ** 0.6) * noise})
    found = sf.backtest(bent, engines=engines, holdout=sf.above_compute(6e19))
    assert found.summary().loc["posterior, law only", "cover_without_noise_90"] < 0.75
    assert "posterior" in coverage_sentence(found)


def test_backtest_tables(honest):
    table = honest.summary()
    assert list(table.index) == ["posterior", "posterior, law only", "huber", "bootstrap"]
    assert honest.predictors["posterior"] == ("posterior", True)
    assert honest.predictors["posterior, law only"] == ("posterior", False)
    assert table.loc["posterior", "cover_90"] >= table.loc["posterior, law only", "cover_90"] - 0.1
    assert np.isnan(table.loc["huber", "cover_without_noise_90"]), "a point has no interval without noise"
    assert (table[["crps", "crps_se", "mae", "interval_score"]] > 0).all(axis=None)
    assert honest.by_distance()["runs"].sum() == len(honest.records["row"])
    assert list(honest.drift_summary().columns) == ["median", "lower", "upper"]
    assert sf.plots.coverage(honest).get_xlabel() == "nominal probability"
    plt.close("all")


def test_an_engine_that_refuses_is_recorded(engines):
    runs = simulated()
    found = sf.backtest(
        runs, engines=engines, holdout=lambda r: [("six", np.arange(80) < 6), ("most", np.arange(80) < 60)]
    )
    assert {split for split, _ in found.failures} == {"six"}
    assert set(found.records["split"]) == {"most"}
    with pytest.raises(sf.DataError, match="leaves no run to predict"):
        sf.backtest(runs, engines=engines, holdout=sf.above_compute(1e30))


def test_methods_side_by_side(engines):
    methods = {**engines, "approach 2": sf.approaches.isoflop, "broken": sf.Bootstrap(cluster="nothing")}
    found = sf.compare_methods(simulated(), budget=1e22, methods=methods)
    table = found.summary()
    assert list(table.index) == list(methods)
    medians = table.loc[["posterior", "huber", "bootstrap", "approach 2"], ("N_opt", "median")].astype(float)
    assert np.ptp(np.log(medians)) < 0.5
    assert table.loc["posterior", ("kind", "")] == "posterior"
    assert np.isnan(table.loc["approach 2", ("E", "median")])
    assert "no column 'nothing'" in table.loc["broken", ("failure", "")]


def test_compare_and_backtest_on_the_command_line(engines, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys.modules["scalefit.validation.backtest"], "default_engines", lambda: engines)
    every = {**engines, "envelope": sf.approaches.envelope}
    monkeypatch.setattr(sys.modules["scalefit.validation.compare_methods"], "default_methods", lambda: every)
    runs, path = simulated(), tmp_path / "runs.csv"
    rows = [
        f"{n!r},{d!r},{y!r}" for n, d, y in zip(*(runs[c].tolist() for c in ("params", "tokens", "loss")), strict=True)
    ]
    path.write_text("\n".join(["N,D,loss", *rows]))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["scalefit", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert not left.value.code
        return capsys.readouterr().out

    text = run("compare", "methods", path, "--budget", "1e22")
    assert text.startswith("1e22 FLOP is 10 times the compute of the largest run")
    assert "envelope" in text
    assert (
        json.loads(run("compare", "methods", path, "--budget", "1e22", "--json"))["methods"]["huber"]["kind"] == "point"
    )
    text = run("backtest", path, "--above", "2e20", "--plot", tmp_path / "cal.png")
    assert re.search(r"90% intervals contained \d+% \(posterior\)", " ".join(text.split()))
    assert (tmp_path / "cal.png").stat().st_size > 10_000
    document = json.loads(run("backtest", path, "--above", "2e20", "--json"))
    assert {"summary", "by_distance", "drift", "words", "failures"} <= set(document)
