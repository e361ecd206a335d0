"""SBC over the prior: exact bands, a posterior that stays inside, and broken ones that do not."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import ClassVar

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import compiled, isoflop_design
from scipy import stats

import scalefit as sf
from scalefit.infer import Engine
from scalefit.infer._contracts import EngineResult
from scalefit.validation import _ecdf as ecdf

MODEL, TABLES = sf.Model(noise=sf.Normal()), 120
FEW = 15  # tables: each number of them has programs of its own
ENGINE = sf.AIS(chains=2, draws=200, block=500)
DESIGN = {name: values[::2] for name, values in isoflop_design().items()}


@dataclass(frozen=True)
class Spoiled(Engine):
    """An engine with another `run_many`, from (bounds, seeds)."""

    instead: Callable
    kind: ClassVar = "posterior"

    def run(self, bound, seed, report):
        raise NotImplementedError

    def run_many(self, bounds, seeds):
        return self.instead(bounds, seeds)


def half_as_wide(bounds, seeds):
    halve = lambda draws: np.median(draws) + 0.5 * (np.asarray(draws) - np.median(draws))
    found = ENGINE.run_many(bounds, seeds)
    return [replace(result, draws={k: halve(draws) for k, draws in result.draws.items()}) for result in found]


@lru_cache
def prior_sampler():
    """As one program: operation by operation each of them is one, and is called for each table."""
    return compiled(lambda key: MODEL.space.sample(key, 400))


def prior(bounds, seeds):
    drawn = [prior_sampler()(jax.random.PRNGKey(seed)) for seed in seeds]
    return [EngineResult({name: values[None] for name, values in draws.items()}) for draws in drawn]


def sometimes(bounds, seeds):
    pairs = zip(prior(bounds, seeds), seeds, strict=True)
    return ["this engine has had enough." if seed % 3 == 0 else result for result, seed in pairs]


def calibration(engine=ENGINE, tables=TABLES, **options):
    return sf.validation.sbc(MODEL, DESIGN, engine=engine, tables=tables, **options)


@pytest.fixture(scope="module")
def found():
    return calibration()


def test_the_probability_of_a_band_is_exact():
    """Four ranks of 0 to 4, every one of the 625 cases."""
    cases = [ecdf.counts_below(np.array(ranks), 5) for ranks in product(range(5), repeat=4)]
    deepest = np.array([ecdf.depth(counts, 4, 5) for counts in cases])
    for counts, deep in zip(cases[::40], deepest[::40], strict=True):
        assert ecdf.p_value(counts, 4, 5) == pytest.approx((deepest <= deep * (1 + 1e-9)).mean(), abs=1e-9)


def test_uniform_ranks_leave_the_band_as_rarely_as_is_said():
    """1,000 sets of 80 ranks against a 90 % band. False alarms: 1 in 1,000."""
    lower, upper = ecdf.band(80, 20, 0.9)
    drawn = np.random.default_rng(0).integers(0, 20, (1000, 80))
    counts = np.array([ecdf.counts_below(ranks, 20) for ranks in drawn])
    outside = ((counts < lower) | (counts > upper)).any(axis=1)
    assert outside.sum() <= stats.binom(1000, 0.1).ppf(0.999)
    assert outside.sum() >= stats.binom(1000, 0.08).ppf(0.001), "a band of whole counts is not much too wide"
    low = [ecdf.p_value(row, 80, 20) <= 0.1 for row in counts[:100]]
    np.testing.assert_array_equal(low, outside[:100])


def test_places_among_equals_are_drawn_at_random():
    """False-alarm rate 1e-3; NaN lies above all else."""
    rng = np.random.default_rng(0)
    ranks = [ecdf.rank(1.0, np.array([0.0, 1.0, 1.0, 2.0]), rng) for _ in range(600)]
    assert stats.chisquare(np.bincount(ranks, minlength=5)[1:4]).pvalue > 1e-3
    assert sum(np.bincount(ranks, minlength=5)[[0, 4]]) == 0
    assert ecdf.rank(np.nan, np.array([0.0, np.inf]), rng) in (1, 2)


@pytest.mark.slow
def test_truth_drawn_from_the_prior_falls_anywhere_in_the_posterior(found):
    """Parameters, exponents, optimum and log-likelihood. False-alarm rate: 1 in 1,000 over all."""
    assert set(found.ranks) == {"E", "A", "B", "alpha", "beta", "sigma", "a", "b", "log_likelihood", "N_opt[1e22]",
                                "loss[1e22]"}  # fmt: skip
    assert all(found.inside(false_alarm=1e-3).values()), found.summary()
    assert not found.failures
    assert "all 11 quantities inside" in found.headline()


def test_a_posterior_half_as_wide_falls_outside(found):
    """Power: intervals too narrow by two, the error of published fits, are caught in every parameter."""
    narrow = calibration(Spoiled(half_as_wide))
    kept = narrow.inside(false_alarm=1e-3)
    assert not any(kept[p.name] for p in MODEL.params()), narrow.summary()
    assert max(narrow.coverage(0.9)[p.name] for p in MODEL.params()) < min(found.coverage(0.9).values())


def test_only_the_likelihood_sees_that_a_posterior_ignores_the_data():
    """The prior itself, as a posterior: every parameter's rank is uniform. False-alarm rate: 1 in 1,000 over all."""
    kept = calibration(Spoiled(prior)).inside(false_alarm=1e-3)
    assert [name for name, good in kept.items() if not good] == ["log_likelihood"]


