"""The tables that come with scalefit: figures read off papers, with their provenance in `data/README.md`."""

from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from scalefit._registry import lookup
from scalefit.errors import DataError, OptionError
from scalefit.io.read import read_runs
from scalefit.runs import Runs


@dataclass(frozen=True)
class Dataset:
    """A table that is shipped with scalefit.

    Parameters
    ----------
    name
        What `load` and the command line know it by.
    about
        What its rows are.
    source
        The paper its figures come from.
    licence
        The licence its figures are under.
    convention
        What its params count, None where that is not known.
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
    """The CSV file of a shipped table.

    Parameters
    ----------
    name
        One of `names()`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OptionError
        There is no shipped table of that name.
    """
    lookup(name, {known: known for known in names()}, "shipped table", remedy="give the path of a file")
    packaged = Path(str(files("scalefit"))) / "data"
    folder = packaged if packaged.is_dir() else packaged.parents[1] / "data"  # a checkout keeps it at the top
    return folder / f"{name}.csv"


def load(name: str, outliers: str = "drop", **columns: str) -> Runs:
    """Read the training runs of a shipped table.

    Parameters
    ----------
    name
        "chinchilla" or "repeated_data".
    outliers
        "drop" leaves out the runs that published fits leave out (chinchilla: the five highest losses; repeated_data:
        all but the official fit set), "keep" gives every run.
    **columns
        The table's own names of canonical columns, as for `read_runs`.

    Returns
    -------
    Runs
        The table; a note says how many runs are left out.

    Raises
    ------
    OptionError
        The name or `outliers` is unknown.
    DataError
        The table has no runs.
    """
    if outliers not in ("drop", "keep"):
        raise OptionError(f"outliers {outliers!r} is unknown. Choose 'drop' or 'keep'.")
    if name in ("hoffmann_tables", "published_models"):
        raise DataError(f"{name} lists published allocations, not runs. Read its CSV at datasets.path({name!r}).")
    file = path(name)
    convention = next(dataset.convention for dataset in CATALOGUE if dataset.name == name)
    own: dict[str, Any] = dict(columns)
    runs = read_runs(file, name=name, convention=convention, **own)
    if outliers == "keep":
        return runs
    kept = runs.subset(_in_published_fits(name, runs))
    note = f"{len(runs) - len(kept)} runs that published fits leave out are left out; outliers='keep' keeps them"
    return replace(kept, notes=(*kept.notes, note))


def _in_published_fits(name: str, runs: Runs) -> Bool[np.ndarray, " run"]:
    if name == "chinchilla":
        return runs["outlier"] == 0
    return (runs["in_official_fit"] == 1) & (runs["variant"] != "dedup")
