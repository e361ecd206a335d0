"""Registered forecasts: what is kept, what is refused, and scores that are those of a backtest."""

import copy
import json
import re
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from conftest import simulated
from scipy import stats

import scalefit as sf
from scalefit.validation._schema import first_fault
from scalefit.validation.forecast_file import digest_of, schema
from scalefit.validation.quantiles import LEVELS, Quantiles
from scalefit.validation.scores import crps, crps_of_quantiles, inside, log_losses, pit

RUNS = {"params": [1e9, 2e9], "tokens": [2e10, 8e10]}
LONGEST = 400  # characters of a sentence


@pytest.fixture(scope="module")
def forecast(small_fit):
    return sf.register(small_fit, RUNS, note="before the run")


@pytest.fixture
def file(forecast, tmp_path):
    return forecast.save(tmp_path / "forecast.json")


def refused(path, match=None):
    with pytest.raises(sf.StorageError, match=match) as refusal:
        sf.score(path, [2.3, 2.2])
    assert len(str(refusal.value)) - len(str(path)) < LONGEST
    assert "\n" not in str(refusal.value)


def sealed(path, change):
    """A file with an edit and the digest of what it then has, as only ill will makes it."""
    document = json.loads(path.read_text())
    change(document)
    document["digest"] = digest_of(document)
    path.write_text(json.dumps(document))


# What is kept


def test_a_file_has_all_of_a_forecast(forecast, file, small_fit):
    document = json.loads(file.read_text())
    jsonschema.validate(document, schema())
    again = sf.read_forecast(file)
    assert again.digest == forecast.digest == document["digest"] == digest_of(document)
    assert repr(again) == repr(forecast)
    assert list(forecast.predictions) == ["registered", "law only", "point"]
    assert document["data"]["sha256"] == small_fit.runs.fingerprint
    assert document["note"] == "before the run"
    expected = small_fit.predict(RUNS)
    np.testing.assert_allclose(
        [run["forecasts"]["registered"]["one_run"]["interval_90"] for run in document["runs"]],
        np.quantile(expected, [0.05, 0.95], axis=0).T,
        rtol=1e-8,
    )
    plan = sf.plan(small_fit, float(forecast.flops[1]))
    assert document["plan"]["params"] == pytest.approx(plan.params, rel=1e-6)


def test_the_same_forecast_has_the_same_digest_whatever_its_layout(forecast, file, small_fit):
    again = sf.register(small_fit, RUNS, note="before the run")
    assert again.digest == forecast.digest
    assert replace(again, about={**again.about, "seed": 1}).digest != forecast.digest
    document = json.loads(file.read_text())
    file.write_text(json.dumps(document, indent=4, sort_keys=True))
    assert sf.read_forecast(file).digest == forecast.digest
    published = forecast.digest[:16]
    assert sf.score(file, [2.3, 2.2], digest=published.upper()).digests == {"forecast": forecast.digest}
    with pytest.raises(sf.StorageError, match="published"):
        sf.score(file, [2.3, 2.2], digest="0" * 64)
    with pytest.raises(sf.OptionError, match="12"):
        sf.score(file, [2.3, 2.2], digest="ab")


def test_a_plan_a_point_and_a_law_of_one_input_can_be_registered(small_fit, point_fit):
    point = sf.register(point_fit(), sf.plan(point_fit(), 1e22, max_params="1B"))
    assert list(point.predictions) == ["registered"]
    assert point.inputs["params"] == pytest.approx([1e9], rel=1e-6)
    assert "at most 1B" in point.about["plan"]["constraints"]
    assert point.document()["runs"][0]["forecasts"]["registered"]["expected"] is None
    assert sf.score(point, 2.3).predictors == ["registered"]
    params = np.geomspace(1e8, 1e10, 12)
    table = {"params": params, "loss": 2 + (params / 1e8) ** -0.3}
    one = sf.register(sf.fit(table, sf.Model("power-law(input=params)"), engine=sf.MAP()), {"params": [1e11]})
    assert one.about["plan"] is None
    assert np.isnan(one.flops).all()
    jsonschema.validate(one.document(), schema())


def test_runs_that_cannot_be_forecast_are_refused(small_fit):
    with pytest.raises(sf.DataError, match="tokens"):
        sf.register(small_fit, {"params": [1e9]})
    with pytest.raises(sf.DataError, match="takes no"):
        sf.register(small_fit, RUNS, bits=8)


# What is refused


