"""Objects of any library become a frame of plain columns: nothing foreign gets further.

A plain column has floats; or texts in pandas' own array of them, with NaN where missing; or objects, which are texts,
floats and None.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Shaped

from scalefit.errors import DataError, ScalefitError, quoted

if TYPE_CHECKING:
    import pandas as pd

MOST_COLUMNS = 10_000
LONGEST_TEXT = 300  # characters of a cell that are kept: cells of trackers can be whole documents


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


def of_object(source: Any) -> "pd.DataFrame":
    """A frame of an object.

    Parameters
    ----------
    source
        A DataFrame of any library, a mapping of columns, a list of records, or a structured array.

    Returns
    -------
    pandas.DataFrame
        With plain columns.

    Raises
    ------
    DataError
        It is no table, or its own code fails.
    """
    return _guarded(lambda: plain(_as_pandas(source)), f"an object of type {quoted(type(source).__name__)}")


def plain(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The frame with texts for column names, each once, a named index as a column, and plain values."""
    import pandas as pd

    values: dict[str, Any] = {}
    refuse_wide(frame.shape[1])
    if frame.columns.nlevels > 1:
        raise DataError("the column names have several levels. Give each column one name.")
    for position, label in enumerate(frame.columns):
        name = _text(label[0] if isinstance(label, tuple) and len(label) == 1 else label)
        if name in values:
            raise DataError(f"two columns are called {quoted(name)}, so names are not different. Rename one of them.")
        values[name] = _plain_values(frame.iloc[:, position], name)
    for level in range(frame.index.nlevels):
        label = frame.index.names[level]
        if label is not None and _text(label) not in values:
            values = {_text(label): _plain_values(frame.index.get_level_values(level), _text(label))} | values
    columns = {name: pd.Series(column, dtype=column.dtype, copy=False) for name, column in values.items()}
    return pd.DataFrame(columns, index=range(len(frame)))


def refuse_wide(columns: int) -> None:
    """Refuse tables of more columns than anyone logs of runs."""
    if columns > MOST_COLUMNS:
        raise DataError(f"there are {columns} columns, and {MOST_COLUMNS} are read at most. Leave out some.")


def _guarded(make: Callable[[], "pd.DataFrame"], what: str) -> "pd.DataFrame":
    try:
        return make()
    except ScalefitError:
        raise
    except BaseException as problem:  # foreign objects raise what they like, those made in Rust a panic
        if not isinstance(problem, Exception) and type(problem).__name__ != "PanicException":
            raise
        try:
            first = str(problem).strip().splitlines()[0][:200]
        except Exception:
            first = ""
        reason = f"{type(problem).__name__}: {first}" if first else type(problem).__name__
        raise DataError(f"runs cannot be read from {what} ({reason}). Give a dict of arrays.") from None


def _as_pandas(source: Any) -> "pd.DataFrame":
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        return source
    if isinstance(source, Mapping):
        return _from_mapping(source)
    if isinstance(source, np.ndarray) and source.dtype.names:
        return pd.DataFrame({name: np.atleast_1d(source)[name] for name in source.dtype.names})
    if isinstance(source, list | tuple) and source and all(isinstance(record, Mapping) for record in source):
        return pd.DataFrame([dict(record) for record in source])
    if isinstance(source, ConvertsToPandas) and not isinstance(source, type):
        converted = source.to_pandas()
        if not isinstance(converted, pd.DataFrame):
            raise DataError(f"a {quoted(type(source).__name__)} does not convert to a DataFrame. Give a table.")
        return converted
    if isinstance(source, Interchangeable) and not isinstance(source, type):
        return pd.api.interchange.from_dataframe(source)
    raise DataError(
        f"runs cannot be read from an object of type {quoted(type(source).__name__)}. "
        "Give a file, a DataFrame or a dict of arrays."
    )


