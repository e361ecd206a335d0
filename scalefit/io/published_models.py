"""Published models by name, and runs as people write them."""

import csv
from dataclasses import dataclass
from functools import cache
from typing import Any

from scalefit._registry import lookup
from scalefit.errors import OptionError
from scalefit.io.datasets import path
from scalefit.units import format_count, parse_quantity


@dataclass(frozen=True)
class TrainedModel:
    """A model that was trained, or could be: its size and its data.

    Parameters
    ----------
    name
        What the model is called.
    params
        Parameters, a count.
    tokens
        Training tokens, a count.
    source
        Where both figures are from.

    Raises
    ------
    OptionError
        A count is below 1 or implausibly large.
    """

    name: str
    params: float
    tokens: float
    source: str = "as given"

    def __post_init__(self) -> None:
        if not (1 <= self.params < 1e18 and 1 <= self.tokens < 1e18):
            raise OptionError(f"{self.name}: params or tokens are out of range. Give two counts, as in 70B:1.4T.")


@cache
def published_models() -> tuple[TrainedModel, ...]:
    """The shipped table of published models; `data/published_models.csv` names the source of each figure."""
    with path("published_models").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return tuple(TrainedModel(r["name"], float(r["params"]), float(r["tokens"]), r["source"]) for r in rows)


def read_model(value: Any) -> TrainedModel:
    """Read a model as people write it.

    Parameters
    ----------
    value
        "70B:1.4T", (70e9, 1.4e12), or a published name such as "llama-3-8b", whatever its hyphens and case.

    Returns
    -------
    TrainedModel
        Its params and tokens.

    Raises
    ------
    OptionError
        The name is unknown, or the value is not a pair of counts.
    """
    if isinstance(value, TrainedModel):
        return value
    if isinstance(value, str) and ":" not in value:
        known = {model.name: model for model in published_models()}
        return lookup(value, known, "published model", loose=True, remedy="give 70B:1.4T")
    pair = value.split(":") if isinstance(value, str) else list(value)
    if len(pair) != 2:
        raise OptionError(f"{value!r} is not a run. Give its params and tokens, as in 70B:1.4T.")
    params, tokens = (parse_quantity(part) for part in pair)
    return TrainedModel(f"{format_count(params)}:{format_count(tokens)}", params, tokens)
