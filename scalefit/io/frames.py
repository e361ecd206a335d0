"""Formats: a file, a DataFrame of any library or a mapping of arrays becomes a pandas DataFrame with plain columns."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from scalefit.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


@runtime_checkable
class ConvertsToPandas(Protocol):
    """A table of another library that pandas can be made of, such as polars or pyarrow."""

    def to_pandas(self) -> Any:
        """The same table as a pandas DataFrame."""


@runtime_checkable
class Interchangeable(Protocol):
    """A table of a library that implements the dataframe interchange protocol."""

    def __dataframe__(self) -> Any:
        """The table behind the protocol."""


def open_table(source: Any) -> "tuple[pd.DataFrame, str]":
    """Open a table of any format.

    Parameters
    ----------
    source
        Path of a .csv, .tsv or .parquet file; a pandas or polars DataFrame, or one of another library with a dataframe
        interchange; a mapping of arrays (row,).

    Returns
    -------
    frame : pandas.DataFrame
        Its column names are texts, each once; a named index is a column.
    name : str
        What the table is called in messages.

    Raises
    ------
    DataError
        The file is absent or not a table, the columns of a mapping differ in length, or names are not plain.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        return _with_plain_columns(_read_file(path), path.name), path.name
    return _with_plain_columns(_as_pandas(source), "the table"), "the table"


def _as_pandas(source: Any) -> "pd.DataFrame":
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        return source
    if isinstance(source, Mapping):
        return _from_mapping(source)
    if isinstance(source, ConvertsToPandas):
        return source.to_pandas()
    if isinstance(source, Interchangeable):
        return pd.api.interchange.from_dataframe(source)
    raise DataError(
        f"runs cannot be read from an object of type {type(source).__name__}. "
        "Give a file, a DataFrame or a dict of arrays."
    )


def _from_mapping(columns: Mapping[str, Any]) -> "pd.DataFrame":
    import pandas as pd

    arrays = {str(key): np.atleast_1d(np.asarray(values)) for key, values in columns.items()}
    for key, values in arrays.items():
        if values.ndim > 1:
            raise DataError(f"column {key!r} has shape {values.shape}. Give one value for every run.")
    lengths = {key: len(values) for key, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"the columns differ in length: {lengths}. Give one row for every run.")
    return pd.DataFrame(arrays)


def _read_file(path: Path) -> "pd.DataFrame":
    import pandas as pd

    readers: dict[str, Callable[[Path], pd.DataFrame]] = {
        ".csv": _read_delimited,
        ".tsv": lambda p: _read_delimited(p, "\t"),
        ".parquet": pd.read_parquet,
        ".pq": pd.read_parquet,
    }
    if path.suffix.lower() not in readers:
        raise DataError(f"the format of {path.name} is unknown. Give a .csv, .tsv or .parquet file.")
    if not path.is_file():
        raise DataError(f"there is no file {path}. Correct the path, or choose a shipped table from `scalefit data`.")
    try:
        return readers[path.suffix.lower()](path)
    except (ValueError, OSError) as problem:  # pandas' and pyarrow's parsers raise subclasses of these
        first_line = (str(problem).strip() or type(problem).__name__).splitlines()[0]
        raise DataError(f"the file {path.name} is not a readable table: {first_line}") from problem


def _read_delimited(path: Path, separator: str = ",") -> "pd.DataFrame":
    """A delimited file; one whose header has semicolons and no comma is read by semicolons."""
    import pandas as pd

    header = [str(name) for name in pd.read_csv(path, sep=separator, header=None, nrows=1, dtype=str).iloc[0]]
    if len(header) == 1 and ";" in header[0]:
        return _read_delimited(path, ";")
    if repeated := sorted({name for name in header if header.count(name) > 1 and name != "nan"}):
        raise DataError(f"{path.name}: the header repeats {', '.join(repeated)}. Rename one of the columns.")
    frame = pd.read_csv(path, sep=separator)
    if not isinstance(frame.index, pd.RangeIndex):  # pandas would shift every column by one
        raise DataError(f"{path.name}: the rows have more fields than the header. Name every column.")
    return frame.drop(columns=[name for name in frame.columns if str(name).startswith("Unnamed: ")])


def _with_plain_columns(frame: "pd.DataFrame", name: str) -> "pd.DataFrame":
    """The frame with texts for column names, each once, and a named index as a column."""
    if frame.index.name is not None:
        frame = frame.reset_index()
    frame = frame.rename(columns=str)
    if frame.columns.nlevels > 1 or frame.columns.has_duplicates:
        columns = ", ".join(map(str, frame.columns))
        raise DataError(f"{name}: the column names {columns} are not plain and different. Rename the columns.")
    return frame