def _from_mapping(columns: Mapping[Any, Any]) -> "pd.DataFrame":
    import pandas as pd

    arrays = {}
    for label, values in columns.items():
        key = _text(label)
        arrays[key] = array = _as_array(values, key)
        if array.ndim > 1:
            raise DataError(f"column {quoted(key)} has shape {array.shape}. Give one value for every run.")
    lengths = {key: len(array) for key, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{quoted(key)}: {length}" for key, length in list(lengths.items())[:10])
        raise DataError(f"the columns differ in length: {shown}. Give one row for every run.")
    return pd.DataFrame({key: _series(array) for key, array in arrays.items()})


def _series(array: Any) -> "pd.Series":
    import pandas as pd

    if array.dtype.kind in "fiub":
        return pd.Series(array)
    return pd.Series(list(array), dtype=object)


def _as_array(values: Any, key: str) -> Any:
    """A column of a mapping as an array; masked values are missing."""
    if isinstance(values, Mapping):
        values = list(values.values())  # row -> value
    if isinstance(values, np.ma.MaskedArray):
        masked = np.ma.getmaskarray(values)
        if values.dtype.kind in "fiub":
            return np.atleast_1d(np.where(masked, np.nan, np.asarray(values.data, dtype=float)))
        objects = np.array(values.data, dtype=object)
        objects[masked] = None
        return np.atleast_1d(objects)
    if isinstance(values, list | tuple) and any(np.ma.is_masked(value) for value in values):
        values = [None if np.ma.is_masked(value) else value for value in values]
    try:
        return np.atleast_1d(np.asarray(values))
    except (ValueError, TypeError, OverflowError):
        raise DataError(f"column {quoted(key)} is not one value for every run. Give a list of numbers.") from None


def _plain_values(column: Any, name: str) -> Any:
    """The values (run,) of a plain column."""
    import pandas as pd

    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "fiu":
        return np.asarray(column).astype(float)
    if isinstance(dtype, pd.SparseDtype):
        return _plain_values(pd.Series(np.asarray(column)), name)
    if pd.api.types.is_bool_dtype(dtype) or not pd.api.types.is_numeric_dtype(dtype) or _is_complex(dtype):
        return _plain_objects(column)
    return column.to_numpy(dtype=float, na_value=np.nan)


def _is_complex(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind == "c"


def _plain_objects(column: Any) -> Any:
    import pandas as pd

    if isinstance(column.dtype, pd.StringDtype):  # texts already, and whole
        column = pd.Series(column)
        long = (column.str.len() > LONGEST_TEXT).any()
        column = column.str.slice(0, LONGEST_TEXT) if long else column
        return column.array if column.dtype.na_value is np.nan else column.to_numpy(dtype=object, na_value=None)
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "M":
        return _plain_values(_dates(np.asarray(column)), "")
    return _cells(np.asarray(column, dtype=object))


def _dates(values: Any) -> "pd.Series":
    """Times as texts, to the second or, where any has a part of one, as they are."""
    import pyarrow as pa

    seconds = values.astype("M8[s]")
    whole = bool(((seconds == values) | np.isnat(values)).all())
    return pa.array(seconds if whole else values).cast(pa.string()).to_pandas()


def _cells(raw: Any) -> Shaped[np.ndarray, " run"]:
    found = np.empty(len(raw), dtype=object)
    found[:] = [_cell(value) for value in raw]
    if all(type(value) is float or value is None for value in found):
        return np.array([np.nan if value is None else value for value in found], dtype=float)
    return found


def _cell(value: Any) -> str | float | None:
    """A number or a text of a cell, None where it is missing."""
    if value is None or type(value) is float:
        return value
    if isinstance(value, str):
        return _text(value)[:LONGEST_TEXT]
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, int | float | Fraction | np.floating | np.integer) and not isinstance(value, np.timedelta64):
        try:
            return float(value)
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    if isinstance(value, Decimal):
        return float(value) if not value.is_snan() else None
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return _cell(value.item())
    return None if _is_missing(value) else _text(value)[:LONGEST_TEXT]


def _is_missing(value: Any) -> bool:
    import pandas as pd

    return value is pd.NA or value is pd.NaT or value is np.ma.masked


def _text(value: Any) -> str:
    """A text of anything, without halves of surrogate pairs, which cannot be written."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value).encode("utf-8", errors="replace").decode()
