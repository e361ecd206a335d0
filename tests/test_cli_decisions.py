"""The commands that decide, as a user meets them."""

import json
from dataclasses import replace

import pytest

import scalefit as sf
from scalefit.cli import audit as audit_command
from scalefit.diagnostics.checks import Check, Health


def flat(text):
    return " ".join(text.split())


def test_plan_in_machines_money_and_every_unit(run, saved):
    code, out, _ = run("plan", saved, "--budget", "512 H100 x 30 days @ 40%", "--rules")
    assert code == 0
    assert "369K H100-hours at 40% MFU, 30 days on 512 of them, $737K at $2 an hour" in flat(out)
    assert "20 tokens per parameter" in out
    assert "C = 6 N D" in out
    assert "intervals are equal-tailed, 90%" in flat(out)
    document = json.loads(run("plan", saved, "--budget", "$2M", "--accelerator", "A100", "--price", "$1", "--json")[1])
    assert document["training"]["money"] == pytest.approx(2e6)
    assert document["training"]["assumed"].startswith("1,024 A100 at 40% MFU, $1")


def test_plan_names_the_shape_to_build(run, saved):
    code, out, _ = run("plan", saved, "--budget", "5e20", "--family", "llama-2", "--rule", "palm-causal")
    assert code == 0
    assert "As a llama-2 shape:" in flat(out)
    assert "C counted over shapes (llama-2, palm-causal)" in flat(out)
    document = json.loads(run("plan", saved, "--budget", "5e20", "--family", "mixtral", "--active", "28%", "--json")[1])
    assert document["deployment"]["shape"]["experts"] == 8
    assert "28% of N that are active" in document["basis"]


def test_plan_under_limits_says_what_they_cost(run, saved):
    code, out, _ = run("plan", saved, "--budget", "1e23", "--max-params", "7B", "--unique-tokens", "100B..1T")
    assert code == 0
    assert "Held to at most 7B parameters, it wastes" in flat(out)
    assert "the data wall binds with probability" in flat(out)
    assert "a repeated token is taken to teach nothing" in flat(out)
    assert out.startswith("1e23 FLOP is 100 times the compute of the largest run")


def test_plan_with_inference_in_the_budget(run, saved):
    document = json.loads(run("plan", saved, "--budget", "5e20", "--inference-tokens", "50B", "--json")[1])
    assert 6 * document["params"] * document["tokens"] + 1e11 * document["params"] == pytest.approx(5e20)
    assert "2 N T" in document["basis"]


def test_target(run, saved, small_fit):
    code, out, _ = run("target", saved, "--loss", "2.1")
    assert code == 0
    assert "At even odds:" in out
    assert "To be 90% sure:" in flat(out)
    assert "The riskier plan:" in run("target", saved, "--loss", "2.1", "--confidence", "0.3")[1]
    document = json.loads(run("target", saved, "--loss", "2.1", "--json")[1])
    assert document["sure"]["cost"] == pytest.approx(sf.target(small_fit, 2.1).sure.cost)


def test_lifetime_with_its_picture(run, saved, tmp_path):
    arguments = ["lifetime", saved, "--quality", "1B", "--inference-tokens", "1T..10T"]
    code, out, _ = run(*arguments, "--plot", tmp_path / "pareto.png")
    assert code == 0
    assert "until the quality is reached" in flat(out)
    assert (tmp_path / "pareto.png").stat().st_size > 10_000
    document = json.loads(run(*arguments, "--serving-mfu", "10%", "--json")[1])
    assert document["params"] < json.loads(run(*arguments, "--json")[1])["params"]  # dearer inference, smaller model
    assert "in money" in document["basis"]


