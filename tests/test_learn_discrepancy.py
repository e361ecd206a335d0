"""Scales of the discrepancy, learned from studies; the evidence for them, and when health reports unusual exponents."""

import json
import warnings
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from conftest import TRUTH, simulated

import scalefit as sf
from scalefit.counting.compute import ISOFLOP_WIDTH
from scalefit.frontier.frontier import frontier
from scalefit.frontier.isoflop_minima import isoflop_minima
from scalefit.model.discrepancy import learned_evidence, read_discrepancy
from scalefit.text.fits import caution
from scalefit.validation.extrapolation import cases, coverage_scores, sizes_at_minima
from scalefit.validation.learn_discrepancy import objective

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "learn_discrepancy.json"
SENSIBLE = sf.Discrepancy.fixed(0.03, 4.0, 0.05)


def test_minima_are_the_optima_of_a_simulated_law():
    """ln N within 4 of its errors, and a bias of the parabola of a hundredth, at all eight budgets."""
    runs = simulated(seed=1, sizes=15)
    theta = {name: np.array([value]) for name, value in TRUTH.items()}
    minima = isoflop_minima(runs)
    assert len(minima) == 8
    flops, best, error = (
        np.array([getattr(each, name) for each in minima]) for name in ("flops", "log_params", "error")
    )
    truth = np.log(frontier(sf.laws.Chinchilla(), theta, flops, (1.0, 2.0)).params[0])
    assert (np.abs(best - truth) < 4 * error + 0.02).all()
    assert (error < 0.1).all()


def test_what_a_parabola_misses_by_is_taken_off(quick):
    """Larger models got up to 6 % more compute, which moves minima by a twentieth; noise moves them by a hundredth."""
    budgets, offset = np.exp(ISOFLOP_WIDTH * np.arange(292, 341, 8)), np.linspace(-1.5, 1.5, 12)
    theta = {name: np.array([value]) for name, value in TRUTH.items()}
    best = np.log(frontier(sf.laws.Chinchilla(), theta, budgets, (1.0, 2.0)).params[0])
    params = np.exp(best[:, None] + offset)
    inputs = {"params": params.ravel(), "tokens": (budgets[:, None] * np.exp(0.04 * offset) / (6 * params)).ravel()}
    runs = sf.Runs(inputs | {"loss": sf.Model().simulate(TRUTH | {"sigma": 3e-4}, inputs, 0)})
    small = runs.flops < 5e20
    fit, held = sf.fit(runs.subset(small), engine=quick), runs.subset(~small)
    seen = np.array([each.log_params for each in isoflop_minima(held)])
    _, _, found = sizes_at_minima(fit, held, discrepancy=False)
    assert len(found) == 3
    assert (seen - best[-3:] > 0.04).all()
    assert (np.abs(found - best[-3:]) < 0.02).all()


def test_a_budget_without_a_minimum_is_left_out():
    runs = simulated(sizes=10, width=1.05)
    assert isoflop_minima(runs) == []
    assert isoflop_minima(runs.subset(np.arange(80) < 3)) == []


def test_cases_keep_a_budget_on_one_side():
    found = cases({"one:a": simulated(), "one:b": simulated(seed=1)})
    assert [(case.study, case.times) for case in found[:2]] == [("one:a", 3.0), ("one:a", 10.0)]
    assert {case.family for case in found} == {"one"}
    for case in found:
        assert case.train.flops.max() < case.held.flops.min()
        assert len(case.train) + len(case.held) == 80
    with pytest.raises(sf.errors.DataError, match="no study has 12 runs below a cut"):
        cases({"a": simulated(sizes=2, budgets=4)})


@pytest.fixture(scope="module")
def learned(quick):
    """From two simulated sweeps and two candidates, one of them absurd."""
    tried = {"absurd": sf.Discrepancy.fixed(1.5, 3.0, 1.0), "sensible": SENSIBLE}
    studies = {"a:x": simulated(), "b:y": simulated(seed=1)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sf.FitWarning)  # on few of the absurd paths does the loss fall
        return sf.learn_discrepancy(studies, candidates=tried, cuts=(10,), engine=quick, progress=False)


def test_an_absurd_candidate_is_not_chosen(learned):
    assert learned.discrepancy == SENSIBLE
    assert dict(learned.chosen) == {"a": "sensible", "b": "sensible"}
    table = learned.summary()
    assert list(table.index) == ["law only", "absurd", "sensible", "left out"]
    assert table.loc["law only", "loss ratio"] == 1
    assert table.loc["absurd", "loss crps"] > 2 * table.loc["sensible", "loss crps"]
    assert table.loc["left out"].equals(table.loc["sensible"])
    assert learned.evidence.cases == 2
    assert learned.by_study()["loss 90"].is_monotonic_increasing


