"""Tables as people read them: numbers in their units, long and wide tables, LaTeX without commands."""

import warnings

import numpy as np
import pytest
from conftest import simulated

from scalefit._display import latex_table, text_table
from scalefit._intervals import interval
from scalefit._quantities import at_budget, quantity, symbol, to_latex, write
from scalefit._tables import Table, by_rows, draws_table
from scalefit.diagnostics.checks import Check, Health


def test_long_tables_show_their_ends():
    runs = simulated(sizes=20)
    lines = repr(runs).split("\n")
    assert len(lines) == 2 + 1 + 13
    assert lines[9].split()[0] == "..."
    assert lines[-1].split()[0] == str(len(runs))
    assert runs.to_latex().count(r"\\") == len(runs) + 1


def test_wide_tables_are_folded():
    row = {(f"quantity_{i}", part): 1.0 for i in range(9) for part in ("median", "lower", "upper")}
    text = text_table(by_rows("thing", {"one": row}), 0.9)
    assert max(map(len, text.split("\n"))) <= 110
    assert all(f"quantity_{i}" in text for i in range(9))


def test_tables_lack_nothing_that_a_row_lacks():
    table = by_rows("method", {"a": {"x": 1.0}, "b": {"x": 2.0, "y": 3.0}})
    assert np.isnan(table.frame().loc["a", "y"])
    assert list(table.only(["y"]).columns) == ["y"]
    draws = draws_table({"x": np.arange(101.0)}, 0.9, mean=True)
    assert draws.frame().loc["x"].tolist() == pytest.approx([50, 50, 5, 95])


def test_quantities_are_known_by_name_and_at_budgets():
    assert quantity(at_budget("N_opt", "5.76e23")).unit == "parameters"
    assert quantity(at_budget("N_opt", "5.76e23")).symbol == r"$N_\mathrm{opt}$ at $5.76\times 10^{23}$ FLOP"
    assert quantity("budget", "$").unit == "$"
    assert quantity("alpha") == ("1", "alpha", r"$\alpha$")
    assert [symbol(name) for name in ("N_c", "alpha_S", "my_name")] == [r"$N_\mathrm{c}$", r"$\alpha_\mathrm{S}$",
                                                                       r"my\_name"]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (7.12e10, "parameters", "71.2B"),
        (5.76e23, "FLOP", "5.76e23"),
        (0.27061, "share", "27.1%"),
        (8.09e5, "$", "$809K"),
        (1.88721, "nats per token", "1.887"),
        (np.nan, "1", "-"),
        (np.inf, "tokens", "inf"),
    ],
)
def test_numbers_are_written_in_their_units(value, unit, text):
    assert write(value, unit) == text


def test_latex_sees_no_commands():
    assert to_latex("50% & a_b {x} #1 \\ ~") == r"50\% \& a\_b \{x\} \#1 \textbackslash{} \textasciitilde{}"
    assert to_latex("nats params^alpha") == r"nats params$^{\alpha}$"
    table = Table("law", ["a_b"], {"health": ["100%"]})
    assert r"a\_b & 100\% \\" in latex_table(table, 0.9)


def test_health_shows_itself_as_its_verdict_and_sentences():
    health = Health((Check("one ray", "fail", 1.0, "the runs lie on one ray."),))
    assert repr(health) == str(health)
    assert repr(health).splitlines() == ["health: fail", "  fail   one ray: the runs lie on one ray."]


def test_intervals_of_infinite_draws_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        median, lower, upper = interval(np.array([1.0, 2.0, np.inf, np.inf]), 0.5)
    assert lower == pytest.approx(1.75)
    assert not np.isfinite([median, upper]).any()
