import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalefit.errors import OptionError
from scalefit.units import (
    chance,
    distinct_labels,
    format_count,
    format_flops,
    parse_budgets,
    parse_quantity,
    percent,
    positive_budgets,
    positive_quantities,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [("70B", 70e9), ("1.4T", 1.4e12), ("5.76e23", 5.76e23), (" 7 m ", 7e6), ("1,000", 1e3), ("1_000", 1e3)]
    + [("350k", 350e3), (".5B", 5e8), (7, 7.0), (np.float64(2.5), 2.5), ("1e3K", 1e6), ("1.4 trillion", 1.4e12)]
    + [("6.7bn", 6.7e9), ("7 billion", 7e9), ("7 Billions", 7e9), ("10^18", 1e18), ("10**18", 1e18), ("0,074B", 74e6)]
    + [("1.5 x 10^18", 1.5e18), ("1.5×10^18 FLOP", 1.5e18), ("1.4T tokens", 1.4e12), ("124,439,808", 124439808.0)],
)
def test_quantities_people_write(text, value):
    assert parse_quantity(text) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    "text", ["", "big", "7Q", "1.2.3", "1,5", "1,5e9", "1_0", "nan", "inf", None, True, "7 billiard", "1e5" * 40]
)
def test_other_text_is_refused_by_name(text):
    with pytest.raises(OptionError, match="quantity"):
        parse_quantity(text)


def test_a_comma_that_can_be_two_things_is_refused():
    with pytest.raises(OptionError, match="3.154B or 3154B"):
        parse_quantity("3,154B")


@pytest.mark.parametrize("value", [np.timedelta64(3, "s"), np.complex128(1 + 2j), 1j])
def test_what_is_no_count_is_no_quantity(value):
    with pytest.raises(OptionError, match="quantity"):
        parse_quantity(value)


@given(st.floats(1.0, 9.99e14))
def test_formatted_counts_read_back_to_three_digits(value):
    assert parse_quantity(format_count(value)) == pytest.approx(value, rel=5.1e-3)


@pytest.mark.parametrize(
    ("value", "text"),
    [(7.12e10, "71.2B"), (999.9e6, "1B"), (1.4e12, "1.4T"), (5.76e23, "5.76e23"), (12.34, "12.3"), (0, "0")],
)
def test_counts_as_people_write_them(value, text):
    assert format_count(value) == text


@pytest.mark.parametrize(("value", "text"), [(5.76e23, "5.76e23"), (1e21, "1e21"), (1.30e22, "1.3e22"), (120, "120")])
def test_compute_as_people_write_it(value, text):
    assert format_flops(value) == text


def test_budgets_one_list_or_grid():
    assert parse_budgets("5.76e23").tolist() == [5.76e23]
    assert parse_budgets("1e21, 1e22").tolist() == [1e21, 1e22]
    np.testing.assert_allclose(parse_budgets("1e21:1e25:5"), [1e21, 1e22, 1e23, 1e24, 1e25])
    np.testing.assert_allclose(positive_budgets(["1e21", 2e21]), [1e21, 2e21])


@pytest.mark.parametrize(
    "text",
    [
        "1e21:1e25",
        "1e21:1e25:x",
        "1e21:1e25:0",
        "1e21:1e25:²",
        "1:2:99999999",
        "1:2:" + "9" * 5000,
        "-1e21",
        "0",
        "1e999",
        "",
    ],
)
def test_bad_budgets_are_refused(text):
    with pytest.raises(OptionError, match="budget|quantity"):
        parse_budgets(text)


def test_quantities_name_what_is_out_of_range():
    assert positive_quantities(["1k", 2], "number of days").tolist() == [1e3, 2.0]
    for wrong in ([1.0, -2.0], [], np.inf):
        with pytest.raises(OptionError, match="number of days"):
            positive_quantities(wrong, "number of days")


def test_labels_take_as_many_digits_as_they_need():
    assert distinct_labels([1e21, 5.76e23]) == ["1e21", "5.76e23"]
    assert distinct_labels([5.76e23, 5.763e23]) == ["5.76e23", "5.763e23"]
    assert distinct_labels([1e21, 1e21]) == ["1e21", "1e21"]


def test_probabilities_are_not_rounded_to_certainty():
    assert [chance(p) for p in (0.0, 0.005, 0.0051, 0.5, 0.9949, 0.995, 1.0)] == [
        *("below 1%", "below 1%", "1%", "50%", "99%", "above 99%", "above 99%")
    ]
    assert [percent(p) for p in (0.9, 0.975, 0.999)] == ["90%", "97.5%", "99.9%"]
