"""Published counts to the last parameter, FLOP of papers, and the mistakes that tutorials make."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import scalefit as sf
from scalefit.counting import (
    ARCHITECTURES,
    architecture,
    families,
    flops_6nd,
    flops_per_token,
    gopher,
    gpt,
    llama,
    nearest_shape,
    params_for,
    pf_days,
    tokens_for,
    training_days,
    training_flops,
)

PUBLISHED = {
    "gpt2": 124_439_808, "gpt2-medium": 354_823_168, "gpt2-large": 774_030_080, "gpt2-xl": 1_557_611_200,
    "gpt3-175b": 174_604_259_328,
    "llama-7b": 6_738_415_616, "llama-13b": 13_015_864_320, "llama-33b": 32_528_943_616, "llama-65b": 65_285_660_672,
    "llama-2-7b": 6_738_415_616, "llama-2-13b": 13_015_864_320, "llama-2-70b": 68_976_648_192,
    "llama-3.2-1b": 1_235_814_400, "llama-3-8b": 8_030_261_248, "llama-3-70b": 70_553_706_496,
    "llama-3-405b": 405_853_388_800, "mixtral-8x7b": 46_702_792_704,
    "chinchilla-73m": 73_825_280, "chinchilla-305m": 305_707_008, "chinchilla-552m": 552_604_160,
    "chinchilla-1.1b": 1_143_453_696, "chinchilla-1.6b": 1_593_126_912, "chinchilla-6.8b": 6_796_274_688,
}  # fmt: skip
TABLE_A4 = [1.03, 1.10, 1.08, 1.04, 1.03, 0.99]  # Hoffmann et al. 2022
EXACT_A4 = [1.025, 1.101, 1.083, 1.044, 1.033, 0.994]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_published_shapes_to_the_last_parameter(name):
    shape = architecture(name)
    assert shape.total == PUBLISHED[name] == sum(shape.components.values())
    assert isinstance(shape.total, int)


def test_families_count_as_their_formulas_say():
    n, d, v, t = 7, 192, 1000, 128
    assert gpt(n, d, 3, vocabulary=v, context=t).total == v * d + t * d + n * (12 * d * d + 13 * d) + 2 * d
    f, kv, head = 500, 1, 64
    shape = llama(n, d, 3, f, vocabulary=v, context=t, kv_heads=kv)
    assert shape.total == 2 * v * d + n * (2 * d * d + 2 * d * kv * head + 3 * d * f + 2 * d) + d
    f = 4 * d
    layer = 3 * d * d + 3 * d + d * d + 2 * d + d * d + d + 2 * d * f + f + d + 4 * d
    assert gopher(n, d, 3, vocabulary=v).total == n * layer + 2 * d + v * d


def test_a_token_meets_two_experts_of_eight():
    mixtral = architecture("mixtral-8x7b")
    assert mixtral.active == 12_879_925_248
    assert mixtral.components["router"] == 32 * 4096 * 8
    assert mixtral.total - mixtral.active == 32 * 6 * 3 * 4096 * 14336
    assert flops_per_token(mixtral) == 6 * mixtral.active


def test_non_embedding_leaves_out_positions_and_the_head():
    small, llama3 = architecture("gpt2"), architecture("llama-3-8b")
    assert small.non_embedding == small.total - 50257 * 768 - 1024 * 768
    assert llama3.non_embedding == llama3.total - 2 * 128256 * 4096
    assert architecture("llama-3.2-1b").components["unembedding"] == 0


def test_the_gpt2_counter_of_tutorials_misses_three_components():
    """Positions, attention biases and the last norm: 123,614,976 where the model has 124,439,808."""
    counted = architecture("gpt2").components
    d, layers = 768, 12
    assert counted["positions"] == 1024 * d == 786_432
    assert counted["attention"] == layers * (4 * d * d + 4 * d)
    assert counted["norms"] == (2 * layers + 1) * 2 * d
    missed = 786_432 + 4 * layers * d + 2 * d
    assert missed == 786_432 + 36_864 + 1_536
    assert architecture("gpt2").total - missed == 123_614_976


def test_shapes_that_cannot_be_are_refused():
    with pytest.raises(sf.OptionError, match="width"):
        gpt(2, 100, 3)
    with pytest.raises(sf.OptionError, match="key-value"):
        llama(2, 512, 8, 1024, vocabulary=10, context=8, kv_heads=3)
    for layers, heads in ((0, 2), (2, 0)):
        with pytest.raises(sf.OptionError, match="whole number"):
            gpt(layers, 128, heads)
    with pytest.raises(sf.OptionError, match="experts"):
        llama(2, 512, 8, 1024, vocabulary=10, context=8, experts=2, active_experts=3)
    with pytest.raises(sf.errors.OptionError, match="did you mean llama-3-8b"):
        architecture("lama-3-8b")


def test_hoffmanns_flop_ratios():
    ratios = [
        flops_per_token(entry.shape, "hoffmann") / (6 * entry.shape.total)
        for entry in ARCHITECTURES.values()
        if entry.family == "chinchilla"
    ]
    np.testing.assert_allclose(ratios, EXACT_A4, atol=0.0005)
    np.testing.assert_allclose(ratios, TABLE_A4, atol=0.0055)


def test_compute_and_its_two_inverses():
    flops = flops_6nd(np.array([1e9, 7e10]), 2e12)
    np.testing.assert_allclose(tokens_for(flops, [1e9, 7e10]), 2e12, rtol=1e-15)
    np.testing.assert_allclose(params_for(flops, 2e12), [1e9, 7e10], rtol=1e-15)


def test_6nd_of_published_models():
    assert flops_6nd(280e9, 300e9) == pytest.approx(5.04e23, rel=1e-3)
    assert flops_6nd(70e9, 1.4e12) == pytest.approx(5.88e23, rel=1e-3)
    assert training_flops(architecture("gpt3-175b"), 300e9) == pytest.approx(3.143e23, rel=1e-3)
    assert flops_6nd(405e9, 15.6e12) == pytest.approx(3.79e25, rel=1e-3)


def test_megatron_is_the_papers_formula_and_takes_34_days():
    batch, seq, vocab, layers, h = 1536, 2048, 51200, 96, 12288
    shape = gpt(layers, h, 96, vocabulary=vocab, context=seq)
    expected = 96 * batch * seq * layers * h**2 * (1 + seq / (6 * h) + vocab / (16 * layers * h))
    assert training_flops(shape, batch * seq, "megatron-recompute") == pytest.approx(expected, rel=1e-12)
    assert expected == pytest.approx(4.511e18, rel=1e-3)
    without = 72 * batch * seq * layers * h**2 * (1 + seq / (6 * h) + vocab / (12 * layers * h))
    assert training_flops(shape, batch * seq, "megatron") == pytest.approx(without, rel=1e-12)
    assert training_days(175e9, 300e9, 1024, 140e12) == pytest.approx(33.9, rel=1e-3)


def test_palms_attention_is_one_per_cent_and_causal_half_of_it():
    palm = sf.counting.Shape(
        layers=118, width=18432, heads=48, head_size=256, kv_heads=1, mlp=4 * 18432, gated=True, tied=True,
        vocabulary=256000, context=2048,
    )  # fmt: skip
    assert palm.total == pytest.approx(540.35e9, rel=1e-4)
    share = flops_per_token(palm, "palm") / flops_per_token(palm) - 1
    assert share == pytest.approx(0.0110, abs=1e-4)
    assert flops_per_token(palm, "palm-causal") / flops_per_token(palm) - 1 == pytest.approx(share / 2, rel=1e-9)


def test_kaplans_rule_is_three_times_his_forward_pass():
    shape = architecture("gpt2-xl")
    forward = 2 * shape.non_embedding + 2 * 48 * 1024 * 1600
    assert flops_per_token(shape, "kaplan") == 3 * forward
    assert flops_per_token(shape, "kaplan", context=2048) == 3 * (forward + 2 * 48 * 1024 * 1600)


def test_pf_days_are_not_flop():
    """C_c is 3.1e8 PF-days: read as FLOP, GPT-3's compute would be worth a loss of 0.18 instead of 1.76."""
    flops = training_flops(architecture("gpt3-175b"), 300e9)
    assert pf_days(flops) == pytest.approx(3638, rel=1e-3)
    assert (3.1e8 / pf_days(flops)) ** 0.050 == pytest.approx(1.764, abs=1e-3)
    assert (3.1e8 / flops) ** 0.050 == pytest.approx(0.178, abs=1e-3)


