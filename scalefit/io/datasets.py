"""The tables that come with scalefit: figures read off papers, with their provenance in `data/README.md`."""

from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np

from scalefit._registry import lookup
from scalefit.errors import DataError
from scalefit.io.read import read_runs
from scalefit.runs import Runs


@dataclass(frozen=True)
class Dataset:
    """A shipped table: its name, what it holds, where its figures come from, and under which licence.

    convention : what its params count, where that is known.
    """

    name: str
    about: str
    source: str
    licence: str
    convention: str | None = None


CATALOGUE = (
    Dataset(
        "chinchilla",
        "245 runs of Hoffmann et al. 2022, Fig. 4; 240 without the five highest losses, as published refits use them",
        "read off the figure by Besiroglu et al. 2024 (arXiv 2404.10102); runs of arXiv 2203.15556",
        "figures; the `chinchilla` package that also carries them is Apache-2.0",
        "total",  # the six sizes of Hoffmann et al.'s Table A4, counted with embeddings, are in it
    ),
    Dataset(
        "repeated_data",
        "182 runs on repeated C4 tokens, the official fit set; 309 with every variant",
        "Muennighoff et al. 2023 (arXiv 2305.16264)",
        "Apache-2.0",
    ),
    Dataset(
        "hoffmann_tables",
        "compute and tokens for nine model sizes by Approach 1, 2 and 3, as printed: not runs, read it with `path`",
        "Hoffmann et al. 2022 (arXiv 2203.15556), Tables 3 and A3",
        "figures",
    ),
    Dataset(
        "published_models",
        "parameters and training tokens of 17 published language models: not runs, `scalefit audit` reads it",
        "each model's own paper or model card, named in its row",
        "figures",
    ),
)


def names() -> list[str]:
    """The names of the shipped tables."""
    return [dataset.name for dataset in CATALOGUE]


def path(name: str) -> Path:
    """The CSV file of a shipped table. Raises `OptionError` where there is none of that name."""
    lookup(name, {known: known for known in names()}, "shipped table", remedy="give the path of a file")
    packaged = Path(str(files("scalefit"))) / "data"
    folder = packaged if packaged.is_dir() else packaged.parents[1] / "data"  # a checkout keeps it at the top
    return folder / f"{name}.csv"


def load(name: str, outliers: Literal["drop", "keep"] = "drop", **columns: str) -> Runs:
    """Training runs of a shipped table; **columns are mapped as by `read_runs`.

    outliers : "drop" leaves out the runs that published fits leave out (chinchilla: the five highest losses;
    repeated_data: all but the official fit set), "keep" gives every run.
    Raises `OptionError` where there is no such table, `DataError` where it holds no runs.
    """
    if outliers not in ("drop", "keep"):
        raise DataError(f"outliers is 'drop' or 'keep', not {outliers!r}.")
    if name in ("hoffmann_tables", "published_models"):
        raise DataError(f"{name} holds published allocations, not runs; read its CSV at datasets.path(...).")
    file = path(name)
    convention = next(dataset.convention for dataset in CATALOGUE if dataset.name == name)
    runs = read_runs(file, name=name, convention=convention, **columns)
    if outliers == "keep":
        return runs
    kept = runs.subset(_published(name, runs))
    left_out = (
        f"{len(runs) - len(kept)} runs that published fits leave out are left out here (outliers='keep' keeps them)"
    )
    return replace(kept, notes=(*kept.notes, left_out))


def _published(name: str, runs: Runs) -> np.ndarray:
    """The runs that the table's published fits use."""
    if name == "chinchilla":
        return runs["outlier"] == 0
    return (runs["in_official_fit"] == 1) & (runs["variant"] != "dedup")
