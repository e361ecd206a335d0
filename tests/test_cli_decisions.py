"""The commands that ask a fit for a decision, as a user meets them.

By the law alone where the discrepancy is not the point: an answer then takes a tenth of the time.
"""

import json
from dataclasses import replace

import pytest

import scalefit as sf
from scalefit.cli import audit as audit_command
from scalefit.diagnostics.checks import Check, Health


def flat(text):
    return " ".join(text.split())


def asked(run, *arguments):
    """The document of a command that succeeds."""
    code, out, _ = run(*arguments, "--json")
    assert code == 0
    return json.loads(out)


def test_plan_begins_with_how_far_it_extrapolates(run, saved):
    code, out, _ = run("plan", saved, "--budget", "1e23")
    assert code == 0
    assert "extrapolation" in out.split("Train ")[0]
    assert "wasted_compute" in out
    assert run("plan", saved, "--budget", "1e20")[1].startswith("Train ")


def test_plan_json_agrees_with_the_api(run, saved, small_fit):
    document = asked(run, "plan", saved, "--budget", "5.76e23")
    plan = sf.plan(small_fit, 5.76e23)
    assert document["params"] == pytest.approx(plan.params)
    assert document["near_optimal_params"]["upper"] == pytest.approx(plan.near_optimal[1])
    assert document["summary"]["loss"]["lower"] < document["loss"] < document["summary"]["loss"]["upper"]
    assert "extrapolation" in document["caution"]
    assert document["discrepancy"] is True
    assert document["rules_of_thumb"] is document["deployment"] is None


def test_plan_in_machines_money_and_every_unit(run, saved):
    code, out, _ = run("plan", saved, "--budget", "512 H100 x 30 days @ 40%", "--rules-of-thumb")
    assert code == 0
    for words in ("369K H100-hours at 40% MFU", "$737K", "20 tokens per parameter", "C = 6 N D", "90%"):
        assert words in flat(out)
    document = asked(
        run, "plan", saved, "--budget", "$2M", "--accelerator", "A100", "--price", "$1", "--rules-of-thumb"
    )
    assert document["training"]["money"] == pytest.approx(2e6)
    assert document["training"]["assumed"].startswith("1,024 A100 at 40% MFU, $1")
    assert set(document["rules_of_thumb"]) == {"20 tokens per parameter", "Kaplan 2020"}


def test_plan_names_the_shape_to_build(run, saved):
    shaped = ["plan", saved, "--budget", "5e20", "--law-only"]
    code, out, _ = run(*shaped, "--family", "llama-2", "--flop-rule", "palm-causal")
    assert code == 0
    assert "llama-2 shape" in flat(out)
    assert "palm-causal" in flat(out)
    document = asked(run, *shaped, "--family", "mixtral", "--active", "28%")
    assert document["deployment"]["shape"]["experts"] == 8
    assert "28%" in document["assumptions"]


def test_plan_under_constraints_says_what_they_cost(run, saved):
    constraints = ["--max-params", "7B", "--unique-tokens", "100B..1T", "--law-only"]
    code, out, _ = run("plan", saved, "--budget", "1e23", *constraints)
    assert code == 0
    for words in ("at most 7B parameters", "data wall", "repeated"):
        assert words in flat(out)
    assert out.startswith("1e23 FLOP is 100 times the compute of the largest run")


def test_plan_with_inference_in_the_budget(run, saved):
    document = asked(run, "plan", saved, "--budget", "5e20", "--inference-tokens", "50B", "--law-only")
    assert 6 * document["params"] * document["tokens"] + 1e11 * document["params"] == pytest.approx(5e20)
    assert "2 N T" in document["assumptions"]


def test_the_law_only_is_another_answer_and_says_so(run, saved):
    included, law = (asked(run, "plan", saved, "--budget", "1e20", *more) for more in ([], ["--law-only"]))
    assert (included["discrepancy"], law["discrepancy"]) == (True, False)
    assert "law only" not in included["assumptions"]
    assert "law only" in law["assumptions"]
    assert included["summary"]["loss"] != law["summary"]["loss"]


@pytest.mark.parametrize(
    ("question", "arguments"),
    [
        ("target", ["target", "FIT", "--loss", "2.6"]),
        ("lifetime", ["lifetime", "FIT", "--quality", "1B", "--inference-tokens", "1T"]),
        ("audit", ["audit", "400M:8B", "--fit", "FIT"]),
        ("compare_runs", ["compare", "runs", "1e20", "2e20", "--fit", "FIT"]),
        ("compare_laws", ["compare", "laws", "chinchilla"]),
        ("compare_methods", ["compare", "methods", "chinchilla"]),
    ],
)
def test_every_question_takes_the_law_only(run, saved, monkeypatch, question, arguments):
    included = []

    def answer(*_, discrepancy, **__):
        included.append(discrepancy)
        raise sf.QuestionError("asked")

    monkeypatch.setattr(sf, question, answer)
    arguments = [saved if part == "FIT" else part for part in arguments]
    assert run(*arguments)[0] == run(*arguments, "--law-only")[0] == 2
    assert included == [None, False]