@pytest.mark.parametrize(
    "change",
    {
        "a quantile": lambda d: d["runs"][0]["forecasts"]["registered"]["one_run"]["quantiles"].__setitem__(0, 1.0),
        "an interval": lambda d: d["runs"][1]["forecasts"]["point"]["one_run"].__setitem__("interval_90", [1, 9]),
        "a run": lambda d: d["runs"].pop(),
        "an input": lambda d: d["runs"][0]["inputs"].__setitem__("params", 1.1e9),
        "the seed": lambda d: d.__setitem__("seed", 1),
        "the plan": lambda d: d["plan"].__setitem__("params", 1e9),
        "the health": lambda d: d["health"].__setitem__("verdict", "fail"),
        "the note": lambda d: d.__setitem__("note", "after the run"),
        "the digest": lambda d: d.__setitem__("digest", "0" * 64),
        "no digest": lambda d: d.pop("digest"),
    }.items(),
    ids=lambda change: change[0],
)
def test_every_change_is_noticed(file, change):
    document = json.loads(file.read_text())
    change[1](document)
    file.write_text(json.dumps(document))
    refused(file, "digest")


def quantiles(document):
    return document["runs"][0]["forecasts"]["registered"]["one_run"]["quantiles"]


@pytest.mark.parametrize(
    "change",
    {
        "no runs": lambda d: d.__setitem__("runs", []),
        "runs that are none": lambda d: d.__setitem__("runs", [1]),
        "an entry too many": lambda d: d.__setitem__("more", 1),
        "an entry too few": lambda d: d.pop("health"),
        "a forecast too few": lambda d: d["runs"][1]["forecasts"].pop("point"),
        "an input too few": lambda d: d["runs"][1]["inputs"].pop("params"),
        "another verdict": lambda d: d["health"].__setitem__("verdict", "superb"),
        "a loss below zero": lambda d: quantiles(d).__setitem__(0, -1.0),
        "a quantile too few": lambda d: quantiles(d).pop(),
        "quantiles that fall": lambda d: quantiles(d).reverse(),
        "a text for a number": lambda d: quantiles(d).__setitem__(0, "2"),
        "a truth for a number": lambda d: quantiles(d).__setitem__(0, True),
        "a number that is no float": lambda d: quantiles(d).__setitem__(0, 10**400),
        "other levels": lambda d: d["levels"].__setitem__(0, 0.002),
        "intervals of their own": lambda d: d["runs"][0]["forecasts"]["registered"]["one_run"].update(median=9.0),
        "places that fall": lambda d: d["runs"][0]["forecasts"]["registered"]["density"]["loss"].reverse(),
        "a seed below zero": lambda d: d.__setitem__("seed", -1),
        "another format": lambda d: d.__setitem__("format", "scalefit fit"),
        "a format to come": lambda d: d.__setitem__("format_version", 2),
        "a data digest of words": lambda d: d["data"].__setitem__("sha256", "the same"),
    }.items(),
    ids=lambda change: change[0],
)
def test_a_file_of_ill_will_is_refused(file, change):
    sealed(file, change[1])
    refused(file)


def test_the_seal_of_these_tests_is_the_right_one(file):
    sealed(file, lambda document: document.__setitem__("note", "another"))
    assert sf.read_forecast(file).about["note"] == "another"


