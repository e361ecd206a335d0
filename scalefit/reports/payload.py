"""What the page computes on, as one JSON document."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from scalefit._results import PROB
from scalefit.costs.cost import SixND
from scalefit.costs.machines import ACCELERATORS, Machines
from scalefit.costs.measured import cost_of_runs
from scalefit.fits.diagnosis import Diagnosis
from scalefit.fits.fit import Fit
from scalefit.frontier.isoflops import crowded_budgets
from scalefit.frontier.optimum import TRADED, trades
from scalefit.io.published_models import published_models
from scalefit.model.discrepancy import Evidence
from scalefit.reports.answer import FirstView
from scalefit.reports.draws import WRITTEN, draws_payload
from scalefit.text.fits import LAW_ONLY_COVERAGE
from scalefit.text.plans import assumptions_sentence

FURTHEST = 1e4  # of the page's budgets, in multiples of the largest run's compute
DAYS = 30.0
PAIRS = 400  # draws of a pairs picture


def further_inputs(fit: Fit) -> dict[str, float]:
    """The law's inputs beyond params and tokens where the page begins: its defaults, else the runs' geometric mean."""
    law, found = fit.model.law, {}
    for name in law.inputs:
        if name in TRADED or np.isinf(law.defaults.get(name, 0.0)):
            continue
        found[name] = float(law.defaults.get(name, np.exp(np.log(np.asarray(fit.runs[name], dtype=float)).mean())))
    return found if trades(law) else {}


def payload(
    fit: Fit, view: FirstView, diagnosis: Diagnosis | None, title: str, draws: int, redact: bool
) -> dict[str, Any]:
    """The document.

    Parameters
    ----------
    fit, view, diagnosis, title
        Of the page.
    draws
        The most draws of each posterior that are sent.
    redact
        Whether the runs and every name of them are left out.
    """
    law = fit.model.law
    fixed = further_inputs(fit)
    found: dict[str, Any] = {
        "title": title,
        "version": fit.versions.get("scalefit", ""),
        "law": {
            "name": law.name,
            "equation": law.equation,
            "columns": list(law.inputs),
            "written": law.name in WRITTEN,
            "params": {p.name: p.meaning for p in law.params()},
        },
        "kind": fit.kind,
        "lossUnit": fit.runs.unit,
        "health": fit.health.verdict,
        "checks": [{**vars(c), "value": _finite(c.value)} for c in fit.health.checks] if not redact else [],
        "words": {"lawOnlyCoverage": LAW_ONLY_COVERAGE},
    }
    if view.plan is None:
        return found
    low, high = fit.compute_range
    both = {"joint": True, "law": False} if fit.has_discrepancy else {"law": False}
    return found | {
        "ranges": _ranges(fit),
        "budgets": [low, FURTHEST * high],
        "evidence": _evidence(fit.model.evidence),
        "draws": {name: draws_payload(fit, with_it, draws, fixed) for name, with_it in both.items()},
        "runs": None if redact else _runs(fit, diagnosis),
        "lines": [] if redact else crowded_budgets(fit.runs.flops, most=5).tolist(),
        "models": [{"name": m.name, "params": m.params, "tokens": m.tokens} for m in published_models()],
        "accelerators": [{"name": device.name, "peak": device.peak} for device in ACCELERATORS],
        "assumed": {name: _assumed(view, with_it, redact) for name, with_it in both.items()},
        "measured": cost_of_runs(fit.runs) != SixND(),
        "initial": initial_state(fit, view, fixed),
        "first": _first(view),
        "pairs": _pairs(fit),
    }


def initial_state(fit: Fit, view: FirstView, fixed: Mapping[str, float]) -> dict[str, Any]:
    """Where the controls stand at first."""
    machines = Machines()
    assert view.plan is not None, "a page without a plan has no controls"
    return {
        "budget": view.plan.budget, "unit": "flop", "shape": "free", "params": None, "tokens": None, "ratio": None,
        "unique": None, "served": 0.0, "servedPrice": 1.0, "target": None, "prob": PROB,
        "discrepancy": fit.has_discrepancy, "hasDiscrepancy": fit.has_discrepancy, "inputs": dict(fixed),
        "accelerator": machines.accelerator.name, "count": machines.count, "days": DAYS, "mfu": machines.mfu,
        "price": machines.price, "wasteParams": None, "wasteTokens": None,
    }  # fmt: skip


def _assumed(view: FirstView, discrepancy: bool, redact: bool) -> str:
    assert view.plan is not None
    assumptions = replace(view.plan.assumptions, discrepancy=discrepancy)
    return assumptions_sentence(replace(assumptions, table="the runs") if redact else assumptions, PROB)


def _first(view: FirstView) -> dict[str, Any]:
    assert view.plan is not None
    tiles = [{"label": row.label, "value": row.value, "under": row.beside} for row in view.tiles]
    return {"sentence": view.sentence, "caution": view.caution, "tiles": tiles, "near": list(view.plan.near_optimal)}


def _evidence(evidence: Evidence | None) -> dict[str, Any] | None:
    """How often intervals held, at which distances."""
    return None if evidence is None else asdict(evidence)


def _ranges(fit: Fit) -> dict[str, list[float]]:
    runs = fit.runs
    columns = {"flops": runs.flops, "params": runs.params, "tokens": runs.tokens, "ratio": runs.tokens / runs.params}
    return {name: [float(values.min()), float(values.max())] for name, values in columns.items()}


def _runs(fit: Fit, diagnosis: Diagnosis | None) -> dict[str, Any]:
    assert diagnosis is not None
    runs = fit.runs.subset(diagnosis.rows)
    columns = {"params": runs.params, "tokens": runs.tokens, "flops": runs.flops, "loss": runs.loss}
    found: dict[str, Any] = {name: values.tolist() for name, values in columns.items()}
    found |= {"row": (diagnosis.rows + 1).tolist(), "residual": diagnosis.residual.tolist()}
    return found | {"pit": diagnosis.pit.tolist(), "far": diagnosis.far.tolist()}


def _pairs(fit: Fit) -> dict[str, list[float]]:
    """Some draws of the law's parameters, by the law alone."""
    some = np.unique(np.linspace(0, len(next(iter(fit.theta.values()))) - 1, PAIRS).round().astype(int))
    return {p.name: [float(f"{v:.6g}") for v in fit.theta[p.name][some]] for p in fit.model.law.params()}


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
