"""Errors that runs of a cluster share, and known errors of single runs."""

import json
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from conftest import compiled
from scipy.stats import multivariate_normal, norm
from scipy.stats import t as student

import scalefit as sf
from scalefit.infer._chunk import Batch, Chunk, RowSettings
from scalefit.infer._chunk_store import FolderStore
from scalefit.infer._contracts import EngineResult
from scalefit.infer._rows import rows_of
from scalefit.model.clusters import Clustered, Clusters, Layout, log_density_of_clusters
from scalefit.model.discrepancy import Discrepancy
from scalefit.model.noise import StudentT
from scalefit.numerics.newton import autodiff_value_grad_hess
from scalefit.sampling.alr import alr_potential, unconstrain_alr
from scalefit.sampling.marginal_discrepancy import LaplaceWeights, laplace_weights, law_residuals, marginal_potential
from scalefit.sampling.modes import derivatives
from scalefit.validation.holdout import checked

LAW = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
SHARED, OWN = 0.012, 0.003


def checkpoints(seed: int = 0, shared: float = SHARED, own: float = OWN) -> dict[str, np.ndarray]:
    """Five checkpoints of each of 40 runs."""
    rng = np.random.default_rng(seed)
    size = np.repeat(np.geomspace(3e7, 3e9, 8), 5)
    run = np.repeat(np.arange(40), 5)
    params = size[run]
    tokens = (size * np.tile(np.geomspace(5, 150, 5), 8))[run] * np.tile(np.linspace(0.4, 1, 5), 40)
    loss = LAW["E"] + LAW["A"] / params ** LAW["alpha"] + LAW["B"] / tokens ** LAW["beta"]
    loss = loss * np.exp(shared * rng.standard_normal(40)[run] + own * rng.standard_t(5, 200))
    return {"params": params, "tokens": tokens, "loss": loss, "run_id": np.array([f"r{i}" for i in run])}


@pytest.fixture(scope="module")
def estimate():
    return sf.fit(checkpoints(), engine=sf.MAP(), cluster="run_id")


@pytest.mark.parametrize("sizes", [[1, 7, 2, 9, 40], [1] * 30 + [40]], ids=str)
def test_the_density_of_a_cluster_is_the_integral_over_its_error(sizes):
    rng, theta = np.random.default_rng(0), {"sigma": 0.003, "nu": 4.0, "sigma_cluster": 0.01}
    group = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    r = 0.01 * rng.standard_normal(len(sizes))[group] + 0.003 * rng.standard_t(4, len(group))
    layout = Layout.of(np.bincount(group))
    run, taken, of_line = layout.lay(group)
    with jax.enable_x64(True):
        real = (np.arange(layout.clusters) < len(sizes)).astype(float)
        clusters = Clusters(
            *map(jnp.asarray, (group, real, run, taken)), jnp.asarray(of_line) if layout.lines else None
        )
        density = compiled(partial(log_density_of_clusters, StudentT()))
        ours = density(theta, jnp.asarray(r), np.ones(len(r)), clusters)
    u = np.linspace(-0.09, 0.09, 30_001)
    each = student.logpdf((r[:, None] - u) / 0.003, 4) - np.log(0.003)
    exact = [np.log(np.trapezoid(np.exp(each[group == k].sum(0)) * norm.pdf(u, 0, 0.01), u)) for k in range(len(sizes))]
    assert np.abs(np.asarray(ours)[: len(sizes)] - exact).max() < 0.06
    assert np.abs(np.asarray(ours)[: len(sizes)] - exact).mean() < 0.015
    assert not np.asarray(ours)[len(sizes) :].any()


def test_rows_of_many_fits_have_the_shared_scale(estimate, tmp_path):
    """Beside a table that failed, whose row has none."""
    batch = Batch(sf.Model(), sf.MAP(), 0, "float64", estimate.versions, 2, 2, False, RowSettings(health=False))
    found = EngineResult({name: np.asarray(v) for name, v in estimate.bound.to_unit(estimate.draws).items()})
    store = FolderStore(tmp_path, batch)
    store.write_rows(0, rows_of(batch, Chunk(0, (estimate.runs, None), (found, "no table"))))
    expected = pytest.approx(estimate.draws["sigma_cluster"].item(), rel=1e-9)
    for shared in (
        pd.read_parquet(sf.merge(tmp_path))["sigma_cluster_median"],
        sf.load(tmp_path).summary()["sigma_cluster", "median"],
    ):
        assert shared[0] == expected
        assert np.isnan(shared[1])


@pytest.mark.slow
def test_derivatives_through_clusters_are_those_of_the_density(estimate):
    with jax.enable_x64(True):
        bound = estimate.bound
        model, data = bound.model, bound.data
        alr = (
            unconstrain_alr(model, bound.to_unit({name: jnp.asarray(v[0]) for name, v in estimate.theta.items()})) + 0.1
        )
        ours, exact = (
            jax.jit(f)(alr)
            for f in (partial(derivatives, model, data), autodiff_value_grad_hess(partial(alr_potential, model, data)))
        )
    for name in ("value", "gradient", "hessian"):
        np.testing.assert_allclose(getattr(ours, name), getattr(exact, name), rtol=1e-7, atol=1e-5)


