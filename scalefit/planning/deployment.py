"""From a plan's number of parameters to a shape one can build, and what rounding to it costs."""

from dataclasses import dataclass

import numpy as np

from scalefit.counting import Shape, nearest_shape
from scalefit.errors import QuestionError
from scalefit.planning._allocation import Choice
from scalefit.units import format_count

SHRINK = 0.98  # a shape above the cap gives way to the next below


@dataclass(frozen=True)
class Deployment:
    """A plan rounded to a shape, on the tokens that the same budget leaves it.

    family, shape : what to build. params : its exact count, by the `convention` of the fit. tokens : to train it on.
    loss : nats per token more than at the plan, and waste : share of the budget, both expected over the draws and
    about 0: negative where a plan under a cap or risk rounds towards the optimum.
    """

    family: str
    shape: Shape
    params: int
    convention: str
    tokens: float
    loss: float
    waste: float


def nearest_deployment(
    family: str, choice: Choice, best: float, priced: dict[str, np.ndarray], convention: str | None
) -> Deployment:
    """The deployable shape nearest to exp(`best`) parameters, within the choice's cap, priced like the plan.

    priced : the plan's own `Choice.price`. convention : what the fit's N counts; every parameter where its table does
    not say. For use inside `precision()`.

    Raises `QuestionError` on an unknown family, and where none of its shapes is near or within the cap.
    """
    counted = convention or "total"
    shape = _within(family, float(np.exp(best)), counted, choice.constraints.max_params)
    params = shape.count(counted)
    rounded = choice.price(float(np.log(params)))
    loss, waste = (float((rounded[name] - priced[name]).mean()) for name in ("loss", "wasted_compute"))
    return Deployment(family, shape, params, counted, choice.useful_tokens(params), loss, waste)


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
