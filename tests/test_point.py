"""Point estimates: the published optima, and refits that lose nothing to a general optimiser."""

import numpy as np
import pytest
from conftest import TRUTH, isoflop_design, simulated
from scipy.optimize import minimize

import scalefit as sf

FIGURES = {  # FORMULAS: published refits of the 240 and 245 runs
    "huber 240": (sf.Huber(), "drop", {"E": 1.81722, "A": 477.83, "B": 2143.4, "alpha": 0.34731, "beta": 0.36717}),
    "huber 245": (sf.Huber(), "keep", {"E": 1.8913, "A": 495.7, "B": 12846, "alpha": 0.3493, "beta": 0.4531}),
    "lad 240": (
        sf.Huber(delta=1e-6),
        "drop",
        {"E": 1.8168, "A": 481.9, "B": 2085.0, "alpha": 0.3478, "beta": 0.3658},
    ),
}


def log_residuals(runs, theta):
    law = theta["E"] + theta["A"] * runs.params ** -theta["alpha"] + theta["B"] * runs.tokens ** -theta["beta"]
    return np.log(law) - np.log(runs.loss)


def huber(r, delta=1e-3, weight=1.0):
    size = np.abs(r)
    return float((weight * np.where(size <= delta, r**2 / 2, delta * (size - delta / 2))).sum())


def point(fit):
    return {name: float(values[0, 0]) for name, values in fit.draws.items()}


@pytest.mark.parametrize("case", FIGURES, ids=str)
def test_published_optima(case):
    engine, outliers, published = FIGURES[case]
    found = point(sf.fit(sf.datasets.load("chinchilla", outliers=outliers), engine=engine))
    assert {name: found[name] for name in published} == pytest.approx(published, rel=1e-3)


def test_objectives_at_published_constants(chinchilla):
    found = point(sf.fit(chinchilla, engine=sf.Huber()))
    assert huber(log_residuals(chinchilla, found)) == pytest.approx(1.018274e-3, abs=1e-8)
    hoffmann = sf.laws.find_law("chinchilla").reference()[1].theta
    exact = dict(hoffmann, E=np.exp(0.5267228), A=np.exp(6.0073404), B=np.exp(6.0179186))
    assert huber(log_residuals(chinchilla, exact)) == pytest.approx(1.231163e-3, abs=1e-8)


def test_least_absolute_deviations(chinchilla):
    found = point(sf.fit(chinchilla, engine=sf.Huber(delta=1e-6)))
    assert np.abs(log_residuals(chinchilla, found)).sum() <= 1.1295 + 1e-4


def test_the_published_grid_finds_the_same_optimum(chinchilla):
    grid, projected = (point(sf.fit(chinchilla, engine=sf.Huber(starts=s))) for s in ("grid", "projection"))
    assert grid == pytest.approx(projected, rel=1e-6)


@pytest.mark.parametrize("engine", [sf.Huber(), sf.LeastSquares(), sf.VPNLS(), sf.MAP()], ids=lambda e: e.name)
def test_noise_free_runs_give_the_truth_back(engine):
    """Exact recovery, whatever the ratio of exponents (here 3), where parabolas are biased."""
    theta = {**TRUTH, "alpha": 0.6, "beta": 0.2, "A": 5e4, "B": 60.0}
    x = isoflop_design()
    loss = theta["E"] + theta["A"] * x["params"] ** -0.6 + theta["B"] * x["tokens"] ** -0.2
    found = point(sf.fit(sf.Runs({**x, "loss": loss}), engine=engine))
    tolerance = 2e-3 if engine.name == "map" else 1e-5  # a mode is drawn a little to its prior
    assert {k: found[k] for k in ("E", "alpha", "beta")} == pytest.approx(
        {k: theta[k] for k in ("E", "alpha", "beta")}, rel=tolerance
    )