def test_scales_are_recovered_and_ignoring_clusters_confuses_them(estimate):
    """By the mode of one table: within 25 %, where 40 clusters tell the shared scale to 11 %."""
    assert estimate.draws["sigma_cluster"].item() == pytest.approx(SHARED, rel=0.25)
    assert estimate.draws["sigma"].item() == pytest.approx(OWN, rel=0.25)
    assert sf.fit(checkpoints(), engine=sf.MAP()).draws["sigma"].item() > 2 * OWN


@pytest.mark.parametrize(
    "errors", [{"cluster": "run_id"}, {"cluster": "run_id", "sd": "sd"}, {"weight": "weight"}], ids=str
)
def test_the_marginal_of_weights_and_clusters_is_exact_for_normal_noise(errors):
    """Beside the normal density of the runs under the covariance of discrepancy, clusters and noise."""
    table = {**checkpoints(), "sd": np.linspace(0.001, 0.02, 200), "weight": np.linspace(0.5, 4, 200)}
    discrepancy = Discrepancy.fixed(0.05, 5.0, 0.02)
    model = sf.Model(noise="normal", discrepancy=discrepancy)
    bound = model.bind(sf.Runs(table, **errors))
    basis, model = bound.bases[1][0], bound.model.with_discrepancy_priors
    truth = {**LAW, "sigma": OWN, "sigma_cluster": SHARED}
    theta = {name: truth[name] for name in (p.name for p in model.params())}

    @compiled
    def look(data, theta, basis):
        alr = unconstrain_alr(model, theta)
        near = LaplaceWeights.uninformed(basis, data)
        given = laplace_weights(model, data, near, *law_residuals(model, data, alr))

        def at_move(move):
            at, r = law_residuals(model, data, alr + move)
            prior = -model.potential(model.space.unconstrain(at), data)
            prior -= sf.model.likelihood.log_density(model.noise, at, data, r)
            return at, r, -marginal_potential(model, data, given, alr + move), prior

        return jax.vmap(at_move)(jnp.asarray([0.0, 0.02]))

    with jax.enable_x64(True):
        found = look(bound.data, {k: float(v) for k, v in bound.to_unit(theta).items()}, jnp.asarray(basis))
        both, residuals, ours, priors = jax.tree.map(np.asarray, found)
        exact = []
        for k, (r, prior) in enumerate(zip(residuals, priors, strict=True)):
            at = {name: values[k] for name, values in both.items()}
            group = bound.runs.clusters
            shared = 0.0 if group is None else float(at["sigma_cluster"]) ** 2 * (group[:, None] == group)
            own = float(at["sigma"]) ** 2 / (bound.runs.precision if bound.runs.weight else 1.0)
            own = own + (bound.runs.variance if bound.runs.sd else 0.0)
            own = np.diag(np.broadcast_to(own, 200))
            covariance = basis[:200] @ basis[:200].T + shared + own
            exact.append(prior + multivariate_normal(np.zeros(200), covariance).logpdf(r[:200]))
    # The constant of the weights' prior cancels.
    assert ours[1] - ours[0] == pytest.approx(exact[1] - exact[0], abs=1e-4)


def test_runs_alone_scatter_by_both_scales():
    noise, theta = (
        Clustered(StudentT()),
        {"sigma": np.array([0.01]), "nu": np.array([50.0]), "sigma_cluster": np.array([0.02])},
    )
    drawn = noise.sample(theta, np.zeros((1, 40_000)), np.random.default_rng(0))
    assert drawn.std() == pytest.approx(np.hypot(0.0102, 0.02), rel=0.03)


def test_tables_keep_what_is_said_of_errors(tmp_path, estimate):
    import pandas as pd

    path = tmp_path / "runs.csv"
    pd.DataFrame(checkpoints()).assign(se=0.01, val_bpb=lambda t: t["loss"]).drop(columns="loss").to_csv(
        path, index=False
    )
    runs = sf.read_runs(path, cluster="run_id", sd="se")
    assert runs.clusters.max() == 39
    np.testing.assert_allclose(np.sqrt(runs.in_nats(2.0).variance), 0.01 / runs.loss)
    assert runs.fingerprint != sf.read_runs(path).fingerprint
    both = runs.joined(replace(runs, name="again"))
    assert both.clusters.max() == 79, "equal names in two tables are two clusters"
    assert sf.read_runs(runs, cluster=("run_id", "params")).cluster == ("run_id", "params")
    loaded = sf.load(estimate.save(tmp_path / "fit.nc"))
    assert loaded.runs.cluster == ("run_id",)
    assert loaded.model == estimate.model
    assert loaded.runs.fingerprint == estimate.runs.fingerprint


