"""Every public result introduces itself: a sentence, a table as text, HTML and LaTeX, and names in xarray."""

import re
import subprocess
import sys
from functools import lru_cache
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr
from conftest import simulated

import scalefit as sf
from scalefit._digits import written
from scalefit._quantities import at_budget
from scalefit._results import Result
from scalefit.downstream import Emergence, Sigmoid
from scalefit.downstream.compute_curve import ComputeCurve
from scalefit.downstream.curve import Curve
from scalefit.downstream.scatter import BetaBinomial
from scalefit.recipes import RecipeGain
from scalefit.units import format_count
from scalefit.validation import SBC, Backtest, Comparison, LawComparison, LearnedDiscrepancy
from scalefit.validation._laws import Scores
from scalefit.validation.compare_methods import Entry
from scalefit.validation.extrapolation import cases

RNG = np.random.default_rng(0)
HEALTH = sf.Health(())


def a_backtest():
    count = 12
    records = {"split": ["cut"] * count, "method": ["posterior"] * 8 + ["huber"] * 4, "kind": ["posterior"] * count}
    records = {name: np.array(values, dtype=object) for name, values in records.items()}
    records |= {"discrepancy": np.arange(count) < 4, "row": np.tile(np.arange(4.0), 3)}
    records |= {name: RNG.uniform(1, 2, count) for name in ("flops", "distance", "error", "crps", "log_score")}
    records |= {"interval_score": np.ones(count), "pit": RNG.uniform(size=count)}
    records["pit_without_noise"] = np.where(np.arange(count) < 8, 0.5, np.nan)
    sizes = {name: np.empty(0, dtype=object) for name in ("split", "method", "discrepancy", "flops", "crps", "pit")}
    return Backtest(records, sizes, 1e22, {("cut", "huber", False): RNG.lognormal(size=9)}, {("cut", "MAP"): "no"})


def a_law_comparison(fit):
    scores = {
        law: Scores(*RNG.normal(size=(2, 6)), *RNG.normal(size=(2, 80))) for law in ("chinchilla", "a_law & more")
    }
    records = {
        "split": np.array(["cut"] * 6, dtype=object),
        "row": np.arange(6.0),
        "flops": np.geomspace(1e20, 1e21, 6),
    }
    records |= {"distance": np.linspace(0.1, 2, 6), "share": np.full(6, 1 / 6)}
    weights = dict(zip(scores, (0.9, 0.1), strict=True))
    return LawComparison(dict.fromkeys(scores, fit), scores, records, weights, weights, {"moe": "no column"}, 0)


def a_comparison():
    draws = {name: RNG.lognormal(size=40) for name in ("E", "alpha", "N_opt", "loss")}
    entries = {"posterior": Entry(draws, "posterior", 1.2), "broken <b>": Entry({}, "none", 0.1, "no")}
    return Comparison(1e22, entries)


def a_learned_discrepancy():
    found = tuple(cases({"one": simulated()}, (10,)))
    names = [f"{what} {name}" for what in ("loss", "size") for name in ("90", "50", "crps", "mae")]
    scores = {method: {name: np.array([0.5]) for name in names} for method in ("law only", "in use", "left out")}
    return LearnedDiscrepancy(sf.Discrepancy(), {"in use": sf.Discrepancy()}, found, scores, {"one": "in use"})


def a_curve():
    curve, count = Curve(Sigmoid(0.25), BetaBinomial()), (4, 50)
    draws = {p.name: RNG.uniform(0.5, 1, count) for p in curve.params()} | {"floor": np.full(count, 0.25)}
    return sf.Downstream(draws, curve, HEALTH, np.linspace(1, 2, 8), np.linspace(0.9, 0.3, 8), None, 0)


def a_compute_curve():
    return ComputeCurve({name: RNG.uniform(0.2, 0.9, (4, 50)) for name in ("R0", "A", "B", "C_mid")}, a_curve())


def an_emergence():
    flops, share = np.geomspace(1e19, 1e26, 22), np.linspace(0, 0.9, 22)
    return Emergence(flops, share[::-1], share, share, flops <= 1e22, 10, 1000, a_curve(), "a source")