def test_failures_are_counted_not_dropped():
    found = calibration(Spoiled(sometimes), tables=FEW)
    assert 0 < len(found.failures) < FEW
    assert set(found.failures.values()) == {"this engine has had enough."}
    assert {len(ranks) for ranks in found.ranks.values()} == {FEW - len(found.failures)}
    assert f"{len(found.failures)} tables failed" in found.headline()


def test_shards_join_to_the_ranks_of_one_process():
    engine = Spoiled(sometimes)
    whole = calibration(engine, tables=FEW)
    parts = [calibration(engine, tables=FEW, shard=f"{k}/2") for k in (2, 1)]
    joined = sf.validation.SBC.joined(parts)
    assert joined.failures == whole.failures
    assert "SBC on 7 tables" in repr(parts[0])
    for name, ranks in whole.ranks.items():
        np.testing.assert_array_equal(joined.ranks[name], ranks)
    np.testing.assert_array_equal(joined.effective, whole.effective)
    for some in (parts[:1], [*parts, parts[0]]):
        with pytest.raises(sf.OptionError, match="each shard once"):
            sf.validation.SBC.joined(some)


def test_the_same_seed_gives_the_same_ranks():
    first, again, other = (calibration(tables=FEW, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(again.ranks["E"], first.ranks["E"])
    assert (other.ranks["E"] != first.ranks["E"]).any()


def test_bands_p_values_and_distances_agree(found):
    table = found.summary(false_alarm=0.3)
    assert list(table.columns) == ["difference", "p_value", "inside", "cover_50", "cover_90"]
    assert (table["inside"] == (table["difference"] < 1)).all()
    assert table["difference"].is_monotonic_decreasing
    lower, upper = found.band(found.family_prob(0.3))
    for name, kept in table["inside"].items():
        share = found.ecdf(name)
        assert kept == bool(((lower <= share) & (share <= upper)).all())
    assert lower.shape == found.shares.shape == (99,)


def test_the_picture_has_a_panel_a_quantity(found, tmp_path):
    axes = sf.plots.sbc(found)
    assert [ax.get_title().split(":")[0] for ax in axes if ax.get_visible()] == list(found.ranks)
    assert sf.plots.save(axes, tmp_path / "sbc.png").stat().st_size > 20_000
    plt.close("all")


def test_what_cannot_be_done_is_refused():
    with pytest.raises(sf.OptionError, match="at least 2"):
        calibration(tables=1)
    with pytest.raises(sf.OptionError, match="at least 4"):
        calibration(draws=3)
    with pytest.raises(sf.OptionError, match="too few to rank among 500"):
        calibration(tables=FEW, draws=500)
    with pytest.raises(sf.DataError, match="moe law also takes experts"):
        sf.validation.sbc(sf.Model("moe"))
    with pytest.raises(sf.DataError, match="the design: 3 runs cannot determine"):
        sf.validation.sbc(MODEL, {name: values[:3] for name, values in DESIGN.items()})
    wild = sf.Model(noise=sf.Normal(), priors={"sigma": sf.Prior.of("LogNormal", loc=12, scale=0.1)})
    with pytest.raises(
        sf.FitError, match=rf"none of {FEW} tables could be fitted: its simulated losses leave the range"
    ):
        sf.validation.sbc(wild, DESIGN, tables=FEW)
