"""Sentences about registered forecasts: what was registered, how to publish it, and how it fared."""

from pathlib import Path

import numpy as np

from scalefit._quantities import ranged, said, write
from scalefit.loss_units import in_unit
from scalefit.units import format_count
from scalefit.validation.forecast import LAW_ONLY, POINT, REGISTERED, Forecast
from scalefit.validation.score import ForecastScore

AGAINST = {LAW_ONLY: "the law alone", POINT: "the point estimate"}


def registered_paragraph(forecast: Forecast, prob: float) -> str:
    """What was registered, and what the plan of the same budget is."""
    planned = forecast.about["plan"]
    words = [forecast.headline(prob)]
    if planned:
        ends = np.array([planned["loss"]["median"], *planned["loss"]["interval_90"]], dtype=float)
        run = f"{format_count(planned['params'])} parameters on {format_count(planned['tokens'])} tokens"
        loss = in_unit(ranged(ends, write), forecast.loss_unit)
        words.append(
            f"The plan of {said(planned['budget'], planned['unit'])} is {run}, for an expected loss of {loss} "
            "(90% interval)."
        )
    return " ".join([*words, *forecast.about["notes"]])


def digest_sentence(forecast: Forecast, path: Path) -> str:
    """Where a forecast was written, and what to publish."""
    return (
        f"The forecast is in {path}. Publish its digest before the runs are done: sha256 {forecast.digest}. "
        f"Score it with `scalefit score {path} --loss L`."
    )


def score_paragraph(found: ForecastScore, prob: float) -> str:
    """How the forecasts fared, what is open, and what uncertainty gained over the other forecasts."""
    words = [found.headline(prob)]
    if found.open:
        words.append(f"{found.open} registered {'run has' if found.open == 1 else 'runs have'} no outcome yet.")
    if found.far:
        losses = "1 loss lies" if found.far == 1 else f"{found.far} losses lie"
        words.append(
            f"{losses} beyond all registered quantiles. Check the unit of the losses, and whose runs they are of."
        )
    table = found.summary()
    for name in found.predictors[1:]:
        share = table.loc[REGISTERED, "crps"] / table.loc[name, "crps"] - 1
        gain = table.loc[name, "log_score"] - table.loc[REGISTERED, "log_score"]
        words.append(
            f"Against {AGAINST[name]} the CRPS is {abs(share):.0%} {'smaller' if share <= 0 else 'larger'}, and the "
            f"log score is {abs(gain):.2f} nats a run {'better' if gain >= 0 else 'worse'}."
        )
    return " ".join(words)