def test_target(run, saved, small_fit):
    code, out, _ = run("target", saved, "--loss", "2.1", "--law-only")
    assert code == 0
    assert "even odds" in flat(out)
    assert "90% confidence" in flat(out)
    assert "riskier" in run("target", saved, "--loss", "2.1", "--confidence", "0.3", "--law-only")[1]
    document = asked(run, "target", saved, "--loss", "2.1")
    assert document["sure"]["cost"] == pytest.approx(sf.target(small_fit, 2.1).sure.cost)


def test_lifetime_in_flop_and_in_money(run, saved, tmp_path):
    arguments = ["lifetime", saved, "--quality", "1B", "--inference-tokens", "1T..10T", "--law-only"]
    counted = asked(run, *arguments, "--plot", tmp_path / "pareto.png")
    assert (tmp_path / "pareto.png").stat().st_size > 10_000
    assert counted["unit"] == "FLOP"
    sizes = [row["params"] for row in counted["pareto"]]
    assert sizes == sorted(sizes)
    code, out, _ = run(*arguments, "--serving-mfu", "10%")
    (total,) = [line for line in out.splitlines() if line.split()[:1] == ["total"]]
    assert code == 0
    assert total.count("$") == 4
    assert "in money" in flat(out)


def test_audit_reads_a_run_names_and_every_model(run, saved, tmp_path):
    code, out, _ = run("audit", "70B", "1.4T", "--fit", saved, "--law-only")
    assert code == 0
    for words in ("70B:1.4T", "70B parameters", "1.4T tokens", "5.88e23 FLOP"):
        assert words in flat(out)
    _, out, _ = run("audit", "llama-3-8b", "gpt-3", "--fit", saved)
    assert "no amount of inference" in flat(out)
    _, out, _ = run("audit", "1B:20T", "--fit", saved, "--law-only")  # the table goes up to 2,000 tokens per parameter
    assert "20,000 tokens per parameter is 10 times the most of any run: an extrapolation" in flat(out)
    document = asked(run, "audit", "--fit", saved, "--law-only", "--plot", tmp_path / "audit.png")
    assert len(document["models"]) == len(document["words"]) == 17
    assert "2005.14165" in document["sources"]["GPT-3"]
    assert (tmp_path / "audit.png").stat().st_size > 10_000


def test_without_a_fit_the_shipped_runs_answer_and_a_note_says_so(run, monkeypatch, small_fit):
    monkeypatch.setattr(sf, "fit", lambda *_, **__: small_fit)
    for arguments in (["audit", "chinchilla"], ["compare", "runs", "gopher", "chinchilla"]):
        code, _, err = run(*arguments)
        assert code == 0
        assert "note: chinchilla" in err
        assert run(*arguments, "--json", "--law-only")[2] == ""


def test_compare_runs_budgets_gains_and_fits(run, saved, small_fit):
    code, out, _ = run("compare", "runs", "280B:300B", "70B:1.4T", "--fit", saved, "--law-only")
    assert code == 0
    assert "70B:1.4T beats 280B:300B" in flat(out)
    assert asked(run, "compare", "runs", "5e20", "5e20", "--gain-a", "2%", "--law-only", "--fit", saved)["chance"] == 0
    better = asked(run, "compare", "runs", "5e20", "5e20", "--gain-b", "0.02", "--fit", saved)
    assert (better["chance"], better["b"]["gain"]) == (1, 0.02)
    both = asked(run, "compare", "runs", "5e20", "5e20", "--fit", saved, "--fit-b", saved)
    assert both["summary"]["speedup"]["lower"] < 1 < both["summary"]["speedup"]["upper"]
    expected = sf.compare_runs((small_fit, sf.load(saved)), "5e20", "5e20").chance
    assert both["chance"] == pytest.approx(expected, abs=0.02)