def an_sbc():
    ranks = {"E": RNG.integers(0, 20, 30), "a_b": np.zeros(30, int)}
    return SBC(ranks, 19, 31, {3: "no"}, np.full(30, 9.0))


def a_benchmark():
    draws = {name: RNG.uniform(size=(4, 50)) for name in ("a", "b", "scale")}
    return sf.PassAtK(draws, HEALTH, np.ones(9), np.ones(9), 0)


def a_power_law():
    return sf.approaches.power_law(np.geomspace(1, 100, 12), 2 + np.geomspace(1, 100, 12) ** -0.3, resamples=20)


def a_law_of_one_input():
    params = np.geomspace(1e8, 1e10, 12)
    loss = 2 + (params / 1e8) ** -0.3 + 0.001 * np.random.default_rng(0).normal(size=12)
    return sf.fit({"params": params, "loss": loss}, sf.Model("power-law(input=params)"), engine=sf.MAP())


def a_forecast(fit):
    return sf.register(fit, {"params": [1e9], "tokens": [2e10]}, discrepancy=False)


def a_recipe_comparison(fit):
    count, budgets = 200, np.array([1e20, 1e21, 1e22])
    along = RNG.lognormal(0.3, 0.2, (count, 3))
    draws = {"gain": along[:, -1], "token_gain": np.append(along[1:, 0], np.inf), "param_gain": along[:, 1]}
    draws |= {"difference": RNG.normal(size=count), "loss": RNG.normal(2, 0.01, count)}
    gains = {
        name: RecipeGain(name, 4, draws, along, 2 + along, along[:, 0] ** 3, 1.0, 0.95) for name in ("B", "C_1 & <b>")
    }
    health = {"A": "ok", "B": "ok", "C_1 & <b>": "review"}
    loss = np.full((count, 3), 2.0)
    return sf.RecipeComparison("A", 1e22, gains, budgets, loss, health, sf.plan(fit, 1e22).assumptions)


def some_recipe_fits(fit):
    draws = {name: {x: RNG.lognormal(size=100) for x in ("params", "tokens", "E")} for name in ("B", "C_1 & <b>")}
    fits = {"A": fit, "B": fit, "C_1 & <b>": fit}
    return sf.RecipeFits(fits, "A", draws, sf.Differences(), fit)


MAKERS = {
    "runs": lambda fit: fit.runs,
    "fit": lambda fit: fit,
    "fits": lambda fit: sf.fit_many([fit.runs, fit.runs.subset(np.arange(2))], engine=sf.MAP(), progress=False),
    "frontier": lambda fit: fit.frontier([1e21, 1e23]),
    "isoflop": lambda fit: sf.approaches.isoflop(fit.runs, resamples=20),
    "power law": lambda fit: a_power_law(),
    "plan": lambda fit: sf.plan(fit, 1e22),
    "target": lambda fit: sf.target(fit, 2.2),
    "lifetime": lambda fit: sf.lifetime(fit, "7B", sf.costs.Lifetime(2e12)),
    "audit": lambda fit: sf.audit(fit, ["llama-3-8b", "70B:1.4T"]),
    "compare_runs": lambda fit: sf.compare_runs(fit, "280B:300B", "70B:1.4T"),
    "fit_recipes": some_recipe_fits,
    "compare_recipes": a_recipe_comparison,
    "rules_of_thumb": lambda fit: sf.rules_of_thumb(fit, 1e22),
    "surface": lambda fit: sf.loss_surface(fit, np.geomspace(1e8, 1e10, 20), np.geomspace(1e9, 1e11, 9), prob=0.8),
    "least_input": lambda fit: sf.least_input(a_law_of_one_input(), 2.5),
    "reconcile": lambda fit: sf.reconcile(fit, discrepancy=False),
    "update": lambda fit: a_law_of_one_input().update({"params": [2e10, 4e10], "loss": [2.2, 2.17]}),
    "next_runs": lambda fit: sf.next_runs(fit, 1e22, spend=1e21),
    "forecast": a_forecast,
    "score": lambda fit: sf.score(a_forecast(fit), 2.3),
    "backtest": lambda fit: a_backtest(),
    "compare_laws": lambda fit: a_law_comparison(fit),
    "compare_methods": lambda fit: a_comparison(),
    "learn_discrepancy": lambda fit: a_learned_discrepancy(),
    "sbc": lambda fit: an_sbc(),
    "downstream": lambda fit: a_curve(),
    "pass@k": lambda fit: a_benchmark(),
    "compute curve": lambda fit: a_compute_curve(),
    "emergence": lambda fit: an_emergence(),
    "devices": lambda fit: sf.devices(),
}  # fmt: skip


