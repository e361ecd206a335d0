"""Costs, machines and budgets: units people pay in, and back."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scalefit as sf
from scalefit.costs.budget import read_budget
from scalefit.costs.machines import ACCELERATORS, Accelerator, find_accelerator
from scalefit.costs.uncertain import draws_of, expected, read_amount
from scalefit.counting import family_shapes, flops_per_token

SIX = sf.costs.SixND()


def test_costs_are_hashable_and_count_what_they_say():
    life = sf.costs.Lifetime(tokens=2e12)
    assert len({SIX, sf.costs.SixND(), life, sf.costs.Lifetime(tokens=2e12)}) == 2
    assert SIX.total(70e9, 1.4e12) == pytest.approx(5.88e23)
    assert life.total(7e9, 1e12) == pytest.approx(6 * 7e9 * 1e12 + 2 * 7e9 * 2e12)
    assert life.training(7e9, 1e12) == SIX.total(7e9, 1e12)


@given(st.floats(1e18, 1e27), st.floats(1e6, 1e12), st.floats(1e6, 1e13))
def test_tokens_for_a_budget_spend_it(budget, params, served):
    counted = sf.costs.Counted.of("llama-1")
    for cost in (
        SIX,
        counted,
        sf.costs.Lifetime(served),
        sf.costs.Lifetime(served, compute=counted),
        sf.costs.Lifetime(served, served / 2, (2.0, 3.0, 5.0)),
    ):
        rounding = 1e-12 * (budget + cost.serving(params))
        assert cost.total(params, cost.tokens_for(budget, params)) == pytest.approx(budget, abs=rounding)


def test_costs_are_pytrees_of_their_numbers():
    """One compiled program serves every volume of inference, draws of it included."""
    many = sf.costs.Lifetime(np.array([1e12, 3e12])).sampled(2)
    totals = jax.vmap(lambda cost: cost.total(1e9, 1e11))(many)
    np.testing.assert_allclose(totals, [6e20 + 2e21, 6e20 + 6e21], rtol=1e-6)


def test_a_query_to_gpt3_costs_two_and_a_half_times_one_to_seventy_billion():
    """Four times is Gopher."""
    life = sf.costs.Lifetime(1e12)
    assert life.serving(174.6e9) / life.serving(70e9) == pytest.approx(2.5, abs=0.01)
    assert life.serving(280e9) / life.serving(70e9) == pytest.approx(4)


def test_compute_counted_over_a_family_is_exact_at_its_shapes():
    """By `flops_per_token`; between two shapes it lies between them, and NumPy and JAX agree."""
    for family, convention in (("llama-2", "total"), ("chinchilla", "total"), ("mixtral", "active")):
        cost = sf.costs.Counted.of(family, "palm-causal", convention)
        shapes = family_shapes(family)
        for shape in shapes:
            n = float(shape.count(convention))
            assert cost.training(n, 1e12) == pytest.approx(flops_per_token(shape, "palm-causal") * 1e12)
            assert float(cost.per_token(jax.numpy.asarray(n))) == pytest.approx(float(cost.per_token(n)), rel=1e-5)
        small, large = (float(shape.count(convention)) for shape in (shapes[0], shapes[-1]))
        assert (np.diff(cost.per_token(np.geomspace(small, 2 * large, 50))) > 0).all()
        assert cost.per_token(10 * large) == pytest.approx(10 * cost.per_token(large))


def test_shapes_of_ones_own_are_counted_too():
    shape = family_shapes("gpt")[0]
    assert sf.costs.Counted.of([shape], "megatron").per_token(float(shape.total)) == flops_per_token(shape, "megatron")
    with pytest.raises(sf.OptionError, match="shapes"):
        sf.costs.Counted.of([])
    with pytest.raises(sf.OptionError, match="'lama'"):
        sf.costs.Counted.of("lama")


def test_a_mixture_pays_for_what_a_token_meets():
    """Mixtral 8x7B: 12.9B of 46.7B parameters are active."""
    shape = family_shapes("mixtral")[0]
    cost = sf.costs.SixND(active=shape.active / shape.total)
    assert cost.per_token(shape.total) == pytest.approx(flops_per_token(shape, "6nd"))
    assert sf.costs.Lifetime(1e12, compute=cost).serving(shape.total) == pytest.approx(2 * shape.active * 1e12)
    with pytest.raises(sf.OptionError, match="share"):
        sf.costs.SixND(active=28)


def test_serving_is_a_forward_pass_of_the_same_count():
    counted = sf.costs.Counted.of("llama-2")
    life = sf.costs.Lifetime(3e12, compute=counted)
    assert life.serving(7e9) == pytest.approx(counted.training(7e9, 1e12))
    assert life.flops(7e9, 1e12) == counted.flops(7e9, 1e12)
    assert "counted" in life.describe()


def test_money_takes_each_kind_of_work_at_its_own_mfu():
    """6 N D c/MFU + 2 N c (T_in/MFU_in + T_out/MFU_out) (Sardana et al. 2024, section 3)."""
    train, read, write = (sf.Machines(mfu=mfu) for mfu in (0.5, 0.4, 0.1))
    cost = sf.costs.Lifetime.in_money(2e12, 1e11, training=train, serving=read, generating=write)
    per_flop = 2.0 / (989.4e12 * 3600)
    expected_bill = per_flop * (6 * 7e9 * 1e12 / 0.5 + 2 * 7e9 * (2e12 / 0.4 + 1e11 / 0.1))
    assert cost.total(7e9, 1e12) == pytest.approx(expected_bill)
    assert cost.unit == "$"


@pytest.mark.parametrize(
    ("text", "flops"),
    [
        ("5.76e23", 5.76e23),
        ("512 H100 x 30 days @ 40%", 512 * 989.4e12 * 0.4 * 30 * 86400),
        ("512xH100x30d@40% MFU", 512 * 989.4e12 * 0.4 * 30 * 86400),
        ("1,024 TPU v5p × 48 h", 1024 * 459e12 * 0.4 * 48 * 3600),
        ("64 x 400e12 x 2 weeks @ 0.5", 64 * 400e12 * 0.5 * 14 * 86400),
        ("$2M", 2e6 / 2 * 989.4e12 * 0.4 * 3600),
    ],
)
def test_budgets_as_planners_write_them(text, flops):
    found = read_budget(text)
    assert found.flops == pytest.approx(flops, rel=1e-12)
    if "d" in text:
        assert found.machines.days(found.flops) == pytest.approx(30)


def test_money_buys_what_it_costs():
    machines = sf.Machines.read("8 A100", mfu="35%", price="$1.5")
    assert machines.money(read_budget("$2M", machines).flops) == pytest.approx(2e6)
    assert (machines.count, machines.mfu, machines.price) == (8, 0.35, 1.5)


def test_a_petaflop_day_costs_a_hundred_dollars_and_more():
    """Often written as one dollar: at 40 % MFU it is 61 H100-hours."""
    assert sf.Machines().hours(8.64e19) == pytest.approx(61, abs=0.5)
    assert sf.Machines().money(8.64e19) == pytest.approx(121, abs=1)


def test_days_on_a_cluster():
    cluster = sf.Machines(Accelerator("cluster", 300e15, "given"), count=1, mfu=1.0)
    assert cluster.days(8.64e24) == pytest.approx(333, abs=0.5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lots", "not a budget"),
        ("512 Z9 x 30 days", "'Z9'"),
        ("512 H100 x days", "not a budget"),
        ("H100 x 3 days @ 400%", "MFU"),
        ("-1", "FLOP"),
        ("$0", "money"),
    ],
)
def test_bad_budgets_are_one_clear_sentence(text, words):
    with pytest.raises(sf.OptionError, match=words):
        read_budget(text)


def test_every_accelerator_names_its_source_and_is_found():
    for device in ACCELERATORS:
        assert find_accelerator(device.name.lower().replace("-", " ")) is device
        assert device.source
        assert 1e14 < device.peak < 1e16
    assert find_accelerator("989e12").peak == 989e12


def test_rough_amounts():
    rough = read_amount("1T..10T", "T")
    draws = draws_of(rough, 20_000, seed=1)
    assert np.mean((draws > 1e12) & (draws < 1e13)) == pytest.approx(0.9, abs=0.002)
    assert expected(rough) == pytest.approx(draws.mean(), rel=0.01)
    assert expected(rough) > np.sqrt(1e25)
    assert np.array_equal(draws_of(2e12, 3), [2e12] * 3)
    assert len(draws_of(np.array([1.0, 2.0, 3.0]), 10)) == 10
    for bad in ("10T..1T", "0..1T", "-1", [1e12, -1e12]):
        with pytest.raises(sf.ScalefitError):
            read_amount(bad, "T")
