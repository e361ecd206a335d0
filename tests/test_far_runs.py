"""Which row is off: residuals in units of the noise, named in health, marked in pictures, shown on the command line."""

import json
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

import scalefit as sf
from scalefit.diagnostics import far_runs, residuals

CASES = Path(__file__).parent / "cases"
OFF = {  # rows from 1, worst first, and how a sentence names the first
    "three_diverged.csv": ({}, [15, 4, 10], "row 15 ("),
    "one_rung_off.csv": ({}, [11], "row 11 190M-0.5xC ("),
    "tracker_runs_export.csv": ({"keep_unfinished": True}, [9], "row 9 sweep-d2 ("),
}


@pytest.fixture(scope="module", params=OFF)
def case(request):
    """Read off by a point fit: the rows do not depend on the engine."""
    options, rows, words = OFF[request.param]
    return sf.fit(sf.read_runs(CASES / request.param, **options), engine=sf.MAP()), rows, words


def test_runs_off_the_law_are_named_worst_first(case):
    fit, rows, words = case
    check = next(check for check in fit.health.checks if check.name == "far runs")
    assert check.verdict == "review"
    assert words in check.sentence
    table = fit.residuals()
    assert list(table.index) == list(range(1, len(fit.runs) + 1))
    far = table[table["far"]]
    assert list(far["residual"].abs().sort_values(ascending=False).index) == rows
    np.testing.assert_allclose(table["loss"], table["expected"] * (1 + table["residual"]))
    assert far["standardised"].abs().min() > 5
    others = table[~table["far"]]["standardised"]
    assert others.abs().median() < 1.5, "the noise is that of the others"


def test_residuals_are_off_the_law_alone_where_asked(chinchilla_fit):
    """The discrepancy accounts for a trend of the residuals; the noise is then smaller."""
    own, law_only = chinchilla_fit.residuals(), chinchilla_fit.residuals(discrepancy=False)
    assert not own["far"].any()
    scale = [float((np.log1p(t["residual"]) / t["standardised"]).iloc[0]) for t in (own, law_only)]
    assert scale[0] < scale[1] == pytest.approx(np.median(chinchilla_fit.draws["sigma"]), rel=0.3)


def test_residuals_of_a_long_table_are_those_of_its_parts(chinchilla_fit, monkeypatch):
    """Each interleaved part by itself: every run once, in order, and about the same numbers."""
    whole = chinchilla_fit.residuals(discrepancy=False)
    monkeypatch.setattr(far_runs, "MANY", 120)
    monkeypatch.setattr(residuals, "MANY", 120)
    parts = replace(chinchilla_fit).residuals(discrepancy=False)
    assert list(parts.index) == list(whole.index)
    np.testing.assert_allclose(parts["expected"], whole["expected"], rtol=0.01)


def test_labels_are_the_tables_own(case):
    fit, _, _ = case
    first = fit.residuals().columns[0]
    assert first == {"three_diverged.csv": "params", "one_rung_off.csv": "name"}.get(fit.runs.name, "Name")


def test_draws_that_are_not_finite_have_no_residuals(small_fit):
    broken = replace(small_fit, draws=small_fit.draws | {"A": np.full_like(small_fit.draws["A"], np.nan)})
    with pytest.raises(sf.QuestionError):
        broken.residuals()


def test_pictures_mark_runs_that_are_off():
    fit = sf.fit(sf.read_runs(CASES / "one_rung_off.csv"), engine=sf.MAP())
    for axes in (sf.plots.frontier(fit), sf.plots.isoflops(fit, [fit.runs.flops[10]])):
        assert [text.get_text() for text in np.ravel(axes)[0].texts] == ["row 11"]
        plt.close("all")


def test_the_command_line_shows_outliers(run):
    path = CASES / "one_rung_off.csv"
    status, out, _ = run("fit", path, "--engine", "map", "--outliers", "show")
    assert status == 0
    first = out.split("furthest off")[1].split("190M-0.5xC")[0].splitlines()[-1]
    assert first.split() == ["11"]
    status, out, _ = run("fit", path, "--engine", "map", "--outliers", "show", "--json")
    shown = json.loads(out)["outliers"]
    assert [row["row"] for row in shown if row["far"]] == [11]
    status, _, err = run("compare", "laws", path, "--outliers", "show")
    assert status == 2
    assert "fit" in err
