"""Several fits on one page: the table and its figure are those of the fits, whatever they are called."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

import scalefit as sf
from scalefit.reports.comparison import compared, named_fits
from scalefit.reports.report import page_of


@pytest.fixture(scope="module")
def pair(point_fit):
    """The same law twice, the second with 2 % less loss at any run: point estimates, which compare at once."""
    first = point_fit()
    lower = {name: values * (0.98 if name in "EAB" else 1.0) for name, values in first.draws.items()}
    runs = replace(first.runs, columns={**first.runs.columns, "loss": 0.98 * first.runs.loss})
    return {"first": first, "new <b>": replace(first, draws=lower, runs=runs)}


def test_the_lower_loss_wins_at_every_budget(pair):
    found = compared(pair, {name: {} for name in pair})
    losses = {name: fit.frontier(10 * fit.compute_range[1]).loss[0, 0] for name, fit in pair.items()}
    ahead = losses["first"] - losses["new <b>"]
    assert f"{ahead:.3f}" in found.sentence
    assert "new <b> has the lowest loss" in found.sentence
    assert len(found.rows) == 10
    assert {row[-1] for row in found.rows if row[1] == "first"} == {"below 1%"}
    loss = np.array(found.figure["loss"], dtype=float)[..., 0]
    np.testing.assert_allclose(loss[1], 0.98 * loss[0], rtol=1e-4)


def test_of_the_same_runs_no_fit_wins_by_expecting_less(pair):
    same = {"first": pair["first"], "other": replace(pair["new <b>"], runs=pair["first"].runs)}
    found = compared(same, {name: {} for name in same})
    assert "lowest" not in found.sentence + found.figure["title"] + " ".join(found.header)
    assert "other" in found.sentence
    assert len(found.rows[0]) == len(found.header)


def test_a_page_has_the_comparison_and_names_stay_text(pair):
    text = page_of(pair, 200, None, False, "plotly.js")
    assert "Side by side" in text
    assert "new <b>" not in text
    assert "new &lt;b&gt;" in text
    payload = json.loads(re.search(r'id="payload">(.*?)</script>', text)[1])
    assert payload["comparison"]["names"] == list(pair)
    hidden = page_of(pair, 200, None, True, "plotly.js")
    assert "new &lt;b&gt;" not in hidden
    alone = page_of(pair["first"], 200, None, False, "plotly.js")
    assert "Point estimates." in alone
    assert "Medians and 90%" not in alone[alone.index("The law's parameters") :].split("</section>")[0]
    assert "Side by side" not in alone
    assert '"comparison":null' in alone


def test_fits_are_named_by_what_differs(pair):
    first, second = pair.values()
    other = replace(second, runs=replace(second.runs, name="other"))
    kaplan = replace(second, model=sf.Model("kaplan"))
    assert list(named_fits([first, other], False)) == ["simulated", "other"]
    assert list(named_fits([first, kaplan], False)) == ["chinchilla", "kaplan"]
    assert list(named_fits([first, second], True)) == ["A", "B"]
    assert len(named_fits([first, second], False)) == 2
    bits = replace(second, runs=replace(second.runs, unit="bits per byte"))
    with pytest.raises(sf.DataError, match="bits per byte"):
        named_fits([first, bits], False)
    for wrong in ([], [first] * 7):
        with pytest.raises(sf.OptionError, match="1 to 6"):
            named_fits(wrong, False)


def test_fits_without_an_answer_are_named_and_left_out(pair):
    first, second = pair.values()
    bad = replace(second, health=sf.Health((replace(first.health.checks[0], verdict="fail"),)))
    assert "bad" in compared({"first": first, "bad": bad}, {"first": {}}).note
    assert compared({"bad": bad, "first": first}, {}) is None
    assert compared({"first": first}, {}) is None


def test_a_comparison_of_runs_is_a_page_without_a_planner(pair, tmp_path):
    found = sf.compare_runs(pair["first"], "1B:20B", "2B:20B")
    text = sf.report(found, tmp_path / "report.html").read_text()
    assert "<form" not in text
    assert "<noscript" not in text  # there is nothing that needs a script
    assert found.headline().split(".")[0] in text
    assert "speedup" in text


def test_the_command_takes_several_fits(run, pair, tmp_path):
    files = [fit.save(tmp_path / f"{number}.nc") for number, fit in enumerate(pair.values())]
    code, _, _ = run("report", *files, "-o", tmp_path / "out.html", "--draws", "150", "--plotly", "plotly.js")
    assert code == 0
    assert "Side by side" in (tmp_path / "out.html").read_text()
    assert run("report", *files, "-o", files[1])[0] == 2
