import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.image import imread

import scalefit as sf
from scalefit.frontier.isoflops import crowded_budgets
from scalefit.plots._audit import _name_dots
from scalefit.plots._axes import new_axes


@pytest.mark.parametrize("picture", ["frontier", "isoflops", "surface", "pairs", "residuals", "predictive", "priors"])
def test_every_picture_is_drawn_and_saved(small_fit, tmp_path, picture):
    drawn = getattr(sf.plots, picture)(small_fit, **({"names": ["E", "alpha"]} if picture == "pairs" else {}))
    image = imread(sf.plots.save(drawn, tmp_path / "out.png"))
    assert image.shape[0] > 500
    assert len(np.unique(image.reshape(-1, image.shape[-1]), axis=0)) > 50, "more than an empty frame"
    assert np.asarray(drawn, dtype=object).flat[0].figure.number in plt.get_fignums(), "the figure is the caller's"
    plt.close("all")


def test_a_notebook_shows_every_picture(monkeypatch):
    """Its backend draws interactively from its first figure on, and shows no figure where that is off."""
    subplots = plt.subplots

    def first_figure(*arguments, **options):
        matplotlib.interactive(True)
        return subplots(*arguments, **options)

    monkeypatch.setattr(plt, "subplots", first_figure)
    try:
        new_axes()
        assert plt.isinteractive()
    finally:
        matplotlib.interactive(False)
        plt.close("all")


def test_the_frontier_band_is_the_frontier_table(small_fit):
    budgets = np.geomspace(1e20, 1e23, 5)
    axes = sf.plots.frontier(small_fit, budgets)
    (line,) = [line for line in axes.flat[0].lines if line.get_label() == "optimum, median, law only"]
    front = small_fit.frontier(budgets, discrepancy=False)
    np.testing.assert_allclose(line.get_ydata(), front.summary()["params"]["median"])
    assert "FLOP" in axes.flat[0].get_xlabel()
    plt.close("all")


def test_isoflop_budgets_are_where_the_runs_are(small_fit):
    np.testing.assert_allclose(crowded_budgets(small_fit.runs.flops), np.geomspace(1e19, 1e21, 8), rtol=1e-6)
    # Of 200,000 runs all pairs would take 300 GB.
    many = np.concatenate([np.geomspace(1e18, 1e22, 100_000), np.full(100_000, 1e20)])
    assert np.abs(np.log(crowded_budgets(many) / 1e20)).min() < 1e-3


def test_an_unknown_ending_leaves_no_file(small_fit, tmp_path):
    with pytest.raises(sf.ScalefitError, match=r"cannot draw to out\.bmpp"):
        sf.plots.save(sf.plots.isoflops(small_fit), tmp_path / "out.bmpp")
    assert not list(tmp_path.iterdir())
    plt.close("all")


@pytest.mark.parametrize("order", [("left", "right"), ("right", "left")])
def test_names_of_close_dots_do_not_cross(order):
    where = {"left": (0.5, 0.51), "right": (0.51, 0.5)}
    ax = plt.figure().add_subplot()
    _name_dots(ax, list(order), np.array([where[name] for name in order]))
    ends = {text.get_text(): text.get_window_extent() for text in ax.texts}
    left, right = ax.transData.transform([where["left"], where["right"]])
    assert ends["left"].x1 < left[0]
    assert ends["right"].x0 > right[0]
    plt.close("all")


def test_a_name_far_from_its_dot_has_a_line_to_it():
    ax = plt.figure().add_subplot()
    _name_dots(ax, [f"model {i}" for i in range(6)], np.full((6, 2), 0.5))
    assert [text.arrow_patch is not None for text in ax.texts if not text.get_text()]
    plt.close("all")
