"""Parts of a forecast's document: predictive distributions, the plan, and the fit they rest on."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scalefit._intervals import interval
from scalefit.errors import DataError
from scalefit.fits.fit import Fit
from scalefit.fits.netcdf import encode_model
from scalefit.frontier.optimum import trades
from scalefit.planning import Plan
from scalefit.validation.quantiles import DIGITS, LEVELS, Quantiles


def number(value: Any) -> float | None:
    """A number as JSON has it; None where it is not finite."""
    return float(f"{float(value):.{DIGITS}g}") if np.isfinite(value) else None


def encode_quantiles(found: Quantiles, run: int) -> dict[str, Any]:
    """The predictive distribution of one run."""
    expected = None if found.expected is None else found.expected[run]
    return {
        "one_run": _distribution(found.one_run[run]),
        "expected": None if expected is None else _distribution(expected),
        "middle": float(found.middle[run]),
        "density": {"loss": found.places[run].tolist(), "log_density": found.log_density[run].tolist()},
    }


def decode_quantiles(stored: Sequence[Mapping[str, Any]]) -> Quantiles:
    """The inverse over all runs; raises `DataError` where quantiles or places do not ascend."""
    density = {name: np.array([each["density"][name] for each in stored], float) for name in ("loss", "log_density")}
    with_expected = [each["expected"] for each in stored if each["expected"] is not None]
    if len(with_expected) not in (0, len(stored)):
        raise DataError("only some of its runs have an expected loss")
    expected = np.array([each["quantiles"] for each in with_expected], float) if with_expected else None
    one_run = np.array([each["one_run"]["quantiles"] for each in stored], float)
    for values in (one_run, density["loss"], one_run if expected is None else expected):
        if (np.diff(values, axis=1) < 0).any():
            raise DataError("its quantiles do not ascend")
    middle = np.array([each["middle"] for each in stored], float)
    return Quantiles(one_run, expected, middle, density["loss"], density["log_density"])


def _distribution(quantiles: np.ndarray) -> dict[str, Any]:
    """Quantiles, and the intervals among them."""
    at = {level: number(np.interp(level, LEVELS, quantiles)) for level in (0.5, 0.25, 0.75, 0.05, 0.95)}
    intervals = {"median": at[0.5], "interval_50": [at[0.25], at[0.75]], "interval_90": [at[0.05], at[0.95]]}
    return {**intervals, "quantiles": quantiles.tolist()}


def about_plan(plan: Plan) -> dict[str, Any]:
    """What a plan recommends and expects."""
    draws = {name: _ends(plan.draws[name]) for name in ("loss", "loss_one_run", "N_opt", "D_opt")}
    return {
        "budget": number(plan.budget),
        "unit": plan.cost.unit,
        "params": number(plan.params),
        "tokens": number(plan.tokens),
        "flops": number(plan.flops),
        "constraints": plan.constraints.describe(),
        "expected_loss": number(plan.loss),
        **draws,
        "near_optimal": [number(end) for end in plan.near_optimal],
        "wasted_compute": number(plan.wasted_compute),
    }


def _ends(draws: np.ndarray) -> dict[str, Any]:
    half, most = interval(draws, 0.5), interval(draws, 0.9)
    return {
        "median": number(half[0]),
        "interval_50": [number(end) for end in half[1:]],
        "interval_90": [number(end) for end in most[1:]],
    }


def about_fit(fit: Fit, discrepancy: bool, seed: int) -> dict[str, Any]:
    """The assumptions, law, model, table, engine, seed, versions and health of a fit."""
    runs, law, trading = fit.runs, fit.model.law, trades(fit.model.law)
    per = runs.tokens / runs.params if trading else np.array([])
    parameters = {}
    for name, values in fit.draws.items():
        ends = interval(values, 0.9, axis=(0, 1))
        parameters[name] = {
            "unit": fit.param_units[name],
            "median": number(ends[0]),
            "interval_90": [number(end) for end in ends[1:]],
        }
    return {
        "assumptions": {
            "kind": fit.kind,
            "discrepancy": discrepancy,
            "cost": fit.mean_cost.describe() if trading else None,
            "convention": runs.convention,
            "compute_range": [number(end) for end in fit.compute_range] if trading else None,
            "ratio_range": [number(per.min()), number(per.max())] if trading else None,
        },
        "law": {"name": law.name, "equation": law.equation, "parameters": parameters},
        "model": json.loads(encode_model(fit.model, by_digest=True)),
        "data": {"name": runs.name, "runs": len(runs), "sha256": runs.fingerprint},
        "engine": fit.engine,
        "seed": seed,
        "versions": dict(fit.versions),
        "health": {
            "verdict": fit.health.verdict,
            "checks": [{**vars(check), "value": number(check.value)} for check in fit.health.checks],
        },
    }
