"""Sentences of the report: the answer, how its figures are read, and why a fit has none."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from scalefit._digits import written
from scalefit._intervals import interval
from scalefit._quantities import ranged, write
from scalefit.costs.cost import SIX_ND
from scalefit.diagnostics.checks import Health
from scalefit.loss_units import in_unit
from scalefit.planning import Plan
from scalefit.units import chance, format_count, format_flops

FAILED = "This fit has no answer: its health is fail. Correct what the checks below report, and fit again."
SCRIPT_OFF = (
    "The figures and the planner need JavaScript. The answer above and the tables below are complete without it."
)
POINT = (
    "This fit is a point estimate, so that no number on this page has an interval. Use engine='auto' for a posterior."
)


def answer_sentence(plan: Plan, prob: float) -> str:
    """What to train, what to expect, and the sizes that are about as good, as page/answer.js says it."""
    n, d, loss = (interval(plan.draws[name], prob) for name in ("N_opt", "D_opt", "loss"))
    low, high = plan.near_optimal
    least, most = (format_count(plan.certain(each)) for each in (low, high))
    near = f" Any size from {least} to {most} costs at most 1% of the compute more."
    loss[0] = plan.loss
    measured = "" if plan.cost == SIX_ND else " as measured"
    return (
        f"With {format_flops(plan.budget)} FLOP{measured}, train {format_count(plan.certain(plan.params))} parameters"
        f"{_ends(n)} on {format_count(plan.certain(plan.tokens))} tokens{_ends(d)} for an expected loss of "
        f"{in_unit(ranged(loss, write), plan.assumptions.loss_unit)}.{near if high > 1.001 * low else ''}"
    )


def _ends(values: Float[np.ndarray, "3"]) -> str:
    _, lower, upper = written(values, format_count)
    return "" if np.isnan(values[1]) else f" [{lower}, {upper}]"


def failed_reasons(health: Health) -> Sequence[str]:
    """The checks that fail, then those to review."""
    return [f"{check.name}: {check.sentence}" for check in health.doubts]


def comparison_sentence(
    flops: float, best: str, share: float, above: Mapping[str, Float[np.ndarray, "3"]], unit: str
) -> str:
    """Which fit has the lowest loss at a budget, how sure that is, and how far above it the others are."""
    lead = {name: in_unit(ranged(ends, write), unit) for name, ends in above.items()}
    far = "; ".join(f"{name} is {words} above it" for name, words in lead.items())
    return (
        f"At {format_flops(flops)} FLOP, ten times the compute of the largest run, {best} has the lowest loss with "
        f"probability {chance(share)}: {far}."
    )


def comparison_title(flops: float, best: str, share: float) -> str:
    """The finding of the comparison's figure."""
    return f"At {format_flops(flops)} FLOP {best} has the lowest loss with probability {chance(share)}"


def laws_sentence(flops: float, expected: Mapping[str, Float[np.ndarray, "3"]], unit: str) -> str:
    """What laws of the same runs expect at a budget: none is better for expecting a lower loss."""
    listed = "; ".join(f"{name} {ranged(ends, write)}" for name, ends in expected.items())
    return (
        f"At {format_flops(flops)} FLOP, ten times the compute of the largest run, the same runs give expected losses "
        f"in {unit} of: {listed}."
    )


def laws_title(flops: float, expected: Mapping[str, Float[np.ndarray, "3"]]) -> str:
    """The finding of the figure of laws of the same runs."""
    middles = [float(ends[0]) for ends in expected.values()]
    low, high = min(middles), max(middles)
    apart = f"{high - low:.1g}"  # medians of 1,000 draws leave no more digits certain
    return f"At {format_flops(flops)} FLOP the expected losses of {len(middles)} fits differ by {apart}"


def left_out_sentence(names: Sequence[str]) -> str:
    """Which fits are not compared; empty where all are."""
    if not names:
        return ""
    return f"Not compared, for their health is fail or their law has no optimum: {', '.join(names)}."