@pytest.fixture(scope="module")
def made(small_fit):
    """Results by name, each computed once."""
    return lru_cache(lambda name: MAKERS[name](small_fit))


@pytest.fixture(scope="module", params=MAKERS)
def result(request, made):
    return made(request.param)


class Tags(HTMLParser):
    """Raises where tags are not nested; counts rows and keeps the texts."""

    def __init__(self, source):
        super().__init__()
        self.open, self.rows, self.texts = [], 0, []
        self.feed(source)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.rows += tag == "tr"

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_no_result_of_the_package_is_missing_here():
    def every(kind):
        return {sub for direct in kind.__subclasses__() for sub in (direct, *every(direct))}

    loaded = [getattr(sf, name) for name in sf.__all__]
    names = {kind.__name__ for kind in every(Result) if kind.__module__.startswith("scalefit.")}
    assert len(loaded) > len(names) == len(MAKERS), names


def test_a_headline_is_one_sentence(result):
    words = result.headline()
    assert words.endswith(".")
    assert not re.search(r"[.!?] [A-Z]", words[:-1])
    assert "\n" not in words
    assert "nan" not in words.lower().split()
    assert len(words) < 330


def test_a_repr_is_the_headline_and_a_short_table(result):
    assert type(result).__repr__ is Result.__repr__, "dataclass(repr=False)"
    first, blank, *lines = repr(result).split("\n")
    assert (first, blank) == (result.headline(), "")
    assert 2 <= len(lines) < 50
    assert len(repr(result)) < 2500
    assert "array(" not in repr(result)


def test_html_has_the_same_table_and_nothing_unescaped(result):
    source = result._repr_html_()
    found = Tags(source)
    assert "".join(found.texts).strip().startswith(result.headline())
    assert 2 <= found.rows <= 17
    assert "<b>" not in source


def test_latex_is_a_table_with_rules_and_balanced_braces(result):
    source = result.to_latex(prob=0.8)
    body = source.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().split("\n")
    columns = len(re.match(r"\\begin{tabular}{(l?r+)}", source)[1])
    assert r"\toprule" in source
    assert source.endswith(r"\end{tabular}")
    unescaped = re.sub(r"\\[{}&%$#_]", "", source)
    assert unescaped.count("{") == unescaped.count("}")
    assert unescaped.count("$") % 2 == 0
    assert all(re.sub(r"\\&", "", line).count("&") == columns - 1 for line in body)
    assert not re.search(r"(?<!\\)[%#]|(?<![\\$}\w])_", re.sub(r"\$[^$]*\$", "", source)), "special characters"


def test_latex_has_the_interval_under_its_value(small_fit):
    front = small_fit.frontier(1e22)
    value, under = front.to_latex(prob=0.5).split(r"\midrule")[1].strip().split("\n")[:2]
    table = front.summary(prob=0.5)["params"].iloc[0]
    middle, lower, upper = written(table[["median", "lower", "upper"]].to_numpy(), format_count)
    assert middle in value
    assert rf"{{\scriptsize [{lower}, {upper}]}}" in under
    with pytest.raises(sf.OptionError, match="prob"):
        front.to_latex(prob=90)


def test_summaries_are_the_tables_that_are_shown(small_fit):
    plan = sf.plan(small_fit, 1e22)
    assert list(plan.summary().index)[:2] == ["loss", "loss_one_run"]
    assert plan.summary().index.name == "quantity"
    ends = plan.summary().loc["N_opt", ["median", "lower", "upper"]].to_numpy()
    assert "{} [{}, {}]".format(*written(ends, format_count)) in repr(plan)
    assert small_fit.frontier(1e22).summary().columns.nlevels == 2


