"""Simulation-based calibration of the posterior with discrepancy: truths of law, scales, path and noise together.

Truths are drawn as the model says: law and noise from the priors, a set of scales, a path of the process, and only
those on which the loss falls where `scalefit.sampling.monotone` says that it does. Draws of the posterior of each
simulated table are ranked against its truth, at the runs' parameters and far beyond the runs.
"""

import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import scalefit as sf
from scalefit._precision import precision
from scalefit._random import prng_key
from scalefit.infer.many import table_seed
from scalefit.model.discrepancy import coordinates
from scalefit.model.model import BoundModel, Model
from scalefit.model.paths import AtPivots, _amplitudes, sample_paths, values_at
from scalefit.runs import Runs
from scalefit.sampling.discrepancy_posterior import pivots_of, sample_discrepancy_posterior
from scalefit.sampling.monotone import known_grid, law_losses, loss_falls
from scalefit.validation import SBC, _ecdf

ENGINE = sf.AIS(draws=250)
TIMES = (3.0, 10.0, 44.0, 1000.0)  # the largest compute of the runs, where losses and slopes are ranked
DRAWS = 99
BATCH = 2000  # truths proposed at a time
Ranks = dict[str, list[int]]
Spoil = Callable[[list[AtPivots], np.ndarray, dict[str, np.ndarray]], dict[str, np.ndarray]]


def design() -> dict[str, np.ndarray]:
    """Every fourth of the 240 runs."""
    runs = sf.datasets.load("chinchilla")
    return {"params": runs.params[::4], "tokens": runs.tokens[::4]}


def places(runs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """At each of `TIMES`, the runs' geometric mean of tokens per parameter, and four times it."""
    ratio = np.exp(np.log(runs["tokens"] / runs["params"]).mean()) * np.tile([1.0, 4.0], len(TIMES))
    flops = np.repeat(TIMES, 2) * (6 * runs["params"] * runs["tokens"]).max()
    params = np.sqrt(flops / 6 / ratio)
    return {"params": params, "tokens": ratio * params}


def truths(model: Model, count: int, seed: int) -> tuple[BoundModel, dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """The model on the design, parameters (truth,), ln loss of the runs without noise, and ln loss at `places`."""
    x = design()
    bound = model.on_design(Runs({**x, "loss": np.ones(len(x["params"]))}, name="the design"))
    priors, grid, rng = model.with_discrepancy_priors, known_grid(bound.runs), np.random.default_rng(seed)
    at = pivots_of(bound)
    found: list[tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]] = []
    with precision():
        while sum(len(each[1]) for each in found) < count:
            theta = priors.space.sample(prng_key(int(rng.integers(2**32))), BATCH)
            raw = bound.to_raw({name: np.asarray(values, dtype=float) for name, values in theta.items()})
            component = rng.choice(len(at), BATCH, p=model.discrepancy.probabilities)
            paths = sample_paths(at, component, rng.normal(size=(BATCH, bound.bases[1].shape[-1])), rng)
            far = places(x)

            def log_loss(x: dict[str, np.ndarray], raw: Any = raw, c: Any = component, p: Any = paths) -> np.ndarray:
                return np.log(np.asarray(law_losses(model.law, raw, x)[0])) + values_at(at, c, p, coordinates(x))

            kept = loss_falls(np.exp(log_loss(grid.places)), np.asarray(law_losses(model.law, raw, far)[1]), grid)
            raw = {name: values[kept] for name, values in raw.items()} | {"component": component[kept]}
            found.append((raw, log_loss(x)[kept], log_loss(far)[kept]))
    joined = [np.concatenate([each[i] for each in found])[:count] for i in (1, 2)]
    theta = {name: np.concatenate([each[0][name] for each in found])[:count] for name in found[0][0]}
    return bound, theta, *joined


def joint_sbc(tables: int, seed: int = 0, model: Model | None = None, spoil: Spoil | None = None) -> SBC:
    """Ranks of the truth in the posterior with discrepancy of every simulated table.

    Parameters
    ----------
    tables
        How many.
    seed
        Of truths, tables and fits.
    model
        `sf.Model()` by default.
    spoil
        What is done to the posterior's paths before they are looked at: a sampler that is wrong on purpose.
    """
    model = model or sf.Model()
    bound, theta, at_runs, far = truths(model, tables, seed)
    at = pivots_of(bound)
    rng = np.random.default_rng((seed, 1))
    ranks: Ranks = {}
    failures: dict[int, str] = {}
    for i in range(tables):
        truth = {name: float(values[i]) for name, values in theta.items()}
        noise = model.noise.sample({k: np.array([truth[k]]) for k in ("sigma", "nu")}, at_runs[i][None], rng)[0]
        highest = noise.max()
        runs = Runs({**bound.runs.columns, "loss": 10 * np.exp(noise - highest)}, name=f"table {i}")
        unit = 10 * float(np.exp(-highest))
        table = BoundModel(bound.model, runs, {**bound.unit, "loss": unit})
        [result] = ENGINE.run_many([table], [table_seed(seed, i)])
        if isinstance(result, str):
            failures[i] = result
            continue
        start = table.to_raw({name: np.asarray(v, dtype=float).reshape(-1) for name, v in result.draws.items()})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = sample_discrepancy_posterior(table, start, table_seed(seed, i))
        paths = spoil(at, found.component, found.paths) if spoil else found.paths
        for name, (true, draws) in _quantities(model, found, paths, truth, far[i], unit).items():
            take = ((np.arange(DRAWS) + 0.5) * len(draws) / DRAWS).astype(int)
            ranks.setdefault(name, []).append(_ecdf.rank(true, rng.permutation(draws)[take], rng))
    arrays = {name: np.array(values) for name, values in ranks.items()}
    return SBC(arrays, DRAWS, tables, failures, np.full(tables - len(failures), float(DRAWS)))


def too_smooth(at: list[AtPivots], component: np.ndarray, paths: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The mean path through the same values at the pivots, without any waves: right at the runs, too sure elsewhere."""
    smooth = {name: np.array(values) for name, values in paths.items()}
    for k in np.unique(component):
        rows, here = component == k, at[k]
        values = _amplitudes(paths, rows) @ here.waves.T
        smooth["pull"][rows, : len(here.centres)] += values @ here.whiten.T @ here.whiten
    smooth["line"][:], smooth["plane"][:] = 0.0, 0.0
    return smooth


def _quantities(
    model: Model, found: Any, paths: dict[str, np.ndarray], truth: dict[str, float], far: np.ndarray, unit: float
) -> dict[str, tuple[float, np.ndarray]]:
    """Name -> the truth, and draws of it."""
    from scalefit.model.paths import discrepancies_at

    x = places(design())
    with precision():
        law = np.log(np.asarray(law_losses(model.law, found.theta, x)[0])) - np.log(unit)
        arrays: Any = jax.tree.map(np.asarray, paths)
        f = np.asarray(discrepancies_at(arrays, np.log(x["params"]), np.log(x["tokens"])))
    log_loss = law + f
    scale = {"E": unit, "A": unit, "B": unit}
    quantities = {k: (truth[k], np.asarray(v) / scale.get(k, 1.0)) for k, v in found.theta.items()}
    quantities["scales"] = float(truth["component"]), found.component.astype(float)
    for j, times in enumerate(TIMES):
        quantities[f"ln loss, {times:g} times"] = far[2 * j], log_loss[:, 2 * j]
        quantities[f"slope, {times:g} times"] = far[2 * j + 1] - far[2 * j], log_loss[:, 2 * j + 1] - log_loss[:, 2 * j]
    return quantities