def test_what_is_no_json_of_a_forecast_is_refused(file, tmp_path):
    text = file.read_text()
    contents = {
        "empty": b"",
        "half": text[: len(text) // 2].encode(),
        "letters": b"\xff\xfe{}",
        "list": b"[1, 2]",
        "nan": re.sub(r'"seed": \d+', '"seed": NaN', text).encode(),
        "endless": re.sub(r'"seed": \d+', '"seed": 1e999', text).encode(),
        "digits": re.sub(r'"seed": \d+', f'"seed": {"9" * 5000}', text).encode(),
        "twice": text.replace('"note":', '"seed": 0,\n"note":').encode(),
        "deep": b"[" * 200_000,
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name)
    refused(tmp_path / "absent.json", "No such file")
    (tmp_path / "folder").mkdir()
    with pytest.raises(sf.StorageError, match="no forecast"):
        sf.score(tmp_path / "folder", 2.0)
    with pytest.raises(sf.StorageError, match="cannot write"):
        sf.read_forecast(file).save(tmp_path / "absent" / "f.json")


def test_the_reader_and_json_schema_agree(forecast):
    """Each entry in turn is taken out or replaced; the schema uses no word that the reader does not know."""
    known = {"type", "enum", "properties", "required", "additionalProperties", "items", "minItems", "maxItems"}
    known |= {"anyOf", "$ref", "$defs", "$schema", "title", "description", "exclusiveMinimum", "minimum", "maximum"}

    def words(node, names=False):
        for key, value in node.items() if isinstance(node, dict) else ():
            if not names:
                yield key
            yield from words(value, names=not names and key in ("properties", "$defs"))
        for value in node if isinstance(node, list) else ():
            yield from words(value)

    assert set(words(schema())) <= known | {"pattern"}
    validator = jsonschema.Draft202012Validator(schema())
    document, rng = forecast.document(), np.random.default_rng(0)
    document["runs"] = document["runs"][:1]
    document["runs"][0]["forecasts"] = {"registered": document["runs"][0]["forecasts"]["registered"]}
    found = []
    for _ in range(60):
        broken = copy.deepcopy(document)
        node = broken
        while True:
            key = rng.choice(list(node)) if isinstance(node, dict) else int(rng.integers(len(node)))
            if not isinstance(node[key], dict | list) or not node[key] or rng.random() < 0.1:
                break
            node = node[key]
        node[key] = [None, True, -1, "x", [], {}, 0.5][rng.integers(7)]
        found.append((validator.is_valid(broken), not first_fault(broken, schema(), schema())))
    assert [ours for _, ours in found] == [theirs for theirs, _ in found]
    assert len(set(found)) == 2, "some are valid, some are not"


# Scores


def test_scores_are_those_of_the_draws(small_fit):
    """PIT to less than the 500th of a draw's, coverage the same, and CRPS and log score as a backtest has them."""
    held = simulated(seed=3, budgets=4, sizes=5)
    inputs = {"params": held.params, "tokens": held.tokens}
    found = Quantiles.of(small_fit, inputs, False, small_fit.seed)
    scores = [found.scores(run, loss) for run, loss in enumerate(held.loss)]
    draws = log_losses(small_fit.predict(held, discrepancy=False))
    assert abs(np.array([each["pit"] for each in scores]) - pit(draws, np.log(held.loss))).max() < 0.003
    np.testing.assert_allclose([each["crps"] for each in scores], crps(draws, np.log(held.loss)), rtol=0.01)
    np.testing.assert_allclose([-each["log_score"] for each in scores], small_fit.log_density(held, False), atol=0.05)
    exact = inside(pit(draws, np.log(held.loss)), 0.9)
    assert sum([each["inside_90"] for each in scores] != exact) <= 1
    far = found.scores(0, 2 * held.loss[0])
    assert far["pit"] > 0.999
    assert far["log_score"] > 10


def test_crps_of_quantiles_is_the_closed_form():
    """Of a normal (Gneiting and Raftery 2007, equation 22), but for the mass beyond the outermost quantiles."""
    quantiles = stats.norm.ppf(LEVELS)
    for z in (0.0, 1.0, 3.0):
        exact = z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi)
        assert crps_of_quantiles(quantiles, LEVELS, z) == pytest.approx(exact, rel=2e-3)


def test_outcomes_of_the_forecast_itself_are_covered(small_fit, forecast):
    """400 outcomes of the predictive: coverage within its 99.9 % range, which half the width falls out of."""
    outcomes = small_fit.predict(RUNS, seed=5)[:400, 0]
    found = forecast.predictions["registered"]
    scores = [found.scores(0, loss) for loss in outcomes]
    for prob, name in ((0.5, "inside_50"), (0.9, "inside_90")):
        low, high = stats.binom(400, prob).ppf([0.0005, 0.9995])
        assert low <= sum(each[name] for each in scores) <= high
    halved = abs(np.array([each["pit"] for each in scores]) - 0.5) <= stats.norm.cdf(1.645 / 2) - 0.5
    assert halved.sum() < stats.binom(400, 0.9).ppf(0.0005)


def test_outcomes_find_their_forecasts(forecast, file):
    in_order = sf.score(file, [2.3, 2.2])
    table = {"params": [2.01e9, 5e9, 1e9], "tokens": [8e10, 1e11, 1.99e10], "loss": [2.2, 2.1, 2.3]}
    by_inputs = sf.score(forecast, table)
    mine = in_order.frame().drop(columns="forecast").sort_values(["predictor", "run"]).reset_index(drop=True)
    theirs = by_inputs.frame().drop(columns="forecast").sort_values(["predictor", "run"]).reset_index(drop=True)
    assert mine.equals(theirs)
    assert by_inputs.open == 0
    one = sf.score({"forecast": forecast}["forecast"], {"params": [1e9], "tokens": [2e10], "loss": [2.3]})
    assert one.open == 1
    assert "lies" in one.headline()
    for outcomes, error in (
        ([2.3], sf.DataError),
        (2.3, sf.DataError),
        ([2.3, -1.0], sf.DataError),
        ([2.3, float("nan")], sf.DataError),
        ({"params": [9e9], "tokens": [2e10], "loss": [2.3]}, sf.DataError),
        (sf.Runs({**RUNS, "loss": [0.9, 0.8]}, unit="bits per byte"), sf.DataError),
    ):
        with pytest.raises(error):
            sf.score(forecast, outcomes)