# Reprs cost nothing


def test_the_repr_of_a_fit_computes_nothing(small_fit, quick):
    fit = sf.fit(small_fit.runs, engine=quick)
    assert "N_opt" not in repr(fit)
    assert "discrepancy_posterior" not in vars(fit)
    summary = fit.summary()
    label = at_budget("N_opt", "1e21")
    assert label in repr(fit), "computed already"
    assert "with discrepancy" in repr(fit)
    assert written(summary.loc[label, ["median", "lower", "upper"]].to_numpy(float), format_count)[0] in repr(fit)


def test_a_repr_takes_no_pandas():
    code = (
        "import numpy as np, sys; from scalefit.validation import SBC;"
        "repr(SBC({'E': np.arange(30) % 20}, 19, 30, {}, np.full(30, 99.0)));"
        "print('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_a_point_estimate_has_no_interval(point_fit):
    assert "[" not in point_fit().headline()
    assert "point estimate" in point_fit().headline()
    assert "[" not in point_fit().frontier(1e22).headline()


# Names in xarray

VARIABLES = {
    "frontier": {"params": ("draw", "budget"), "loss": ("draw", "budget")},
    "plan": {"loss": ("draw",), "regret": ("draw",)},
    "target": {"budget": ("draw",), "N_opt": ("draw",)},
    "lifetime": {"total": ("draw",), "size_tokens": ("draw", "size")},
    "audit": {"wasted_compute": ("draw", "model")},
    "compare_runs": {"difference": ("draw",)},
    "rules_of_thumb": {"regret": ("draw", "rule"), "params": ("rule",)},
    "surface": {"median": ("params", "tokens")},
    "reconcile": {"a": ("counting", "draw"), "slope": ("counting", "draw", "size")},
}


@pytest.mark.parametrize("name", VARIABLES)
def test_xarray_has_names_coordinates_and_units(name, made, tmp_path):
    found = made(name).to_xarray()
    assert {variable: found[variable].dims for variable in VARIABLES[name]} == VARIABLES[name]
    assert set(found.dims) <= set(found.coords)
    assert all({"units", "long_name"} <= set(variable.attrs) for variable in found.data_vars.values())
    found.to_netcdf(tmp_path / "found.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "found.nc", engine="h5netcdf") as stored:
        xr.testing.assert_equal(stored, found)


def test_units_follow_the_cost(small_fit, made):
    frontier = made("frontier").to_xarray()
    assert frontier["budget"].attrs["units"] == "FLOP"
    assert frontier["params"].attrs["units"] == "parameters"
    assert frontier["loss"].attrs["units"] == "nats per token"
    assert frontier.attrs["discrepancy"] == 1
    assert made("plan").to_xarray()["wasted_compute"].attrs["units"] == "1"
    paid = sf.lifetime(small_fit, "7B", sf.costs.Lifetime.in_money(2e12, training=sf.Machines()))
    assert paid.to_xarray()["total"].attrs["units"] == "$"
    assert "$" in repr(paid)


def test_predictions_with_labels(small_fit):
    runs = {"params": [1e9, 2e9, 4e9], "tokens": [1e11, 2e11, 3e11]}
    bare, found = small_fit.predict(runs), small_fit.predict(runs, labelled=True)
    assert isinstance(found, xr.DataArray)
    assert (found.name, found.dims) == ("loss", ("draw", "run"))
    np.testing.assert_array_equal(found.values, bare)
    np.testing.assert_array_equal(found["params"], runs["params"])
    assert found["tokens"].attrs["units"] == "tokens"
    assert found.attrs == {"units": "nats per token", "long_name": "loss of one run, noise included", "noise": 1,
                           "discrepancy": 1}  # fmt: skip
    alone = small_fit.predict(runs, noise=False, discrepancy=False, labelled=True)
    assert (alone.attrs["noise"], alone.attrs["discrepancy"], alone.attrs["long_name"]) == (0, 0, "expected loss")