def test_two_words_are_one_run_only_where_both_are_counts():
    assert audit_command._paired(["70B", "1.4T"]) == ["70B:1.4T"]
    assert audit_command._paired(["gpt-3", "gopher"]) == ["gpt-3", "gopher"]
    assert audit_command._paired(["7B:1T", "13B:1T"]) == ["7B:1T", "13B:1T"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["plan", "FIT", "--budget", "512 Z9 x 3 days"], "'Z9'"),
        (["plan", "FIT", "--budget", "1e300"], "larger"),
        (["plan", "FIT", "--budget", "1e22", "--max-params", "0"], "positive"),
        (["plan", "FIT", "--budget", "1e22", "--flop-rule", "palm"], "--family"),
        (["plan", "FIT", "--budget", "1e22", "--flop-rule", "plam"], "'palm'"),
        (["plan", "FIT", "--budget", "1e22", "--family", "lama"], "'llama-3'"),
        (["plan", "FIT", "--budget", "1e22", "--active", "28"], "share"),
        (["plan", "FIT", "--budget", "1e22", "--set", "unique_tokens=1e9"], "--set"),
        (["target", "FIT", "--loss", "1.0"], "loss"),
        (["target", "FIT", "--loss", "1e9"], "loss"),
        (["target", "FIT", "--loss", "2", "--max-params", "10M", "--law-only"], "cap"),
        (["lifetime", "FIT", "--quality", "7B", "--inference-tokens", "1T", "--max-params", "9M", "--law-only"], "cap"),
        (["lifetime", "FIT", "--quality", "7B", "--inference-tokens", "10T..1T"], "low"),
        (["audit", "--fit", "FIT", "--plot", "NEW.xyz"], "NEW.xyz"),
        (["frontier", "FIT", "--plot", "NEW.xyz"], "NEW.xyz"),
        (["backtest", "chinchilla", "--above", "1e21", "--plot", "NEW.xyz"], "NEW.xyz"),
        (["lifetime", "FIT", "--quality", "7B", "--inference-tokens", "1T", "--plot", "NEW.xyz"], "NEW.xyz"),
        (["audit", "gpt-99", "--fit", "FIT"], "gpt-99"),
        (["compare", "runs", "1e23", "1e23", "--gain-b", "200%", "--fit", "FIT"], "share"),
        (["compare", "runs", "1e23", "1e23", "--gain-a", "100%", "--fit", "FIT"], "share"),
        (["compare", "runs", "7B", "7B:1T", "--fit", "FIT"], "7B:TOKENS"),
        (["compare", "runs", "1e23", "--fit", "FIT"], "'B'"),
        (["compare", "recipe", "a", "b"], "'recipe'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_questions_are_one_sentence_and_exit_2(run, saved, arguments, word):
    code, out, err = run(*[str(saved) if part == "FIT" else part for part in arguments])
    assert (code, out) == (2, "")
    assert word in err
    assert len(err.strip().splitlines()) == 1


def test_a_point_estimate_has_no_interval_and_says_so(run, point_fit, tmp_path):
    path = point_fit().save(tmp_path / "point.nc")
    for arguments in (
        ["plan", path, "--budget", "1e22"],
        ["compare", "runs", "1e22", "2e22", "--fit", path],
        ["predict", path, "--params", "1B", "--tokens", "20B"],
        ["frontier", path, "--budgets", "1e22"],
    ):
        code, out, _ = run(*arguments)
        assert code == 0
        assert "nan" not in out
        if arguments[0] != "frontier":
            assert "point estimate" in flat(out)
        asked(run, *arguments)


def test_no_chance_is_printed_as_certainty(run, saved):
    for unique, words in (("1M", "above 99%"), ("900T", "below 1%")):
        assert words in flat(run("plan", saved, "--budget", "1e21", "--unique-tokens", unique, "--law-only")[1])
    _, out, _ = run("target", saved, "--loss", "2.5", "--confidence", "0.9999")
    assert "above 99%" in flat(out)


def test_a_run_is_not_compared_with_itself(run, saved):
    code, out, err = run("compare", "runs", "5e20", "5e20", "--fit", saved)
    assert (code, out) == (2, "")
    assert "same run" in flat(err)


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "FIT", "--budget", "1e20"],
        ["target", "FIT", "--loss", "2.6", "--law-only"],
        ["lifetime", "FIT", "--quality", "1B", "--inference-tokens", "1T", "--law-only"],
        ["audit", "400M:8B", "--fit", "FIT", "--law-only"],
        ["compare", "runs", "1e20", "2e20", "--fit", "FIT"],
        ["compare", "runs", "1e20", "1e20", "--fit", "GOOD", "--fit-b", "FIT", "--law-only"],
        ["frontier", "FIT", "--budgets", "1e20"],
        ["predict", "FIT", "--params", "1B", "--tokens", "20B"],
    ],
    ids=" ".join,
)
def test_bad_health_leads_every_answer_and_its_exit_status_is_1(run, saved, small_fit, tmp_path, arguments):
    ray = Check("one ray", "fail", 1.0, "all runs lie on one path; add runs off it")
    bad = replace(small_fit, health=Health((*small_fit.health.checks, ray))).save(tmp_path / "bad.nc")
    arguments = [{"FIT": bad, "GOOD": saved}.get(part, part) for part in arguments]
    code, out, _ = run(*arguments)
    assert code == 1
    document = json.loads(run(*arguments, "--json")[1])
    assert "health is fail" in document["caution"].split(".")[0]
    assert "one ray" in document["caution"]
    assert flat(out).startswith(document["caution"])
    assert document["health"]["verdict"] == "fail"


def test_health_in_a_sentence():
    from scalefit.text.fits import health_sentence

    tails, fine = Check("tails", "review", 0.5, "nu 0.5 for the runs"), Check("modes", "ok", 1, "1 found")
    assert health_sentence(Health((fine,))) == ""
    said = health_sentence(Health((fine, tails)))
    assert "review" in said
    assert "tails" in said
    few, ray = Check("tail ESS", "fail", 48, "48 draws; more"), Check("one ray", "fail", 1, "one path; add runs off it")
    assert "one ray" in health_sentence(Health((few, ray, tails)))
