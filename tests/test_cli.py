"""The command line as a user meets it: what it prints, what it returns, what it leaves behind."""

import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import simulated

import scalefit as sf
from scalefit.cli import _show


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "runs.csv"
    runs = simulated()
    lines = [f"{n:.10g},{d:.10g},{y:.6g}" for n, d, y in zip(runs.params, runs.tokens, runs.loss, strict=True)]
    path.write_text("\n".join(["size,seen,final_loss", *lines]))
    return path


def test_fit_prints_a_table_and_plain_words(run, tmp_path):
    code, out, _ = run("fit", "chinchilla", "--budget", "5.76e23", "-o", tmp_path / "chin.nc")
    assert code == 0
    for words in ("240 runs", "E + A/N^alpha + B/D^beta", "ess_bulk", "alpha", "N_opt[5.76e23]", "health: ok"):
        assert words in out
    flat = " ".join(out.split())
    assert "At 1.3e22 FLOP the optimum is" in flat
    assert "With the law's own error, which the table leaves out: at 5.76e23 FLOP the optimum is" in flat
    assert "44 times the compute of the largest run: an extrapolation" in flat
    assert sf.load(tmp_path / "chin.nc").health.verdict == "ok"


def test_fit_json_is_one_document_that_agrees_with_the_api(run, chinchilla_fit):
    code, out, err = run("fit", "chinchilla", "--json", "--budget", "5.76e23")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert document["runs"] == 240
    assert document["health"]["verdict"] == "ok"
    expected = chinchilla_fit.summary(budgets=[chinchilla_fit.compute_range[1], 5.76e23])
    assert set(document["summary"]) == set(expected.index)
    for name in ("alpha", "N_opt[5.76e23]"):
        assert document["summary"][name]["median"] == pytest.approx(expected.loc[name, "median"], rel=1e-12)


