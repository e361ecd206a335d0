"""The command line as a user meets it: what it prints, what it returns, what it leaves behind."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time

import jsonschema
import numpy as np
import pytest
from conftest import simulated

import scalefit as sf
from scalefit.cli import _app, _choices, _show, schema

COMMAND = [sys.executable, "-m", "scalefit"]
COMMANDS = [
    ["fit"], ["fit-many"], ["merge"], ["predict"], ["plan"], ["next"], ["target"], ["lifetime"], ["audit"],
    ["frontier"],
    ["compare"], ["compare", "runs"], ["compare", "recipes"], ["compare", "laws"], ["compare", "methods"],
    ["register"], ["score"],
    ["backtest"], ["learn-discrepancy"], ["downstream"], ["count"], ["data"], ["laws"], ["devices"], ["schema"],
]  # fmt: skip


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "runs.csv"
    runs = simulated()
    lines = [f"{n:.10g},{d:.10g},{y:.6g}" for n, d, y in zip(runs.params, runs.tokens, runs.loss, strict=True)]
    path.write_text("\n".join(["size,seen,final_loss", *lines]))
    return path


def flat(text):
    return " ".join(text.split())


# fit


def test_fit_prints_the_law_and_then_the_answers(run, tmp_path):
    code, out, _ = run("fit", "chinchilla", "--budgets", "5.76e23", "-o", tmp_path / "chin.nc")
    assert code == 0
    law, answers = out.split("with discrepancy", 1)
    assert "E + A/N^alpha + B/D^beta" in law
    assert "law only" in law
    assert "r_hat" not in law  # of one weighted sample there is none
    for word in ("alpha", "ess_bulk", "ess_tail"):
        assert word in law
    for word in ("N_opt[5.76e23]", "health: ok", "extrapolation"):
        assert word in answers
    assert sf.load(tmp_path / "chin.nc").health.verdict == "ok"


def test_fit_json_agrees_with_the_api(run, chinchilla_fit):
    code, out, err = run("fit", "chinchilla", "--json", "--budgets", "5.76e23")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert document["runs"] == 240
    assert document["health"]["verdict"] == "ok"
    expected = chinchilla_fit.summary(budgets=[chinchilla_fit.compute_range[1], 5.76e23])
    assert set(document["summary"]) == set(expected.index)
    for name in ("alpha", "N_opt[5.76e23]"):
        assert document["summary"][name]["median"] == pytest.approx(expected.loc[name, "median"], rel=1e-12)
        assert document["summary"][name]["posterior"] == expected.loc[name, "posterior"]


def test_fit_by_the_law_only(run, table):
    options = ["--params", "size", "--tokens", "seen", "--engine", "huber"]
    code, out, _ = run("fit", table, *options, "--law-only")
    assert code == 0
    assert "with discrepancy" not in out
    document = json.loads(run("fit", table, *options, "--law-only", "--json")[1])
    assert {row["posterior"] for row in document["summary"].values()} == {"law only"}


def test_columns_can_be_named(run, table):
    code, out, _ = run("fit", table, "--params", "size", "--tokens", "seen", "--law-only", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["noise"] == "student-t"
    assert "6 N D" in document["notes"][0]
    assert document["summary"]["alpha"]["lower"] < 0.3478 < document["summary"]["alpha"]["upper"]


def test_a_law_without_an_allocation_is_fitted_and_asked(run, tmp_path):
    path = tmp_path / "fit.nc"
    code, out, _ = run("fit", "chinchilla", "--law", "kaplan-n", "--engine", "huber", "-o", path)
    assert code == 0
    assert "optimum" not in out
    fitted = sf.load(path)
    assert fitted.model.law.name == "kaplan-n"
    found = json.loads(run("predict", path, "--params", "1B,70B", "--json")[1])["predictions"]
    expected = fitted.predict({"params": [1e9, 70e9]}, noise=False)[0]
    assert [each["loss"]["median"] for each in found] == pytest.approx(expected)
    assert [each["inputs"] for each in found] == [{"params": 1e9}, {"params": 70e9}]
    assert "extrapolation" in run("predict", path, "--params", "70B")[1]


def test_failing_health_exits_with_1_and_still_writes(run, tmp_path):
    params = np.geomspace(1e8, 1e10, 80)
    x = {"params": params, "tokens": 20 * params}
    loss = sf.Model().simulate({"E": 1.8, "A": 482, "B": 2085, "alpha": 0.35, "beta": 0.37, "sigma": 0.004, "nu": 4}, x)
    lines = [f"{n},{20 * n},{y}" for n, y in zip(params, loss, strict=True)]
    (tmp_path / "ray.csv").write_text("\n".join(["N,D,loss", *lines]))
    code, out, _ = run("fit", tmp_path / "ray.csv", "-o", tmp_path / "ray.nc", "--engine", "huber")
    assert code == 1
    assert "health: fail" in out
    assert sf.load(tmp_path / "ray.nc").health.verdict == "fail"
    code, out, _ = run("plan", tmp_path / "ray.nc", "--budget", "1e22")
    assert code == 1
    assert "Train " in out


# predict


def test_predict_at_a_run_with_and_without_noise(run, saved, small_fit):
    code, out, _ = run("predict", saved, "--params", "1B", "--tokens", "20B", "--json")
    (found,) = json.loads(out)["predictions"]
    assert code == 0
    assert found["inputs"] == {"params": 1e9, "tokens": 20e9}
    assert found["optimum"] is None
    point = {"params": [1e9], "tokens": [20e9]}
    assert found["loss"]["upper"] == pytest.approx(np.quantile(small_fit.predict(point, noise=False), 0.95))
    assert found["loss_one_run"]["upper"] == pytest.approx(np.quantile(small_fit.predict(point), 0.95))
    law = json.loads(run("predict", saved, "--params", "1B", "--tokens", "20B", "--law-only", "--json")[1])
    assert law["discrepancy"] is False
    expected = small_fit.predict(point, noise=False, discrepancy=False)
    assert law["predictions"][0]["loss"]["median"] == pytest.approx(np.median(expected))


def test_predict_at_the_optimum_of_a_compute(run, saved, small_fit):
    found = json.loads(run("predict", saved, "--flops", "1e20:1e22:3", "--json")[1])["predictions"]
    front = small_fit.frontier([1e20, 1e21, 1e22])
    assert [each["inputs"]["flops"] for each in found] == pytest.approx([1e20, 1e21, 1e22])
    assert [each["optimum"]["params"]["median"] for each in found] == pytest.approx(np.median(front.params, axis=0))
    assert [each["loss"]["median"] for each in found] == pytest.approx(np.median(front.loss, axis=0))


def test_predict_completes_counts_and_reads_tables(run, saved, tmp_path):
    both = json.loads(run("predict", saved, "--params", "1B,2B", "--flops", "1.2e20", "--json")[1])["predictions"]
    assert [each["inputs"]["tokens"] for each in both] == pytest.approx([20e9, 10e9])
    (tmp_path / "new.csv").write_text("N,D\n1e9,2e10\n2e9,1e10\n")
    code, out, _ = run("predict", saved, "--runs", tmp_path / "new.csv")
    assert code == 0
    assert "2B" in out
    table = json.loads(run("predict", saved, "--runs", tmp_path / "new.csv", "--json")[1])["predictions"]
    assert [each["loss"] for each in table] == [each["loss"] for each in both]
    _, out, _ = run("predict", saved, "--params", "1B", "--tokens", "20B")
    assert "expected loss" in out


# A law's further inputs


FEW = ["--set", "unique_tokens=25e9"]


@pytest.fixture(scope="module")
def repeated(tmp_path_factory):
    """A fit of a law with a further input, by an engine that takes no time."""
    model, rng = sf.Model("data-constrained"), np.random.default_rng(0)
    theta = {"E": 1.8, "A": 482, "B": 2085, "alpha": 0.35, "beta": 0.37, "R_N": 5.0, "R_D": 15.0}
    theta |= {"sigma": 0.004, "nu": 4}
    x = {"params": np.exp(rng.uniform(18, 22, 90)), "tokens": np.exp(rng.uniform(21, 25, 90))}
    x["unique_tokens"] = x["tokens"] / np.exp(rng.uniform(0, 4, 90))
    runs = sf.Runs({**x, "loss": model.simulate(theta, x)})
    return sf.fit(runs, model, engine="huber").save(tmp_path_factory.mktemp("fit") / "repeated.nc")


def test_set_gives_a_law_its_further_inputs(run, repeated):
    fitted = sf.load(repeated)
    found = json.loads(run("frontier", repeated, "--budgets", "1e22", *FEW, "--json")[1])["frontier"][0]
    assert found["params_median"] == pytest.approx(np.median(fitted.frontier(1e22, unique_tokens=25e9).params))
    assert found["params_median"] != pytest.approx(np.median(fitted.frontier(1e22).params), rel=0.01)
    point = ["--params", "1B", "--tokens", "100B"]
    at = json.loads(run("predict", repeated, *point, *FEW, "--json")[1])["predictions"][0]
    assert at["inputs"] == {"params": 1e9, "tokens": 100e9, "unique_tokens": 25e9}
    code, _, err = run("predict", repeated, *point)
    assert code == 2
    assert "--set unique_tokens" in err


@pytest.mark.parametrize(
    ("question", "arguments"),
    [
        ("plan", ["plan", "FIT", "--budget", "1e21"]),
        ("next_runs", ["next", "FIT", "--budget", "1e21", "--spend", "1e20"]),
        ("target", ["target", "FIT", "--loss", "2.7"]),
        ("lifetime", ["lifetime", "FIT", "--quality", "1B", "--inference-tokens", "1T"]),
        ("audit", ["audit", "1B:100B", "--fit", "FIT"]),
        ("compare_runs", ["compare", "runs", "1B:100B", "2B:50B", "--fit", "FIT"]),
    ],
)
def test_set_reaches_every_question(run, repeated, monkeypatch, question, arguments):
    asked = {}

    def answer(*_, **options):
        asked.update(options)
        raise sf.QuestionError("asked")

    monkeypatch.setattr(sf, question, answer)
    assert run(*[repeated if part == "FIT" else part for part in arguments], *FEW)[0] == 2
    assert asked["unique_tokens"] == 25e9


@pytest.mark.parametrize(
    "wrong", ["unique=1e9", "unique_tokens", "unique_tokens=-1", "unique_tokens=few", "params=1e9"]
)
def test_set_refuses_what_is_no_further_input(run, repeated, wrong):
    code, out, err = run("frontier", repeated, "--set", wrong)
    assert (code, out) == (2, "")
    assert len(err.strip().splitlines()) == 1


# A table where a fit could stand


def test_a_table_is_fitted_first_and_a_note_says_so(run, monkeypatch, small_fit, table):
    asked = []
    monkeypatch.setattr(sf, "fit", lambda runs, **_: asked.append(runs.name) or small_fit)
    code, _, err = run("plan", "chinchilla", "--budget", "1e21")
    assert code == 0
    assert err.startswith("note: chinchilla is a table")
    assert [line[:6] for line in err.splitlines()] == ["note: ", "note: "]  # the second is the table's own
    assert run("frontier", "chinchilla", "--budgets", "1e21", "--json")[2] == ""
    table.write_text(table.read_text().replace("size,seen", "N,D"))
    assert run("predict", table, "--flops", "1e21")[0] == 0
    assert asked == ["chinchilla", "chinchilla", "runs.csv"]


def test_frontier_table_json_and_picture(run, saved, small_fit, tmp_path):
    code, out, _ = run("frontier", saved, "--budgets", "1e20:1e22:3", "--plot", tmp_path / "front.png")
    assert code == 0
    assert "1e21" in out
    assert (tmp_path / "front.png").stat().st_size > 10_000
    document = json.loads(run("frontier", saved, "--budgets", "1e20:1e22:3", "--json")[1])
    rows = document["frontier"]
    assert [row["flops"] for row in rows] == pytest.approx([1e20, 1e21, 1e22])
    assert document["discrepancy"] is True
    assert rows[1]["params_median"] == pytest.approx(np.median(small_fit.frontier([1e20, 1e21, 1e22]).params[:, 1]))
    law = json.loads(run("frontier", saved, "--budgets", "1e17:1e22:2", "--law-only", "--json")[1])
    assert law["caution"].count("extrapolation") == 2
    assert law["discrepancy"] is False
    expected = np.median(small_fit.frontier([1e17, 1e22], discrepancy=False).params, axis=0)
    assert [row["params_median"] for row in law["frontier"]] == pytest.approx(expected)


def test_laws_and_data_name_their_sources(run):
    code, out, _ = run("laws")
    assert code == 0
    assert "chinchilla: L(N, D) = E + A/N^alpha + B/D^beta" in out
    assert "2404.10102" in out
    document = {law["name"]: law for law in json.loads(run("laws", "--json")[1])}
    assert document["chinchilla"]["published"][0]["values"]["alpha"] == 0.3478
    code, out, _ = run("data")
    assert "Muennighoff" in out
    assert json.loads(run("data", "chinchilla", "--json")[1])[0]["name"] == "chinchilla"
    assert json.loads(run("devices", "--json")[1])["platform"] == "cpu"


# What is refused


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["fit", "nowhere.csv"], "nowhere.csv"),
        (["fit", "nowhere"], "'nowhere'"),
        (["fit", "chinchilla", "--law", "chinchila"], "did you mean chinchilla"),
        (["fit", "chinchilla", "--engine", "magic"], "'vpnls'"),
        (["fit", "chinchilla", "--noise", "pink"], "'student-t'"),
        (["fit", "chinchilla", "--outliers", "some"], "'keep'"),
        (["fit", "chinchilla", "--seed", "-1"], "--seed"),
        (["fit", "chinchilla", "--seed", str(2**63)], "--seed"),
        (["compare", "methods", "chinchilla", "--seed", "-1"], "--seed"),
        (["compare", "laws", "chinchilla", "--seed", "-1"], "--seed"),
        (["fit", "chinchilla", "--prob", "90"], "between 0 and 1"),
        (["fit", "chinchilla", "--budgets", "lots"], "'lots'"),
        (["fit", "chinchilla", "--params", "nope"], "'nope'"),
        (["fit", "chinchilla", "--set", "unique_tokens=1e9"], "no further inputs"),
        (["fit", "chinchilla", "-o", "no/such/folder/fit.nc"], "no folder"),
        (["fit", "chinchilla", "-o", "."], "folder"),
        (["fit", "hoffmann_tables"], "not runs"),
        (["fit", "nowhere.csv", "--outliers", "keep"], "--outliers"),
        (["fit", "x" * 300], "too long"),
        (["fit", "x" * 300 + ".csv"], "too long"),
        (["plan", "x" * 300 + ".nc", "--budget", "1e21"], "too long"),
        (["fit", "chinchilla", "-o", "x" * 300 + ".nc"], "too long"),
        (["plan", "absent.nc", "--budget", "1e21"], "absent.nc"),
        (["plan", "chinchila", "--budget", "1e21"], "did you mean chinchilla"),
        (["predict", "absent.nc"], "absent.nc"),
        (["data", "nope"], "chinchilla"),
        (["schema", "plna"], "did you mean plan"),
        (["count", "lama-3-8b"], "did you mean llama-3-8b"),
        (["count", "gpt2", "--layers", "3"], "layers"),
        (["count", "--width", "128"], "--layers"),
        (["count", "--layers", "2", "--width", "128", "--style", "gpt", "--tied"], "tied"),
        (["count", "--layers", "2", "--width", "128", "--style", "bert"], "'gopher'"),
        (["count", "--layers", "-2", "--width", "128"], "positive whole number"),
        (["count", "gpt2", "--tokens", "0"], "positive"),
        (["plan"], "'FIT|RUNS'"),
        (["plann"], "'plan'"),
        (["fit", "chinchilla", "--nonsense"], "--nonsense"),
        (["fit", "chinchilla", "--law"], "--law"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_bad_input_is_one_sentence_and_exit_2(run, tmp_path, monkeypatch, arguments, word):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert word in err
    assert err.startswith("scalefit: ")
    assert "unexpected" not in err
    assert len(err.strip().splitlines()) == 1
    assert len(err) < 600
    assert not list(tmp_path.iterdir())


def test_predict_refuses_what_it_cannot_complete(run, saved):
    for arguments, word in (
        ([], "--params"),
        (["--params", "1B"], "--tokens"),
        (["--params", "1B,2B", "--tokens", "1B,2B,3B"], "length"),
        (["--params", "1B", "--runs", "new.csv"], "--runs"),
        (["--params", "many", "--tokens", "1B"], "'many'"),
    ):
        code, out, err = run("predict", saved, *arguments)
        assert (code, out) == (2, "")
        assert word in err


def test_a_command_never_overwrites_what_it_reads_or_what_is_read_only(run, table, tmp_path):
    before = table.read_bytes()
    code, _, err = run("fit", table, "--params", "size", "--tokens", "seen", "-o", table)
    assert (code, table.read_bytes()) == (2, before)
    assert "is read" in err
    kept = tmp_path / "kept.nc"
    kept.write_text("mine")
    kept.chmod(0o444)
    code, _, err = run("fit", "chinchilla", "-o", kept)
    assert (code, kept.read_text()) == (2, "mine")
    assert "read-only" in err


def test_numbers_that_are_not_finite_become_null_in_json(capsys):
    _show.print_json({"a": [1.0, float("nan")], "b": {"c": np.inf, "d": np.float64(2), "e": True, "f": None}})
    assert json.loads(capsys.readouterr().out) == {"a": [1.0, None], "b": {"c": None, "d": 2.0, "e": True, "f": None}}


def test_a_table_wider_than_the_terminal_is_printed_in_parts(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    header = ["name", *(f"column {i}" for i in range(6))]
    _show.print_grid(_show.console(), header, [["a long name", *"123456"], ["another", *"234567"]], "a title")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 40
    assert sum("a long name" in line for line in lines) > 1
    assert all(any(f"column {i}" in line for line in lines) for i in range(6))


def test_what_nobody_foresaw_is_still_one_sentence(run, monkeypatch):
    monkeypatch.setattr(sf.datasets, "load", lambda *_: 1 / 0)
    code, _, err = run("fit", "chinchilla")
    assert code == 2
    assert "unexpected ZeroDivisionError" in err
    assert len(err.strip().splitlines()) == 1


def test_options_of_reading_reach_the_table(run, monkeypatch, tmp_path):
    seen = []

    def stop(runs, *_, **__):
        seen.append(runs)
        raise sf.FitError("enough")

    monkeypatch.setattr(sf, "fit", stop)
    rows = ["1e8,2e9,3,finished", "2e8,4e9,2.8,running", "4e8,8e9,2.6,finished"]
    (tmp_path / "sweep.txt").write_text("\n".join(["N,D,loss,State", *rows]))
    (tmp_path / "logs").mkdir()
    for name, least in (("a", 3), ("b", 2.9)):
        steps = [{"step": s, "n_params": 1e8, "tokens": 1e9 * s, "loss": least + abs(s - 2)} for s in (1, 2, 3)]
        lines = map(json.dumps, steps)
        (tmp_path / "logs" / f"{name}.jsonl").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    for arguments, size in (
        (["sweep.txt"], 2),
        (["sweep.txt", "--keep-unfinished"], 3),
        (["sweep.txt", "--format", "csv"], 2),
        (["logs"], 2),
        (["logs/*.jsonl"], 2),
        (["logs", "--history", "all"], 6),
    ):
        assert run("fit", *arguments)[0] == 2
        assert len(seen[-1]) == size
    run("fit", "logs", "--history", "minimum")
    assert seen[-1].tokens.tolist() == [2e9, 2e9]
    err = run("plan", "sweep.txt", "--budget", "1e21")[2]
    assert "1 not finished" in err
    assert "--format is for files" in run("fit", "chinchilla", "--format", "csv")[2]


def test_bad_rows_reach_the_user(run, tmp_path):
    (tmp_path / "bad.csv").write_text("N,D,loss\n1e8,2e9,3\n1e8,x,2.9\n3e8,1e9,y\n")
    code, _, err = run("fit", tmp_path / "bad.csv")
    assert code == 2
    assert "row 2: tokens" in err
    assert "row 3: loss" in err


# Streams and signals


def environment(**changed):
    return {**os.environ, **changed}


def test_the_installed_command_works_from_another_folder(tmp_path):
    done = subprocess.run([*COMMAND, "data", "--json"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert {entry["name"] for entry in json.loads(done.stdout)} == set(sf.datasets.names())


def test_a_reader_that_leaves_is_no_failure():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*COMMAND, "count"], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("stream", [">&-", ">/dev/full"])
def test_an_output_that_takes_nothing_is_one_sentence(stream):
    if stream == ">/dev/full" and not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    done = subprocess.run(
        ["sh", "-c", f'"$@" {stream}', "sh", *COMMAND, "data"], capture_output=True, text=True, env=environment()
    )
    assert done.returncode == 2
    assert "standard output" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_closed_standard_error_does_not_reach_the_output():
    done = subprocess.run(
        ["sh", "-c", '"$@" 2>&-', "sh", *COMMAND, "data", "nope"], capture_output=True, text=True, env=environment()
    )
    assert (done.returncode, done.stdout) == (2, "")


def test_ascii_output_has_stand_ins():
    done = subprocess.run([*COMMAND, "count"], capture_output=True, env=environment(PYTHONIOENCODING="ascii"))
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert b"llama-3-8b" in done.stdout


def test_a_platform_that_is_not_here_is_one_sentence():
    done = subprocess.run(
        [*COMMAND, "devices"], capture_output=True, text=True, env=environment(JAX_PLATFORMS="nonsense")
    )
    assert done.returncode == 2
    assert "JAX_PLATFORMS=nonsense" in done.stderr
    assert "unexpected" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_interrupt_ends_a_command_at_once(tmp_path):
    """Two seconds after its start a fit without a cache imports or compiles, which takes far longer."""
    command = [*COMMAND, "fit", "chinchilla", "--engine", "nuts", "-o", str(tmp_path / "fit.nc")]
    there = environment(JAX_COMPILATION_CACHE_DIR=str(tmp_path / "cache"))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=there) as process:
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        started = time.perf_counter()
        out, err = process.communicate(timeout=60)
    assert time.perf_counter() - started < 5
    assert (process.returncode, out) == (130, "")
    assert err == "scalefit: interrupted; nothing was written.\n"
    assert not list(tmp_path.glob("*.nc"))


def test_an_interrupt_leaves_no_half_written_file(tmp_path):
    code = (
        "import pathlib, time\n"
        "from scalefit._interrupt import end_on_interrupt\n"
        "from scalefit._atomic import atomic_path\n"
        "end_on_interrupt()\n"
        "with atomic_path(pathlib.Path('fit.nc')) as unfinished:\n"
        "    unfinished.write_text('half')\n"
        "    print('writing', flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "writing\n"
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    assert not list(tmp_path.iterdir())


def test_an_interrupt_inside_a_command_is_said(run, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(sf.datasets, "load", interrupted)
    code, out, err = run("fit", "chinchilla")
    assert (code, out) == (130, "")
    assert "interrupted; nothing was written" in err


# Grammar


@pytest.mark.parametrize("command", [[], *COMMANDS], ids=" ".join)
def test_no_line_of_help_is_cut_off(run, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run(*command, "--help")
    assert code == 0
    lines = [line.rstrip() for line in out.splitlines()]
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if line.endswith("...") and not line.startswith("Usage")]


def test_groups_without_a_command_print_their_help(run):
    for group in ([], ["compare"]):
        code, out, _ = run(*group)
        assert code == 0
        assert "Commands:" in out


def test_every_command_is_listed_once_and_those_with_json_have_a_schema(run):
    _, out, _ = run("--help")
    listed = [line.split()[0] for line in out.split("Commands:")[1].splitlines() if line.strip()]
    assert listed == list(_app.ORDER)
    _, inner, _ = run("compare", "--help")
    pairs = [line.split()[0] for line in inner.split("Commands:")[1].splitlines() if line.strip()]
    without = {"compare", "schema", "report"}
    names = {name for name in listed if name not in without} | {f"compare-{name}" for name in pairs}
    assert set(schema.names()) == names | set(schema.OF_FILES)


@pytest.mark.parametrize("name", schema.names())
def test_schemas_are_valid_strict_and_printed(run, name):
    code, out, _ = run("schema", *name.split("-", 1)) if name.startswith("compare") else run("schema", name)
    assert code == 0
    document = json.loads(out)
    jsonschema.Draft202012Validator.check_schema(document)
    loose = [node for node in nodes(document) if "properties" in node and "additionalProperties" not in node]
    assert not loose
    assert not [node for node in nodes(document) if "properties" in node and not node.get("required")]


def nodes(value):
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from nodes(inner)


def test_a_schema_refuses_what_is_missing_or_new(run):
    document = json.loads(run("data", "--json")[1])
    found = json.loads(run("schema", "data")[1])
    jsonschema.validate(document, found)
    for broken in ([{**document[0], "new": 1}], [{key: document[0][key] for key in ("name", "about")}]):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, found)


def test_choices_are_the_registries():
    from scalefit.counting import RULES, families
    from scalefit.downstream.links import LINKS
    from scalefit.infer import Engine
    from scalefit.io.formats import FORMATS
    from scalefit.io.history import HOW
    from scalefit.laws import Law
    from scalefit.model.noise import Noise

    for choices, known in (
        (_choices.Engine, Engine.registry),
        (_choices.Noise, Noise.registry),
        (_choices.FlopRule, RULES),
        (_choices.Family, families()),
        (_choices.Link, LINKS),
        (_choices.Format, FORMATS),
        (_choices.History, HOW),
    ):
        assert {choice.value for choice in choices} == set(known)
    assert set(_choices.LAWS) == set(Law.registry)


def test_completion_offers_choices(tmp_path):
    def completed(line):
        words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1), "_SCALEFIT_COMPLETE": "complete_bash"}
        code = "import sys; sys.argv = ['scalefit']; from scalefit.cli import main; main()"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(**words))
        return done.stdout.split()

    assert completed("scalefit fit chinchilla --noise ") == ["student-t", "normal"]
    assert completed("scalefit fit chinchilla --law kaplan-") == ["kaplan-c", "kaplan-d", "kaplan-n", "kaplan-steps"]
    assert completed("scalefit comp") == ["compare"]
    assert completed("scalefit schema pl") == ["plan"]


def test_the_version_is_one_line(run):
    code, out, err = run("--version")
    assert (code, out.strip(), err) == (0, f"scalefit {sf.__version__}", "")


def test_help_imports_nothing_heavy():
    heavy = ("jax", "numpy", "pandas", "rich.table", "scipy")
    code = (
        "import sys; sys.argv = ['scalefit', '--help']\n"
        "from scalefit.__main__ import main\n"
        "try: main()\n"
        f"except SystemExit: print([m for m in {heavy!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_every_command_file_is_loaded():
    for name in importlib.import_module("scalefit.cli").COMMANDS:
        pairs = (f"compare-{each}" for each in ("runs", "recipes", "laws", "methods"))
        assert name.replace("_", "-") in {*_app.ORDER, *pairs}


# count


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