def test_vpnls_is_the_least_squares_of_the_loss(chinchilla):
    """No general optimiser finds less from there, and E, A, B are those of least squares at its exponents."""
    found = point(sf.fit(chinchilla, engine=sf.VPNLS()))

    def misfit(p):
        basis = np.column_stack([np.ones(240), (chinchilla.params / 1e9) ** -p[0], (chinchilla.tokens / 1e10) ** -p[1]])
        coefficients, *_ = np.linalg.lstsq(basis, chinchilla.loss, rcond=None)
        return float(((basis @ coefficients - chinchilla.loss) ** 2).sum())

    here = misfit([found["alpha"], found["beta"]])
    best = minimize(
        misfit, [found["alpha"], found["beta"]], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-14}
    )
    assert here == pytest.approx(best.fun, rel=1e-7)


def test_the_intervals_of_a_point_are_none(chinchilla):
    fit = sf.fit(chinchilla, engine=sf.Huber())
    table = fit.summary()
    assert fit.draws["E"].shape == (1, 1)
    assert table["median"].notna().all()
    assert table[["lower", "upper"]].isna().all(axis=None)
    assert fit.health.verdict == "ok"
    assert sf.plan(fit, 5.76e23).params == pytest.approx(7.32e10, rel=1e-2)


def test_options_are_checked():
    for bad in (lambda: sf.Huber(delta=0), lambda: sf.Huber(starts="luck"), lambda: sf.Bootstrap(resamples=1)):
        with pytest.raises(sf.OptionError):
            bad()
    with pytest.raises(sf.OptionError, match="point estimate"):
        sf.Bootstrap(of=sf.NUTS())


@pytest.fixture(scope="module")
def bootstrap(chinchilla):
    return sf.fit(chinchilla, engine=sf.Bootstrap())


def test_bootstrap_errors_are_the_published_ones(bootstrap):
    """4,000 pairs bootstraps of Besiroglu et al. 2024; 10 %."""
    draws = {**bootstrap.draws, **bootstrap.law_derived}
    published = {"A": 124, "B": 1290, "E": 0.0257, "alpha": 0.0154, "beta": 0.0206, "a": 0.020}
    assert {name: float(draws[name].std()) for name in published} == pytest.approx(published, rel=0.1)


def test_refits_reach_what_scipy_reaches(chinchilla, bootstrap):
    """Every twentieth of the first 200 resamples, against BFGS from the same start and from Hoffmann's constants."""
    from scalefit.infer.bootstrap import _counts

    bound = sf.Model().bind(chinchilla)
    counts = _counts(bound, sf.Bootstrap(), np.random.default_rng(0))
    names = ("E", "A", "B", "alpha", "beta")
    log_n, log_d, log_l = (np.log(v) for v in (chinchilla.params, chinchilla.tokens, chinchilla.loss))
    starts = [np.array([0.6, 6.17, 7.67, 0.347, 0.367]), np.array([0.527, 6.007, 6.018, 0.339, 0.285])]

    def objective(p, weight):
        terms = np.stack([np.full(240, p[0]), p[1] - p[3] * log_n, p[2] - p[4] * log_d])
        return 1e3 * huber(np.logaddexp.reduce(terms) - log_l, weight=weight)

    for index in range(0, 200, 20):
        theta = {name: bootstrap.draws[name][0, index] for name in names}
        ours = huber(log_residuals(chinchilla, theta), weight=counts[index])
        theirs = min(minimize(objective, start, args=(counts[index],), method="BFGS").fun for start in starts) / 1e3
        assert ours <= theirs * (1 + 1e-6)


def test_bootstraps_by_cluster_and_by_residual(quick):
    runs = simulated()
    runs = sf.Runs({**runs.columns, "budget": np.repeat(np.arange(8), 10)})
    pairs, clusters, residual = (
        sf.fit(runs, engine=sf.Bootstrap(resamples=300, **options)).draws["alpha"].std()
        for options in ({}, {"cluster": "budget"}, {"residual": True})
    )
    assert 0.3 < residual / pairs < 3
    assert 0.3 < clusters / pairs < 3
    assert clusters != pairs
    one_group = sf.Runs({**runs.columns, "budget": np.zeros(80)})
    with pytest.raises(sf.DataError, match="one group"):
        sf.fit(one_group, engine=sf.Bootstrap(resamples=300, cluster="budget"))