def test_columns_can_be_named(run, table):
    code, out, _ = run("fit", table, "--params", "size", "--tokens", "seen", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["noise"] == "student-t"
    assert "6 N D" in document["notes"][0]
    assert document["summary"]["alpha"]["lower"] < 0.3478 < document["summary"]["alpha"]["upper"]


def test_a_law_without_an_allocation_is_fitted_and_written(run, tmp_path):
    code, out, _ = run("fit", "chinchilla", "--law", "kaplan-n", "--engine", "huber", "-o", tmp_path / "fit.nc")
    assert code == 0
    assert "optimum" not in out
    assert sf.load(tmp_path / "fit.nc").model.law.name == "kaplan-n"


def test_failing_health_exits_with_1_and_still_writes(run, tmp_path):
    params = np.geomspace(1e8, 1e10, 80)
    x = {"params": params, "tokens": 20 * params}
    loss = sf.Model().simulate({"E": 1.8, "A": 482, "B": 2085, "alpha": 0.35, "beta": 0.37, "sigma": 0.004, "nu": 4}, x)
    lines = [f"{n},{20 * n},{y}" for n, y in zip(params, loss, strict=True)]
    (tmp_path / "ray.csv").write_text("\n".join(["N,D,loss", *lines]))
    code, out, _ = run("fit", tmp_path / "ray.csv", "-o", tmp_path / "ray.nc", "--engine", "huber")
    assert code == 1
    assert "health: fail" in out
    assert "not identified" in " ".join(out.split())
    assert sf.load(tmp_path / "ray.nc").health.verdict == "fail"


def test_plan_says_how_far_it_extrapolates_before_anything_else(run, saved):
    code, out, _ = run("plan", saved, "--budget", "1e23")
    assert code == 0
    assert out.startswith("1e23 FLOP is 100 times the compute of the largest run: an extrapolation.")
    assert "Train " in out
    assert "wasted_compute" in out
    _, inside, _ = run("plan", saved, "--budget", "1e20")
    assert inside.startswith("Train ")


def test_plan_json(run, saved, small_fit):
    document = json.loads(run("plan", saved, "--budget", "5.76e23", "--json")[1])
    plan = sf.plan(small_fit, 5.76e23)
    assert document["params"] == pytest.approx(plan.params)
    assert document["near_optimal_params"]["upper"] == pytest.approx(plan.near_optimal[1])
    assert document["summary"]["loss"]["lower"] < document["loss"] < document["summary"]["loss"]["upper"]
    assert "extrapolation" in document["caution"]


def test_frontier_table_json_and_picture(run, saved, small_fit, tmp_path):
    code, out, _ = run("frontier", saved, "--budgets", "1e20:1e22:3", "--plot", tmp_path / "front.png")
    assert code == 0
    assert "1e21" in out
    assert (tmp_path / "front.png").stat().st_size > 10_000
    document = json.loads(run("frontier", saved, "--budgets", "1e20:1e22:3", "--json")[1])
    rows = document["frontier"]
    assert [row["flops"] for row in rows] == pytest.approx([1e20, 1e21, 1e22])
    assert document["kind"] == "form"
    assert rows[1]["params_median"] == pytest.approx(np.median(small_fit.frontier([1e20, 1e21, 1e22]).params[:, 1]))
    caution = json.loads(run("frontier", saved, "--budgets", "1e17:1e22:2", "--kind", "mean", "--json")[1])["caution"]
    assert "smallest run: an extrapolation" in caution
    assert "largest run: an extrapolation" in caution
    _, law, _ = run("frontier", saved, "--budgets", "1e21", "--kind", "mean", "--json")
    asked = json.loads(law)["frontier"][0]["params_median"]
    assert asked == pytest.approx(np.median(small_fit.frontier([1e21], kind="mean").params))


def test_laws_and_data_tell_their_sources(run):
    code, out, _ = run("laws")
    assert code == 0
    assert "chinchilla: L(N, D) = E + A/N^alpha + B/D^beta" in out
    assert "LogNormal" in out
    assert "2404.10102" in out
    document = {law["name"]: law for law in json.loads(run("laws", "--json")[1])}
    assert len(document) == 15
    assert document["chinchilla"]["published"][0]["values"]["alpha"] == 0.3478
    code, out, _ = run("data")
    assert "Muennighoff" in out
    assert json.loads(run("data", "chinchilla", "--json")[1])[0]["name"] == "chinchilla"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "nowhere.csv"], "no file nowhere.csv"),
        (["fit", "nowhere"], "no shipped table 'nowhere'"),
        (["fit", "chinchilla", "--law", "nolaw"], "no law 'nolaw'"),
        (["fit", "chinchilla", "--engine", "magic"], "no engine 'magic'"),
        (["fit", "chinchilla", "--noise", "pink"], "no noise 'pink'"),
        (["fit", "chinchilla", "--prob", "90"], "between 0 and 1"),
        (["fit", "chinchilla", "--budget", "lots"], "cannot read 'lots'"),
        (["fit", "chinchilla", "--params", "nope"], "no column 'nope' for params"),
        (["fit", "chinchilla", "-o", "no/such/folder/fit.nc"], "there is no folder"),
        (["fit", "hoffmann_tables"], "not runs"),
        (["plan", "absent.nc", "--budget", "1e21"], "no file absent.nc"),
        (["fit", "nowhere.csv", "--outliers", "keep"], "--outliers is for shipped tables"),
        (["fit", "chinchilla", "-o", "."], "it is a folder"),
        (["data", "nope"], "choose from chinchilla"),
        (["count", "lama-3-8b"], "did you mean llama-3-8b"),
        (["count", "gpt2", "--layers", "3"], "published with its layers"),
        (["count", "--width", "128"], "needs --layers and --width"),
        (["count", "--layers", "2", "--width", "128", "--style", "gpt", "--tied"], "a gpt shape has no tied"),
        (["count", "--layers", "2", "--width", "128", "--style", "bert"], "no style 'bert'"),
        (["count", "--layers", "-2", "--width", "128"], "positive whole number"),
        (["count", "gpt2", "--tokens", "0"], "positive number, as in 15T"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_sentence_and_exit_2(run, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert words in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_fit_never_overwrites_its_table(run, table):
    before = table.read_bytes()
    code, _, err = run("fit", table, "--params", "size", "--tokens", "seen", "-o", table)
    assert code == 2
    assert "is what is being read" in err
    assert table.read_bytes() == before


def test_numbers_that_are_not_finite_become_null_in_json(capsys):
    _show.print_json({"a": [1.0, float("nan")], "b": {"c": np.inf, "d": np.float64(2), "e": True, "f": None}})
    assert json.loads(capsys.readouterr().out) == {"a": [1.0, None], "b": {"c": None, "d": 2.0, "e": True, "f": None}}


def test_what_nobody_foresaw_is_still_one_sentence(run, monkeypatch):
    monkeypatch.setattr(sf.datasets, "load", lambda *_: 1 / 0)
    code, _, err = run("fit", "chinchilla")
    assert code == 2
    assert "unexpected ZeroDivisionError" in err


def test_usage_errors_exit_with_2(run):
    assert run("plan")[0] == 2
    assert run("fit", "chinchilla", "--nonsense")[0] == 2


def test_bad_rows_reach_the_user(run, tmp_path):
    (tmp_path / "bad.csv").write_text("N,D,loss\n1e8,2e9,3\n1e8,x,2.9\n3e8,1e9,nan\n")
    code, _, err = run("fit", tmp_path / "bad.csv")
    assert code == 2
    assert "row 2: tokens is text ('x')" in err
    assert "row 3: loss is missing" in err


def test_the_installed_command_works_from_another_folder(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "scalefit.cli", "data", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert {entry["name"] for entry in json.loads(done.stdout)} == set(sf.datasets.names())


def test_count_prints_components_and_every_rule(run):
    code, out, _ = run("count", "llama-3-8b", "--tokens", "15T")
    assert code == 0
    for words in ("8,030,261,248", "unembedding", "525,336,576", "megatron-recompute", "7.23e23"):
        assert words in out
    document = json.loads(run("count", "llama-3-8b", "--tokens", "15T", "--json")[1])
    assert sum(document["components"].values()) == document["params"]["total"] == 8_030_261_248
    assert document["flops"]["6nd"] == pytest.approx(6 * 8_030_261_248 * 15e12)
    assert set(document["flops"]) == set(sf.counting.RULES)


def test_count_takes_a_shape_of_ones_own_and_lists_the_published(run):
    own = ["--layers", 32, "--width", 4096, "--kv-heads", 8, "--mlp", 14336, "--vocabulary", 128256]
    document = json.loads(run("count", *own, "--context", 8192, "--json")[1])
    published = json.loads(run("count", "llama-3-8b", "--json")[1])
    assert {**document, "name": ""} == {**published, "name": ""}
    gpt2 = json.loads(run("count", "--style", "gpt", "--layers", 12, "--width", 768, "--heads", 12, "--json")[1])
    assert gpt2["params"]["total"] == 124_439_808
    _, out, _ = run("count")
    assert all(name in out for name in sf.counting.ARCHITECTURES)
    assert len(json.loads(run("count", "--json")[1])) == len(sf.counting.ARCHITECTURES)