def test_audit_reads_a_run_names_and_every_model(run, saved, tmp_path):
    code, out, _ = run("audit", "70B", "1.4T", "--fit", saved)
    assert code == 0
    assert "70B:1.4T: 70B parameters, 1.4T tokens, 20.0 per parameter, 5.88e23 FLOP" in flat(out)
    _, out, _ = run("audit", "llama-3-8b", "gpt-3", "--fit", saved)
    assert "No inference would justify the size" in flat(out)
    _, out, _ = run("audit", "1B:20T", "--fit", saved)  # the table goes up to 2,000 tokens per parameter
    assert "20,000 tokens per parameter is 10 times the most of any run: an extrapolation" in flat(out)
    document = json.loads(run("audit", "--fit", saved, "--json", "--plot", tmp_path / "audit.png")[1])
    assert len(document["models"]) == 17
    assert "2005.14165" in document["sources"]["GPT-3"]
    assert (tmp_path / "audit.png").stat().st_size > 10_000


def test_audit_without_a_fit_says_whose_law_it_asks(run, monkeypatch, small_fit):
    monkeypatch.setattr(sf, "fit", lambda *_, **__: small_fit)
    code, _, err = run("audit", "chinchilla")
    assert code == 0
    assert "240 shipped Chinchilla runs are fitted" in err
    assert run("audit", "chinchilla", "--json")[2] == ""


def test_versus_runs_budgets_and_recipes(run, saved):
    code, out, _ = run("versus", "280B:300B", "70B:1.4T", "--fit", saved, "--kind", "mean")
    assert code == 0
    assert "70B:1.4T beats 280B:300B with probability above 99% by the law" in flat(out)
    document = json.loads(run("versus", "5e20 - 2%", "5e20", "--fit", saved, "--json")[1])
    assert document["chance"] == 0
    document = json.loads(run("versus", saved, saved, "--budget", "5e20", "--json")[1])
    assert document["summary"]["speedup"]["lower"] < 1 < document["summary"]["speedup"]["upper"]


