"""What the template shows beside the answer: parameters, health, runs, provenance."""

import re
from dataclasses import replace
from typing import Any

import numpy as np

from scalefit.fits.fit import Fit
from scalefit.infer import Engine
from scalefit.io.datasets import CATALOGUE
from scalefit.loss_units import of_loss
from scalefit.model.model import Model
from scalefit.planning.assumptions import Assumptions
from scalefit.reports.answer import PROB, FirstView, in_words
from scalefit.text.plans import assumptions_sentence
from scalefit.text.reports import FAILED, POINT, SCRIPT_OFF, failed_reasons
from scalefit.units import format_count, format_flops

ROWS = 500  # of the run table


def view_of(fit: Fit, view: FirstView, title: str, draws: int, redact: bool) -> dict[str, Any]:
    """The template's values, all texts; autoescaped there.

    Parameters
    ----------
    fit, view, title, draws, redact
        Of the page.
    """
    failed = fit.health.verdict == "fail"
    return {
        "title": title,
        "subtitle": _subtitle(fit, redact),
        "failed": FAILED if failed else "",
        "reasons": failed_reasons(fit.health) if not redact else [c.name for c in fit.health.doubts],
        "note": POINT if fit.kind == "point" else "",
        "script_off": SCRIPT_OFF,
        "sentence": view.sentence,
        "caution": view.caution,
        "tiles": view.tiles,
        "frontier": view.frontier,
        "planner": view.plan is not None,
        "prob": f"{100 * PROB:g}%",
        "assumed": assumptions_sentence(view.plan.assumptions, PROB) if view.plan and not redact else "",
        "has_discrepancy": fit.has_discrepancy,
        "health": fit.health.verdict,
        "checks": () if redact else fit.health.checks,
        "parameters": () if failed else _parameters(fit),
        "runs": () if redact else _runs(fit),
        "run_columns": () if redact else tuple(fit.runs.columns),
        "more_runs": max(0, len(fit.runs) - ROWS),
        "provenance": _provenance(fit, draws, redact),
        "equation": fit.model.law.equation,
        "loss_unit": fit.runs.unit,
    }


def plain_view(title: str, comparison: Any, assumptions: Assumptions, redact: bool) -> dict[str, Any]:
    """The template's values of a page without a fit: a comparison of runs, and what it rests on."""
    health = assumptions.health
    return {
        **dict.fromkeys(("failed", "note", "caution", "assumed", "equation"), ""),
        **dict.fromkeys(("tiles", "frontier", "parameters", "runs", "run_columns", "reasons"), ()),
        "title": title,
        "subtitle": "" if redact else f"from {assumptions.table}, by the {assumptions.law} law",
        "script_off": SCRIPT_OFF,
        "sentence": comparison.sentence,
        "comparison": replace(comparison, sentence=""),
        "planner": False,
        "prob": f"{100 * PROB:g}%",
        "has_discrepancy": assumptions.discrepancy,
        "health": health.verdict,
        "checks": () if redact else health.checks,
        "more_runs": 0,
        "provenance": () if redact else [("Assumptions", assumptions_sentence(assumptions, PROB))],
        "loss_unit": assumptions.loss_unit,
    }


def _subtitle(fit: Fit, redact: bool) -> str:
    low, high = fit.compute_range if {"params", "tokens"} <= set(fit.runs.columns) else (np.nan, np.nan)
    span = "" if np.isnan(low) else f", {format_flops(low)} to {format_flops(high)} FLOP"
    table = "" if redact else f"{fit.runs.name}: "
    return f"{table}{len(fit.runs)} runs{span}; the {fit.model.law.name} law"


def _parameters(fit: Fit) -> list[list[str]]:
    rows = []
    meaning = {p.name: (p.meaning, p.unit) for p in fit.model.params()}
    for name, values in {**fit.draws, **fit.law_derived}.items():
        words, unit = meaning.get(name, ("", "1"))
        rows.append([name, words, *in_words(values.reshape(-1)), "" if unit == "1" else of_loss(unit, fit.runs.unit)])
    return rows


def _runs(fit: Fit) -> list[list[str]]:
    forms: dict[str, Any] = {
        "params": format_count,
        "tokens": format_count,
        "flops": format_flops,
        "loss": "{:.4f}".format,
    }
    columns = [
        [forms.get(name, lambda v: f"{v:.6g}")(v) if values.dtype.kind == "f" else str(v) for v in values[:ROWS]]
        for name, values in fit.runs.columns.items()
    ]
    return [[str(i + 1), *cells] for i, cells in enumerate(zip(*columns, strict=True))]


def _provenance(fit: Fit, draws: int, redact: bool) -> list[tuple[str, str]]:
    model, name = fit.model, "RUNS" if redact else fit.runs.name
    priors = ", ".join(f"{p.name} ~ {p.prior}" for p in model.params())
    versions = ", ".join(f"{package} {version}" for package, version in fit.versions.items())
    return [
        ("Data", "left out" if redact else f"{name}, {len(fit.runs)} runs, SHA-256 {fit.runs.fingerprint}"),
        ("Law", f"{model.law.name}: {model.law.equation}"),
        ("Noise on ln loss", model.noise.name),
        ("Discrepancy", _discrepancy(fit)),
        ("Priors", priors),
        ("Engine and seed", f"{fit.engine}; seed {fit.seed}"),
        ("Versions", versions),
        ("Command", f"scalefit fit {name}{_options(fit)} -o fit.nc && scalefit report fit.nc --draws {draws}"),
        ("Python", f'sf.report(sf.fit({_reading(name)}{_arguments(fit)}), "report.html", draws={draws})'),
        (
            "Cite",
            f"The scalefit developers. scalefit: Bayesian scaling laws, version {fit.versions.get('scalefit', '')}.",
        ),
    ]


def _discrepancy(fit: Fit) -> str:
    if not fit.has_discrepancy or fit.model.discrepancy is None:
        return "none"
    sets = len(fit.model.discrepancy.scales)
    return f"included in every answer; {sets} sets of scales, weighed by the marginal likelihood of these runs"


def _options(fit: Fit) -> str:
    """Law, engine and seed on the command line, where they are not those by default."""
    law = "" if fit.model.law == Model().law else f" --law {fit.model.law.name}"
    engine = fit.engine.partition("(")[0]
    names = [name for name, known in Engine.registry.items() if known.__name__ == engine and engine != "Auto"]
    return law + "".join(f" --engine {name}" for name in names) + (f" --seed {fit.seed}" if fit.seed else "")


def _arguments(fit: Fit) -> str:
    """The same in Python."""
    law = "" if fit.model.law == Model().law else f', sf.Model("{fit.model.law.name}")'
    engine = "" if fit.engine.startswith("Auto(") else ", engine=" + re.sub(r"\b([A-Z]\w*\()", r"sf.\1", fit.engine)
    return f"{law}{engine}, seed={fit.seed}"


def _reading(name: str) -> str:
    """The call that reads the table: shipped ones by name."""
    shipped = name in {dataset.name for dataset in CATALOGUE}
    return f'sf.datasets.load("{name}")' if shipped else f'sf.read_runs("{name}")'