def test_scores_are_coverage_crps_and_error(learned, small_fit):
    held = learned.cases[0].held
    found = coverage_scores(small_fit, held, discrepancy=False)
    draws = np.log(small_fit.predict(held, discrepancy=False))
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    inside = (low <= np.log(held.loss)) & (np.log(held.loss) <= high)
    assert found["loss 90"] == pytest.approx(inside.mean(), abs=1 / len(held))
    assert found["loss mae"] == pytest.approx(np.median(np.abs(np.median(draws, axis=0) - np.log(held.loss))))
    assert 0 < found["size crps"] < 0.2


def test_the_objective_prefers_sharp_and_calibrated():
    flat = {f"{what} {name}": np.array([value]) for what in ("loss", "size")
            for name, value in (("90", 0.9), ("50", 0.5), ("crps", 0.1), ("mae", 0.1))}  # fmt: skip
    one = np.array(["a"])
    assert objective(flat | {"loss crps": np.array([0.05])}, one) < objective(flat, one)
    assert objective(flat | {"loss 90": np.array([0.5])}, one) > objective(flat, one)
    without = flat | {name: np.array([np.nan]) for name in flat if name.startswith("size")}
    assert np.isfinite(objective(without, one))


def test_what_the_scales_in_use_cite_is_what_was_measured():
    document = json.loads(RESULTS.read_text())
    assert document["discrepancy"] == json.loads(json.dumps(asdict(sf.Discrepancy())))
    assert document["evidence"] == json.loads(json.dumps(asdict(learned_evidence())))
    assert sf.Discrepancy().evidence == learned_evidence()
    assert SENSIBLE.evidence is None


def test_a_caution_says_what_such_intervals_held():
    data, evidence = (1e20, 1e22), learned_evidence()
    assert caution(1e21, data, True, evidence) == ""
    for included in (False, True):
        below = caution(1e18, data, included, evidence)
        assert "1/100 times the compute of the smallest run" in below
        assert "smaller runs" in below
        assert "law only" in below if not included else "discrepancy" in below
    assert "1.01 times the compute of the largest run" in caution(1.0069e22, data, False)
    near, far = (caution(times * 1e22, data, True, evidence) for times in (5, 100))
    assert "up to 10 times" in near
    assert f"{evidence.loss_90[1]:.0%} of the losses" in near
    assert "No test reached 100 times" in far
    assert "No held-out sweep has tested" in caution(1e24, data, True, None)


def test_health_speaks_up_where_exponents_are_unlike_those_learned(quick):
    steep = simulated(theta=TRUTH | {"alpha": 0.75, "A": 1e6})
    fit = sf.fit(steep, engine=quick)
    doubts = {check.name for check in fit.health.doubts}
    assert "learned alpha" in doubts
    assert "learned beta" not in doubts
    own = replace(fit.model, discrepancy=sf.Discrepancy(exponent=None))
    assert "learned alpha" not in {check.name for check in sf.fit(steep, own, engine=quick).health.checks}


def test_exponents_of_other_laws_keep_their_priors():
    assert set(sf.Model().with_discrepancy_priors.priors) == set(sf.Model().discrepancy_priors.items())
    assert sf.Model(sf.laws.find_law("moe-granular")).discrepancy_priors == {}
    assert set(sf.Model(sf.laws.find_law("data-constrained")).discrepancy_priors) == {"alpha", "beta"}


def test_the_command_writes_scales_that_fit_reads(run, tmp_path, monkeypatch, learned):
    asked = []
    answer = replace(learned, discrepancy=SENSIBLE)
    monkeypatch.setattr(sf, "learn_discrepancy", lambda studies, *_, **__: asked.append(studies) or answer)
    path = tmp_path / "scales.json"
    code, out, _ = run("learn-discrepancy", "chinchilla", "repeated_data", "-o", path)
    assert code == 0
    assert set(asked[0]) == {"chinchilla", "repeated_data"}
    assert "ln N_opt at isoFLOP minima" in out
    assert "2 sweeps" in out
    assert read_discrepancy(path) == SENSIBLE
    code, out, _ = run("learn-discrepancy", "chinchilla", "--json")
    assert json.loads(out)["discrepancy"]["scales"] == [[0.03, 4.0, 0.05, 3.0, 4.0]]
    code, out, err = run("learn-discrepancy", "chinchilla", "chinchilla")
    assert (code, out) == (2, "")
    assert "two tables have one name" in err
    path.write_text('{"compute": "much"}')
    code, out, err = run("fit", "chinchilla", "--discrepancy", path)
    assert (code, out) == (2, "")
    assert "holds no scales of a discrepancy" in err
