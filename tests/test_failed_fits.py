"""Fits that health calls failed: each question is answered or refused as a question, by no library's own error."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

import scalefit as sf

QUESTIONS = {
    "plan": lambda fit: sf.plan(fit, 1e22),
    "constrained": lambda fit: sf.plan(fit, 1e22, max_params="30B", unique_tokens="0.5T..2T"),
    "target": lambda fit: sf.target(fit, 2.2),
    "lifetime": lambda fit: sf.lifetime(fit, "7B", sf.costs.Lifetime(2e12)),
    "audit": lambda fit: sf.audit(fit, ["llama-3-8b", (70e9, 1.4e12)]),
    "compare_runs": lambda fit: sf.compare_runs(fit, "gopher", "chinchilla"),
    "rules_of_thumb": lambda fit: sf.rules_of_thumb(fit, 1e23),
    "frontier": lambda fit: fit.frontier([1e18, 1e25]).summary(),
    "summary": lambda fit: fit.summary(budgets=[1e22]),
}


@pytest.fixture(scope="module")
def rising():
    """The larger, the worse: there is no best size."""
    rng = np.random.default_rng(7)
    params, tokens = np.exp(rng.uniform(18, 22, 40)), np.exp(rng.uniform(21, 25, 40))
    loss = 2 + 0.1 * np.log(params / 1e9) + 0.05 * rng.standard_normal(40)
    return sf.fit(sf.Runs({"params": params, "tokens": tokens, "loss": loss}), engine=sf.Huber())


@pytest.fixture(scope="module")
def five():
    """Eight copies of five runs without noise, and their answers by the law alone."""
    params, tokens = np.tile([1e8, 3e8, 1e9, 3e9, 1e10], 8), np.tile([2e9, 1e10, 2e10, 9e10, 1e11], 8)
    loss = 1.8 + 482 / params**0.35 + 2085 / tokens**0.366
    return sf.fit(sf.Runs({"params": params, "tokens": tokens, "loss": loss}), engine=sf.MAP())


@pytest.fixture(scope="module")
def broken(five):
    """A draw that is no number, as no engine should leave behind."""
    return replace(five, draws=five.draws | {"A": np.full((1, 1), np.nan)})


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
@pytest.mark.parametrize("kind", ["rising", "five", "broken"])
def test_a_question_on_a_failed_fit_is_answered_or_refused(request, kind, question):
    with suppress(sf.QuestionError):
        assert question(request.getfixturevalue(kind)) is not None


def test_a_table_without_an_optimum_is_fitted(rising, five):
    assert five.health.verdict == "fail"
    assert [check.name for check in rising.health.checks if check.verdict == "fail"] == ["optimum"]
    with pytest.raises(sf.QuestionError, match="optimum"):
        rising.frontier(rising.compute_range[1])