def test_two_words_are_one_run_only_where_both_are_counts():
    assert audit_command._paired(["70B", "1.4T"]) == ["70B:1.4T"]
    assert audit_command._paired(["gpt-3", "gopher"]) == ["gpt-3", "gopher"]
    assert audit_command._paired(["7B:1T", "13B:1T"]) == ["7B:1T", "13B:1T"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plan", "FIT", "--budget", "512 Z9 x 3 days"], "no accelerator 'Z9'"),
        (["plan", "FIT", "--budget", "1e300"], "more than the largest conceivable run costs; ask for less"),
        (["plan", "FIT", "--budget", "1e22", "--max-params", "0"], "positive number"),
        (["plan", "FIT", "--budget", "1e22", "--rule", "palm"], "over the shapes of a --family"),
        (["plan", "FIT", "--budget", "1e22", "--family", "lama"], "no family 'lama'"),
        (["plan", "FIT", "--budget", "1e22", "--active", "28"], "share"),
        (["plan", "FIT", "--budget", "1e22", "--kind", "wide"], "no interval kind 'wide'"),
        (["target", "FIT", "--loss", "1.0"], "out of reach"),
        (["target", "FIT", "--loss", "1e9"], "takes less than a parameter and a token; ask for a lower loss"),
        (
            ["target", "FIT", "--loss", "2", "--max-params", "10M", "--kind", "mean"],
            "no one size within the cap reaches a loss of 2",
        ),
        (["lifetime", "FIT", "--quality", "7B", "--inference-tokens", "1T", "--max-params", "50M"], "raise the cap"),
        (["lifetime", "FIT", "--quality", "7B", "--inference-tokens", "10T..1T"], "from low to high"),
        (["audit", "--fit", "FIT", "--plot", "NEW.xyz"], "cannot draw to NEW.xyz: end it in"),
        (["frontier", "FIT", "--plot", "NEW.xyz"], "cannot draw to NEW.xyz: end it in"),
        (["backtest", "chinchilla", "--above", "1e21", "--plot", "NEW.xyz"], "cannot draw to NEW.xyz: end it in"),
        (["lifetime", "FIT", "--quality", "7B", "--inference-tokens", "1T", "--plot", "NEW.xyz"], "cannot draw to"),
        (["audit", "gpt-99", "--fit", "FIT"], "no published model"),
        (["versus", "FIT", "FIT"], "two fits at budget"),
        (["versus", "FIT", "FIT", "--budget", "abc"], "'abc'"),
        (["versus", "FIT", "FIT - 2%", "--budget", "1e23"], "recipes and budgets against each other under one --fit"),
        (["versus", "FIT", "1e23"], "a fit is compared with another fit"),
        (["versus", "1e23", "1e23 - 200%", "--fit", "FIT"], "lowers its loss by less than 100%"),
        (["versus", "1e23", "1e23 - 100%", "--fit", "FIT"], "lowers its loss by less than 100%"),
        (["versus", "7B", "7B:1T", "--fit", "FIT"], "'7B' is neither a run nor a budget; give 7B:TOKENS"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_questions_are_one_sentence_and_exit_2(run, saved, arguments, words):
    code, out, err = run(*[part.replace("FIT", str(saved)) if part[:3] == "FIT" else part for part in arguments])
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.strip().splitlines()) == 1


def test_a_point_estimate_has_no_interval_and_says_so(run, point_fit, tmp_path):
    path = point_fit().save(tmp_path / "point.nc")
    for arguments in (["plan", path, "--budget", "1e22"], ["versus", "1e22", "2e22", "--fit", path]):
        code, out, _ = run(*arguments)
        assert code == 0
        assert "a point estimate has no interval" in flat(out)
        assert "nan" not in out


def test_no_chance_is_printed_as_certainty(run, saved):
    for unique, words in (("1M", "binds with probability above 99%"), ("900T", "binds with probability below 1%")):
        assert words in flat(run("plan", saved, "--budget", "1e21", "--unique-tokens", unique)[1])
    _, out, _ = run("target", saved, "--loss", "2.4", "--confidence", "0.9999")
    assert "the law reaches it with probability above 99%" in flat(out)


def test_a_tie_is_no_win(run, saved):
    _, out, _ = run("versus", "5e20", "5e20", "--fit", saved)
    assert "5e20 FLOP and 5e20 FLOP are equal" in flat(out)
    assert "beats" not in out


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "FIT", "--budget", "1e20"],
        ["target", "FIT", "--loss", "2.6", "--kind", "mean"],
        ["lifetime", "FIT", "--quality", "1B", "--inference-tokens", "1T"],
        ["audit", "400M:8B", "--fit", "FIT"],
        ["versus", "1e20", "2e20", "--fit", "FIT"],
        ["versus", "GOOD", "FIT", "--budget", "1e20"],
        ["frontier", "FIT", "--budgets", "1e20"],
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_bad_health_is_said_before_every_answer(run, saved, small_fit, tmp_path, arguments):
    ray = Check("one ray", "fail", 1.0, "all runs lie on one path; add runs off it")
    bad = replace(small_fit, health=Health((*small_fit.health.checks, ray))).save(tmp_path / "bad.nc")
    arguments = [{"FIT": bad, "GOOD": saved}.get(part, part) for part in arguments]
    sentence = "The fit's health is fail, so do not rely on this answer; one ray: all runs lie on one path."
    code, out, _ = run(*arguments)
    assert code == 0
    assert flat(out).startswith(sentence)
    document = json.loads(run(*arguments, "--json")[1])
    assert document["caution"].startswith(sentence)
    assert document["health"]["verdict"] == "fail"


def test_health_in_a_sentence():
    from scalefit.text.fits import health_sentence

    tails, fine = Check("tails", "review", 0.5, "nu 0.5 for the runs"), Check("modes", "ok", 1, "1 found")
    assert health_sentence(Health((fine,))) == ""
    said = "The fit's health is review, so rely on this answer with care; tails: nu 0.5 for the runs."
    assert health_sentence(Health((fine, tails))) == said
    few, ray = Check("tail ESS", "fail", 48, "48 draws; more"), Check("one ray", "fail", 1, "one path; add runs off it")
    assert "do not rely on this answer; one ray: one path." in health_sentence(Health((few, ray, tails)))
