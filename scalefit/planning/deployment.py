"""From a plan's number of parameters to a shape one can build, and what rounding to it costs."""

from dataclasses import dataclass

import numpy as np

from scalefit.counting import Shape, nearest_shape
from scalefit.errors import QuestionError
from scalefit.planning._allocation import AllocationProblem
from scalefit.units import format_count

SHRINK = 0.98  # a shape above the cap gives way to the next below


@dataclass(frozen=True)
class Deployment:
    """A plan rounded to a shape, on the tokens that the same budget leaves it.

    Parameters
    ----------
    family, shape
        What to build.
    params, convention
        Its exact count, and what is counted: by the convention of the fit.
    tokens
        To train it on.
    loss, waste
        Nats per token, and share of the budget, more than at the plan, expected over the draws. About 0, and negative
        where a plan under a cap or risk rounds towards the optimum.
    """

    family: str
    shape: Shape
    params: int
    convention: str
    tokens: float
    loss: float
    waste: float


def nearest_deployment(
    family: str, problem: AllocationProblem, best: float, outcome: dict[str, np.ndarray], convention: str | None
) -> Deployment:
    """The deployable shape nearest to a plan, within its cap; for use inside `precision()`.

    Parameters
    ----------
    family
        Of `counting.families()`.
    problem, best, outcome
        The budget, ln N of its plan, and the plan's `AllocationProblem.outcome`.
    convention
        What the fit's N counts; every parameter where its table does not state it.

    Raises
    ------
    OptionError
        The family is unknown.
    QuestionError
        None of its shapes is near the plan or within the cap.
    """
    counted = convention or "total"
    shape = _within(family, float(np.exp(best)), counted, problem.constraints.max_params)
    params = shape.count(counted)
    rounded = problem.outcome(float(np.log(params)))
    return Deployment(
        family=family,
        shape=shape,
        params=params,
        convention=counted,
        tokens=problem.useful_tokens(params),
        loss=float((rounded["loss"] - outcome["loss"]).mean()),
        waste=float((rounded["wasted_compute"] - outcome["wasted_compute"]).mean()),
    )


def _within(family: str, params: float, convention: str, cap: float | None) -> Shape:
    """The nearest shape of at most `cap` parameters."""
    wanted = params
    while (shape := nearest_shape(family, wanted, convention)).count(convention) > (cap or float("inf")):
        wanted *= SHRINK
        if wanted < params / 1.5:
            raise QuestionError(
                f"no {family} shape near {format_count(params)} parameters is within the cap; raise it."
            )
    return shape
