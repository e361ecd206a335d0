"""The contract of a format: what recognises it, and how its files become a table."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from scalefit.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Logged:
    """What a file has in it.

    Parameters
    ----------
    frame
        One row a run, or one row a step of a run.
    notes
        What was left out or chosen while reading, a sentence each.
    history
        Whether rows are steps of runs whatever else the columns say.
    """

    frame: "pd.DataFrame"
    notes: tuple[str, ...] = ()
    history: bool = False


class Format(ABC):
    """One format of tables; `formats.FORMATS` registers them by `name`, in the order in which they are asked."""

    name: ClassVar[str]
    about: ClassVar[str]

    @abstractmethod
    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether the content says that a path is of this format.

        Parameters
        ----------
        path
            A file, or a folder.
        head
            The first bytes of the file; empty for a folder.

        Returns
        -------
        bool
            True where it is.
        """

    @abstractmethod
    def read(self, path: Path) -> Logged:
        """Read the table.

        Parameters
        ----------
        path
            A file or folder of this format.

        Returns
        -------
        Logged
            Its rows.

        Raises
        ------
        DataError, ValueError, OSError
            It is not readable; the caller puts the first line of a foreign error into a sentence.
        """


def flat(record: Mapping[Any, Any], prefix: str = "", depth: int = 8) -> dict[str, Any]:
    """Nested mappings as one, keys joined by dots; lists are left out, but for one of a single value."""
    found: dict[str, Any] = {}
    for key, value in record.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            if depth:
                found |= flat(value, f"{name}.", depth - 1)
        elif not isinstance(value, list):
            found[name] = value
        elif len(value) == 1 and isinstance(value[0], str | int | float):
            found[name] = value[0]
    return found


def of_records(records: list[dict[str, Any]]) -> "pd.DataFrame":
    """A frame of flat records, with a column for every key of any."""
    import pandas as pd

    names = dict.fromkeys(name for record in records for name in record)
    return pd.DataFrame({name: _column([record.get(name) for record in records]) for name in names})


def _column(values: list[Any]) -> Any:
    """Numbers where all are, else the values as they are; whole numbers beyond 64 bits become floats."""
    import numpy as np

    if all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in values):
        return np.array([np.nan if value is None else _float(value) for value in values], dtype=float)
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def decode(raw: bytes) -> str:
    """The text of a file in UTF-8 or UTF-16, with or without its mark, else in Windows' western encoding."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", errors="replace")
    if raw[1:2] == b"\0" or raw[:1] == b"\0":  # UTF-16 without its mark
        return raw.decode("utf-16-le" if raw[1:2] == b"\0" else "utf-16-be", errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def need(found: Any, path: Path, what: str) -> None:
    """Refuse a file that has nothing of what its format has."""
    if not found:
        raise DataError(f"{path.name} has no {what}. Give a file with at least one run.")
