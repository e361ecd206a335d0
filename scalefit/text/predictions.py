"""Predicted losses in plain words."""

from collections.abc import Mapping, Sequence

import numpy as np

from scalefit._quantities import quantity, write
from scalefit.counting.compute import SAME_COMPUTE
from scalefit.fits.fit import Fit
from scalefit.loss_units import in_unit, source_sentence
from scalefit.planning import LeastInput
from scalefit.text.fits import caution, health_sentence
from scalefit.text.phrases import ranged, ratio
from scalefit.units import chance, percent


def prediction_sentence(
    inputs: Mapping[str, float], loss: np.ndarray, one_run: np.ndarray, prob: float, unit: str
) -> str:
    """The loss at one point: expected, and of one run, each median, lower and upper (3,)."""
    place = ", ".join(_amount(name, value) for name, value in inputs.items())
    at = "At the optimum of" if "flops" in inputs and len(inputs) == 1 else "At"
    return (
        f"{at} {place} the expected loss is {in_unit(ranged(loss, write), unit)}, the loss of one run "
        f"{ranged(one_run, write)}{'' if np.isnan(loss[1]) else f' (median and {percent(prob)} interval)'}."
    )


def prediction_caution(fit: Fit, points: Sequence[Mapping[str, float]], discrepancy: bool) -> str:
    """What to know before predictions: bad health, and how far the furthest lies beyond the data."""
    cost = fit.mean_cost
    flops = [
        point["flops"] if "flops" in point else float(cost.flops(point["params"], point["tokens"]))
        for point in points
        if "flops" in point or {"params", "tokens"} <= set(point)
    ]
    far = [
        caution(end, fit.compute_range, discrepancy, fit.model.evidence)
        for end in ([min(flops), max(flops)] if flops else [])
    ]
    names = [
        name for name in points[0] if name in fit.runs.columns and not (flops and name in ("params", "tokens", "flops"))
    ]
    beyond = [_beyond(name, [point[name] for point in points], fit.runs[name]) for name in names]
    return " ".join(filter(None, [health_sentence(fit.health), *dict.fromkeys(far), *beyond]))


def _beyond(name: str, asked: Sequence[float], seen: np.ndarray) -> str:
    """How far one input lies beyond the table's; empty inside."""
    low, high = float(seen.min()), float(seen.max())
    if max(asked) > SAME_COMPUTE * high:
        return f"{_amount(name, max(asked))} is {ratio(max(asked) / high)} times the most of any run: an extrapolation."
    if min(asked) < low / SAME_COMPUTE:
        return f"{_amount(name, min(asked))} is 1/{ratio(low / min(asked))} of the least of any run: an extrapolation."
    return ""


def _amount(name: str, value: float) -> str:
    """A number with what it counts: "70B parameters"."""
    unit = quantity(name).unit
    return f"{write(value, unit)} {name if unit == '1' else unit}"


def least_input_paragraph(found: LeastInput, prob: float) -> str:
    """What a loss takes of a law's one input, at even odds and with confidence."""
    even, sure = (
        f"{found.written(value)} (P(one run below target) {chance(share)})"
        for value, share in zip((found.even, found.sure), found.one_run, strict=True)
    )
    sentence = f"At even odds it takes {even}. For {percent(found.confidence)} confidence it takes {sure}."
    return f"{found.headline(prob)} {sentence}"


def least_input_caution(found: LeastInput) -> str:
    """What to know before that: bad health, and how far it lies beyond the data."""
    far = _beyond(found.input, [found.even, found.sure], np.array(found.seen))
    return " ".join(filter(None, [health_sentence(found.health), far]))


def included_sentence(fit: Fit, discrepancy: bool, prob: float) -> str:
    """What a predicted loss and its interval mean."""
    drawn = {"posterior": "parameter uncertainty", "bootstrap": "resampling of the runs"}.get(fit.kind)
    included = f"{drawn} and the discrepancy" if discrepancy else f"{drawn} alone (law only)"
    ends = (
        f"Intervals are {percent(prob)}, equal-tailed, and include {included}; those of one run include its noise too."
    )
    ends = ends if drawn else "A point estimate has no interval for the expected loss."
    return f"{source_sentence(fit.runs.unit, fit.runs.name)} {ends}"