def test_an_unknown_rule_is_refused_with_the_list():
    with pytest.raises(sf.errors.OptionError, match="did you mean 6nd"):
        flops_per_token(architecture("gpt2"), "5nd")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_nearest_shape_to_a_published_size_is_that_shape(name):
    family = ARCHITECTURES[name].family
    assert nearest_shape(family, architecture(name).total) == architecture(name)
    assert nearest_shape(family, architecture(name).non_embedding, "non_embedding") == architecture(name)


@settings(deadline=None, max_examples=8)
@example("mixtral", 9.05)
@example("mixtral", 9.125)
@given(st.sampled_from(families()), st.floats(9.0, 12.0))
def test_nearest_is_near_and_can_be_built(family, log10_params):
    wanted = 10**log10_params
    shape = nearest_shape(family, wanted)
    assert shape.total == pytest.approx(wanted, rel=0.05)
    assert shape.width == shape.heads * shape.head_size
    assert shape.width % 64 == shape.mlp % 256 == shape.heads % shape.kv_heads == 0
    assert 20 < shape.width / shape.layers < 250


def test_nearest_keeps_to_what_is_asked():
    assert nearest_shape("llama-3", 3e9, width_multiple=1024).width % 1024 == 0
    assert nearest_shape("llama-3", 1e9, vocabulary=32000).vocabulary == 32000
    moe = nearest_shape("mixtral", 7e9, "active")
    assert moe.active == pytest.approx(7e9, rel=0.03)
    assert moe.total > 3 * moe.active
    with pytest.raises(sf.ScalefitError, match="nearest llama-3 shape"):
        nearest_shape("llama-3", 1e6)
    with pytest.raises(sf.ScalefitError, match="choose from gpt, llama-1"):
        nearest_shape("bert", 1e9)
    with pytest.raises(sf.OptionError, match="convention"):
        nearest_shape("gpt", 1e9, "all")
