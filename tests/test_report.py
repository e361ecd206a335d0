"""The report's file: its size, that it is the same every time, what it leaves out, what it says where it cannot be."""

import sys
from dataclasses import replace

import pytest

import scalefit as sf
from scalefit.reports import bundle
from scalefit.reports.report import page_of


@pytest.fixture(scope="module")
def text(chinchilla_fit):
    return page_of(chinchilla_fit, 1000, None, False, "inline")


def test_the_file_is_small_and_the_same_every_time(chinchilla_fit, text):
    assert len(text.encode()) < 6e6
    assert page_of(chinchilla_fit, 1000, None, False, "inline") == text


def test_no_address_of_the_network_can_be_asked(text):
    assert "default-src 'none'" in text
    assert "connect-src 'none'" in text
    assert "unsafe-eval" not in text
    assert "<script src" not in text


def test_a_notebook_shows_the_page_in_a_frame(chinchilla_fit, text):
    shown = sf.explore(chinchilla_fit)
    assert shown.page == text
    frame = shown._repr_html_()
    assert frame.startswith("<iframe")
    assert "<script" not in frame  # all of it is in the attribute
    assert len(repr(shown)) < 200


def test_redacted_pages_name_neither_runs_nor_table(chinchilla_fit):
    fit = replace(chinchilla_fit, runs=replace(chinchilla_fit.runs, name="secret-sweep"))
    assert "secret-sweep" in page_of(fit, 200, None, False, "plotly.js")
    hidden = page_of(fit, 200, None, True, "plotly.js")
    assert "secret-sweep" not in hidden
    assert fit.runs.fingerprint not in hidden
    assert '"runs":null' in hidden
    assert repr(float(fit.runs.loss[3])) not in hidden


def test_every_module_is_bundled_and_known():
    own = {
        path.name for path in bundle.files("scalefit.reports").joinpath("page").iterdir() if path.name.endswith(".js")
    }
    assert own == {f"{name}.js" for name in bundle.MODULES}
    script = bundle.script()
    assert "import {" not in script
    assert "\nexport " not in script


def test_a_law_without_an_allocation_has_a_page_without_a_planner(chinchilla_fit, tmp_path):
    model = sf.Model("power-law")
    draws = {p.name: chinchilla_fit.draws[p.name] for p in model.params()}
    fit = replace(chinchilla_fit, model=model, draws=draws)
    written = sf.report(fit, tmp_path / "report.html").read_text()
    assert "<form" not in written
    assert model.law.equation in written


@pytest.mark.parametrize("package", ["plotly", "jinja2"])
def test_what_is_missing_is_named(package, chinchilla_fit, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(sf.OptionError, match=package):
        sf.report(chinchilla_fit, tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


def test_bad_options_are_refused_before_the_work(chinchilla_fit, tmp_path):
    with pytest.raises(sf.OptionError, match="draws"):
        sf.report(chinchilla_fit, tmp_path / "report.html", draws=10)
    with pytest.raises(sf.StorageError, match="cannot write"):
        sf.report(chinchilla_fit, tmp_path / "no" / "report.html")


def test_the_command_writes_the_page(run, chinchilla_fit, tmp_path):
    saved, path = chinchilla_fit.save(tmp_path / "fit.nc"), tmp_path / "out.html"
    code, said, _ = run("report", saved, "-o", path, "--draws", "150", "--title", "Mine", "--plotly", "plotly.js")
    assert code == 0
    assert str(path) in said
    assert "<title>Mine</title>" in path.read_text()
    assert 'src="plotly.js"' in path.read_text()
    assert run("report", saved, "-o", tmp_path / "no" / "out.html")[0] == 2
