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
    """A model of params parameters trained on tokens tokens; source : where both are from."""

    name: str
    params: float
    tokens: float
    source: str = "as given"

    def __post_init__(self) -> None:
        if not (1 <= self.params < 1e18 and 1 <= self.tokens < 1e18):
            raise OptionError(f"{self.name}: parameters and tokens must be counts, as in 70B:1.4T.")


@cache
def published_models() -> tuple[TrainedModel, ...]:
    """The shipped table of published models; `data/published_models.csv` says where each figure is from."""
    with path("published_models").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return tuple(TrainedModel(r["name"], float(r["params"]), float(r["tokens"]), r["source"]) for r in rows)


def read_model(value: Any) -> TrainedModel:
    """A model from "70B:1.4T", (70e9, 1.4e12) or a published name such as "llama-3-8b"; hyphens and case do not matter.

    Raises `OptionError` that lists the names.
    """
    if isinstance(value, TrainedModel):
        return value
    if isinstance(value, str) and ":" not in value:
        known = {model.name: model for model in published_models()}
        return lookup(value, known, "published model", loose=True, remedy="give 70B:1.4T")
    pair = value.split(":") if isinstance(value, str) else list(value)
    if len(pair) != 2:
        raise OptionError(f"a run is its parameters and tokens, as in 70B:1.4T; got {value!r}.")
    params, tokens = (parse_quantity(part) for part in pair)
    return TrainedModel(f"{format_count(params)}:{format_count(tokens)}", params, tokens)
