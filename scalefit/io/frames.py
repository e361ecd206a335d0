"""From a file, a DataFrame or a dict of arrays to `Runs`. pandas lives here.

Column names. A column is taken for what it is called, whatever its case, with spaces and dashes read as
underscores, if it is one of `COMMON_NAMES`; two candidates for one quantity are an error, a mapping by argument
decides. Two of params, tokens and flops give the third by C = 6 N D. A column called `params_non_embedding` (or
another of `CONVENTION_NAMES`) says what it counts: it is N where nothing else is, or where that is asked for.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scalefit.errors import DataError
from scalefit.io.columns import _listed

if TYPE_CHECKING:
    import pandas as pd


def _frame(source: Any) -> "tuple[pd.DataFrame, str]":
    import pandas as pd

    if isinstance(source, (str, Path)):
        return _plain_frame(_read_file(Path(source)), Path(source).name)
    if isinstance(source, Mapping):
        return _plain_frame(_from_mapping(source), "the table")
    if hasattr(source, "to_pandas"):  # polars, pyarrow
        source = source.to_pandas()
    elif hasattr(source, "__dataframe__") and not isinstance(source, pd.DataFrame):
        source = pd.api.interchange.from_dataframe(source)
    if isinstance(source, pd.DataFrame):
        return _plain_frame(source, "the table")
    raise DataError(f"cannot read runs from a {type(source).__name__}; give a file, a DataFrame or a dict of arrays.")


def _from_mapping(columns: Mapping[str, Any]) -> "pd.DataFrame":
    import pandas as pd

    arrays = {str(key): np.atleast_1d(np.asarray(values)) for key, values in columns.items()}
    if deep := [key for key, values in arrays.items() if values.ndim > 1]:
        raise DataError(f"column {deep[0]!r} has shape {arrays[deep[0]].shape}; give one value a run.")
    lengths = {key: len(values) for key, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"the columns differ in length: {lengths}; give every run one row.")
    return pd.DataFrame(arrays)


def _read_file(path: Path) -> "pd.DataFrame":
    import pandas as pd

    readers: dict[str, Callable[[Path], pd.DataFrame]] = {
        ".csv": _read_text,
        ".tsv": lambda p: _read_text(p, "\t"),
        ".parquet": pd.read_parquet,
        ".pq": pd.read_parquet,
    }
    if path.suffix.lower() not in readers:
        raise DataError(f"cannot tell what {path.name} is; give a .csv, .tsv or .parquet file.")
    if not path.is_file():
        raise DataError(f"there is no file {path}; check the path, or see `scalefit data` for the shipped tables.")
    try:
        return readers[path.suffix.lower()](path)
    except (ValueError, OSError) as problem:  # pandas' and pyarrow's parsers raise subclasses of these
        first_line = (str(problem).strip() or type(problem).__name__).splitlines()[0]
        raise DataError(f"{path.name} is not a readable table: {first_line}") from problem


def _read_text(path: Path, separator: str = ",") -> "pd.DataFrame":
    """A delimited file; one without a comma but with semicolons in its header is read by those."""
    import pandas as pd

    header = [str(name) for name in pd.read_csv(path, sep=separator, header=None, nrows=1, dtype=str).iloc[0]]
    if len(header) == 1 and ";" in header[0]:
        return _read_text(path, ";")
    if repeated := sorted({name for name in header if header.count(name) > 1 and name != "nan"}):
        raise DataError(f"{path.name}: its header names {', '.join(repeated)} more than once; rename one of them.")
    frame = pd.read_csv(path, sep=separator)
    if not isinstance(frame.index, pd.RangeIndex):  # pandas would shift every column by one
        raise DataError(f"{path.name}: its rows have more fields than its header names; name every column.")
    return frame.drop(columns=[name for name in frame.columns if str(name).startswith("Unnamed: ")])


def _plain_frame(frame: "pd.DataFrame", name: str) -> "tuple[pd.DataFrame, str]":
    """A frame with text for column names, each once, and a named index as a column."""
    if frame.index.name is not None:
        frame = frame.reset_index()
    frame = frame.rename(columns=str)
    if frame.columns.nlevels > 1 or frame.columns.has_duplicates:
        raise DataError(f"{name}: column names must be plain and different; there are {_listed(frame)}.")
    return frame, name
