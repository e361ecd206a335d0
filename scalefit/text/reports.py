"""Sentences of the report: the answer, how its figures are read, and why a fit has none."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from scalefit._intervals import interval
from scalefit.diagnostics.checks import Health
from scalefit.loss_units import in_unit
from scalefit.planning import Plan
from scalefit.units import format_count, format_flops

FAILED = "This fit has no answer: its health is fail. Mend what the checks below report, and fit again."
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
    near = f" Any size from {format_count(low)} to {format_count(high)} costs at most 1% of the compute more."
    expected = in_unit(f"{plan.loss:.3f}", plan.assumptions.loss_unit)
    return (
        f"With {format_flops(plan.budget)} FLOP, train {format_count(plan.params)} parameters{_ends(n)} on "
        f"{format_count(plan.tokens)} tokens{_ends(d)} for an expected loss of {expected}"
        f"{_ends(loss, '{:.3f}'.format)}.{near if high > 1.001 * low else ''}"
    )


def _ends(values: Float[np.ndarray, "3"], form: object = format_count) -> str:
    return "" if np.isnan(values[1]) else f" [{form(values[1])}, {form(values[2])}]"  # type: ignore[operator]


def failed_reasons(health: Health) -> Sequence[str]:
    """The checks that fail, then those to review."""
    return [f"{check.name}: {check.sentence}" for check in health.doubts]
