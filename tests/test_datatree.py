"""A fit as an ArviZ DataTree."""

import numpy as np
import pytest
from conftest import isoflop_design

import scalefit as sf


def test_arviz_works_on_the_tree_as_it_is(chinchilla_fit):
    import arviz_stats as az

    tree = chinchilla_fit.to_datatree()
    assert {"posterior", "log_likelihood", "log_prior", "posterior_predictive", "sample_stats", "observed_data",
            "constant_data"} == set(tree.children)  # fmt: skip
    loo = az.loo(tree)
    assert loo.elpd == pytest.approx(879.8, abs=1.0)
    assert float(np.max(loo.pareto_k)) < 0.7
    pit = az.loo_pit(tree)["log_loss"].values
    assert pit.shape == (240,)
    assert 0.4 < pit.mean() < 0.6
    assert az.psense_summary(tree, round_to=4).loc[["E", "alpha", "beta"], "prior"].astype(float).max() < 0.05
    assert "alpha" in az.summary(tree).index


def test_arviz_reads_a_samplers_statistics(nuts_fit):
    import arviz_stats as az

    tree = nuts_fit.to_datatree()
    ours = {check.name: check.value for check in nuts_fit.health.checks}["E-BFMI"]
    assert float(az.bfmi(tree)["energy"].min()) == pytest.approx(ours, rel=0.01)


def test_log_likelihood_is_the_noise_around_the_law(small_fit):
    from scipy import stats

    tree, t = small_fit.to_datatree(), {k: v[..., None] for k, v in small_fit.draws.items()}
    runs = small_fit.runs
    mean = np.log(t["E"] + t["A"] * runs.params ** -t["alpha"] + t["B"] * runs.tokens ** -t["beta"])
    exact = stats.t.logpdf(np.log(runs.loss), t["nu"], mean, t["sigma"])
    np.testing.assert_allclose(tree["log_likelihood"]["log_loss"].values, exact, rtol=1e-8, atol=1e-8)


def test_every_dimension_has_a_coordinate_and_quantities_a_unit(small_fit):
    tree = small_fit.to_datatree(predictions=isoflop_design())
    for group in tree.subtree:
        assert set(group.dims) == set(group.coords)
    units = {name: tree["constant_data"][name].attrs["units"] for name in ("params", "tokens", "flops", "loss")}
    assert units == {"params": "parameters", "tokens": "tokens", "flops": "FLOP", "loss": "nats per token"}
    assert tree["predictions"]["loss"].attrs["units"] == "nats per token"
    assert tree["posterior"]["E"].attrs["units"] == "nats"


def test_predictions_of_the_law_alone_keep_the_chains(small_fit):
    from dataclasses import replace

    law_only = replace(small_fit, model=replace(small_fit.model, discrepancy=None))
    new_runs = isoflop_design(budgets=2, sizes=3)
    tree = law_only.to_datatree(predictions=new_runs)
    loss = tree["predictions"]["loss"]
    assert loss.dims == ("chain", "draw", "run")
    assert dict(loss.sizes) == {"chain": 4, "draw": 500, "run": 6}
    np.testing.assert_array_equal(loss.values.reshape(-1, 6), law_only.predict(new_runs))
    assert tree["predictions"].attrs["discrepancy"] == 0
    np.testing.assert_allclose(tree["predictions_constant_data"]["params"], new_runs["params"])
    np.testing.assert_allclose(tree["predictions_constant_data"]["flops"], 6 * new_runs["params"] * new_runs["tokens"])


def test_predictions_with_discrepancy_have_draws_of_their_own(small_fit):
    """The draws of law and discrepancy are not those of `posterior`, and no dimension pairs them."""
    new_runs = isoflop_design(budgets=2, sizes=3)
    tree = small_fit.to_datatree(predictions=new_runs)
    loss = tree["predictions"]["loss"]
    assert loss.dims == ("draw", "run")
    np.testing.assert_array_equal(loss.values, small_fit.predict(new_runs))
    assert tree["predictions"].attrs["discrepancy"] == 1


def test_arviz_summarises_predictions(small_fit):
    import arviz_stats as az

    tree = small_fit.to_datatree(predictions=isoflop_design(budgets=2, sizes=3))
    table = az.summary(tree["predictions"].to_dataset(), sample_dims="draw", kind="stats", round_to="none")
    median = np.median(small_fit.predict(isoflop_design(budgets=2, sizes=3)), axis=0)
    np.testing.assert_allclose(table["mean"].astype(float), median, rtol=0.02)


def test_a_tree_asks_for_no_law_by_name(small_fit):
    law = sf.laws.FunctionLaw(
        lambda t, x: t["E"] + t["A"] * x["params"] ** -0.3,
        inputs=("params",),
        priors={"E": sf.Prior.of("LogNormal", loc=0.0, scale=1.0), "A": sf.Prior.of("LogNormal", loc=6.0, scale=2.0)},
    )
    tree = sf.fit(small_fit.runs, sf.Model(law), engine=sf.MAP()).to_datatree()
    assert tree["constant_data"]["params"].dims == ("run",)