def test_a_folder_is_scored_together(forecast, small_fit, tmp_path):
    """Coverage over forecasts, its error by table; other JSON files are passed over, an altered one is refused."""
    forecast.save(tmp_path / "a.json")
    other = replace(forecast, about={**forecast.about, "data": {**forecast.about["data"], "sha256": "0" * 64}})
    other.save(tmp_path / "b.json")
    (tmp_path / "notes.json").write_text('{"a": 1}')
    medians = forecast.predictions["registered"].interval(0.9)[0]
    found = sf.score(tmp_path, {"a": list(medians), "b": list(3 * medians)})
    row = found.summary().loc["registered"]
    assert (row["runs"], row["cover_90"]) == (4, 0.5)
    assert row["cover_90_se"] == pytest.approx(0.5)
    assert "2 of 4 losses" in found.headline()
    table = {**RUNS, "loss": list(medians)}
    assert sf.score(tmp_path, table).summary().loc["registered", "runs"] == 4, "both forecasts are of these runs"
    (tmp_path / "b.json").write_text((tmp_path / "b.json").read_text().replace('"seed": 0', '"seed": 1'))
    refused(tmp_path, "digest")


# The command line


def test_register_and_score_on_the_command_line(run, saved, tmp_path):
    path = tmp_path / "f.json"
    code, out, _ = run("register", saved, "--params", "1B,2B", "--tokens", "20B,80B", "-o", path, "--law-only")
    assert code == 0
    forecast = sf.read_forecast(path)
    assert forecast.digest in out
    assert list(forecast.predictions) == ["registered", "point"]
    document = json.loads(run("register", saved, "--params", "1B", "--tokens", "20B", "-o", path, "--json")[1])
    assert document["digest"] == sf.read_forecast(path).digest
    median = document["runs"][0]["loss_one_run_median"]
    code, out, _ = run("score", path, "--loss", f"{median:.5f}", "--digest", document["digest"])
    assert code == 0
    assert "inside the 50% interval" in " ".join(out.split())
    found = json.loads(run("score", tmp_path, "--loss", "9", "--json")[1])
    assert [record["inside_90"] for record in found["records"]] == [False] * 3
    assert "beyond all registered quantiles" in found["words"]
    assert "beyond" not in out
    assert "tokens" in run("register", saved, "--params", "1B", "--tokens", "-5")[2]
    (tmp_path / "out.csv").write_text("N,D,loss\n1e9,2e10,2.3\n")
    assert "JSON" in run("score", tmp_path / "out.csv", "--loss", "2")[2]
    assert run("score", path, "--outcomes", tmp_path / "out.csv")[0] == 0
    for arguments in (
        ("score", path),
        ("score", path, "--loss", "2", "--outcomes", tmp_path / "out.csv"),
        ("score", path, "--loss", "2", "--digest", "0" * 64),
        ("register", saved),
        ("register", saved, "--budget", "1e22", "--params", "1B"),
        ("register", saved, "--params", "1B", "--tokens", "20B", "-o", saved),
    ):
        code, _, err = run(*arguments)
        assert code == 2
        assert len(err.strip().splitlines()) == 1


@pytest.mark.slow
def test_registered_forecasts_score_as_the_backtest_does(chinchilla):
    """The same fit by both ways: PIT, coverage, CRPS and log score of the 104 larger runs."""
    train = chinchilla.flops <= 1e20
    tested = sf.backtest(chinchilla, engines={"posterior": sf.Auto()}, holdout=sf.above_compute(1e20), progress=False)
    fit = sf.fit_many([chinchilla.subset(train)], progress=False)[0]
    held = chinchilla.subset(~train)
    found = sf.score(sf.register(fit, {"params": held.params, "tokens": held.tokens}), list(held.loss)).frame()
    for label, name in (("registered", "posterior"), ("law only", "posterior, law only")):
        mine, theirs = found[found["predictor"] == label], tested.chosen(name)
        records = {score: values[theirs] for score, values in tested.records.items()}
        assert np.abs(mine["pit"].to_numpy() - records["pit"]).max() < 0.005
        assert (mine["inside_90"].to_numpy() != inside(records["pit"], 0.9)).sum() <= 2
        assert mine["crps"].mean() == pytest.approx(records["crps"].mean(), rel=0.005)
        assert mine["log_score"].mean() == pytest.approx(records["log_score"].mean(), abs=0.02)