def test_refusals(chinchilla):
    table = checkpoints()
    with pytest.raises(sf.DataError, match="run_id is missing"):
        sf.Runs({**table, "run_id": np.where(np.arange(200) == 3, "", table["run_id"])}, cluster="run_id")
    with pytest.raises(sf.DataError, match="not a positive|not zero|is not"):
        sf.Runs({**table, "w": -np.ones(200)}, weight="w")
    with pytest.raises(sf.DataError, match="no column"):
        sf.read_runs(table, cluster="seed")
    with pytest.raises(sf.DataError, match="one cluster"):
        sf.Model().bind(sf.Runs({**table, "one": np.ones(200)}, cluster="one"))
    with pytest.raises(sf.OptionError, match="no clusters"):
        sf.Model(priors={"sigma_cluster": 0.01}).bind(chinchilla)


def test_health_names_clusters_that_are_not_given(estimate):
    """On one table with a correlation of .9 within runs, and one without; false alarms: less than .2 %."""
    checks = {name: {c.name: c for c in fit.health.checks} for name, fit in {
        "given": estimate,
        "ignored": sf.fit(checkpoints(), engine=sf.MAP()),
        "independent": sf.fit(checkpoints(shared=0.0), engine=sf.MAP()),
    }.items()}  # fmt: skip
    assert {name: found["clusters"].verdict for name, found in checks.items()} == {
        "given": "ok", "ignored": "review", "independent": "ok",
    }  # fmt: skip
    assert "run_id" in checks["ignored"]["clusters"].sentence
    assert checks["given"]["one run"].verdict == "ok"


@pytest.mark.slow
def test_health_names_errors_that_clusters_do_not_share():
    """Errors that drift along each of eight runs, a correlation of .95 from one of 25 checkpoints to the next."""
    table = {name: values[np.repeat(np.arange(0, 200, 25), 25)] for name, values in checkpoints().items()}
    table["tokens"] = table["params"] * np.tile(np.geomspace(5, 150, 25), 8)
    loss = LAW["E"] + LAW["A"] / table["params"] ** LAW["alpha"] + LAW["B"] / table["tokens"] ** LAW["beta"]
    drift = np.random.default_rng(0).standard_normal((8, 25))
    for k in range(1, 25):
        drift[:, k] = 0.95 * drift[:, k - 1] + np.sqrt(1 - 0.95**2) * drift[:, k]
    fit = sf.fit({**table, "loss": loss * np.exp(0.01 * drift.ravel())}, engine=sf.MAP(), cluster="run_id")
    (found,) = (check for check in fit.health.checks if check.name == "one run")
    assert found.verdict == "review"
    assert "beyond the error that clusters share" in found.sentence
    assert "--cluster" not in found.sentence


@pytest.mark.slow
def test_many_tables_with_clusters_and_without_share_a_batch(estimate):
    tables = [
        sf.Runs(checkpoints(), cluster="run_id"),
        sf.Runs(checkpoints(1)),
        sf.Runs(checkpoints(), cluster="run_id"),
    ]
    fits = sf.fit_many(tables, engine=sf.MAP(), progress=False)
    assert not fits.failures
    found = [fits.result(i).draws for i in range(3)]
    assert "sigma_cluster" not in found[1]
    assert float(found[0]["sigma_cluster"].item()) == pytest.approx(estimate.draws["sigma_cluster"].item(), rel=1e-6)


def test_the_command_line_takes_clusters(run, tmp_path):
    import pandas as pd

    path = tmp_path / "runs.csv"
    pd.DataFrame(checkpoints()).to_csv(path, index=False)
    status, out, _ = run("fit", path, "--cluster", "run_id", "--engine", "map", "--json")
    document = json.loads(out)
    assert status == 0
    assert document["cluster"] == ["run_id"]
    assert "sigma_cluster" in document["summary"]
    status, _, err = run("fit", path, "--cluster", "seed")
    assert status == 2
    assert "seed" in err


@pytest.mark.slow
def test_importance_sampling_agrees_with_nuts():
    """Means within a fifth of a standard deviation, which Monte Carlo error exceeds once in thousands."""
    runs = sf.Runs(checkpoints(), cluster="run_id")
    ours, exact = sf.fit(runs), sf.fit(runs, engine=sf.NUTS(draws=1000, warmup=400))
    for name, draws in exact.draws.items():
        assert ours.draws[name].mean() == pytest.approx(draws.mean(), abs=0.2 * draws.std())
        assert ours.draws[name].std() == pytest.approx(draws.std(), rel=0.15)


def test_cuts_keep_clusters_whole():
    runs = sf.Runs(checkpoints(), cluster="run_id")
    ((_, train),) = checked(sf.above_compute(1e20), runs)
    assert (np.bincount(runs.clusters, train) % 5 == 0).all()
    assert train.sum() < (runs.flops <= 1e20).sum()
