"""Formats of files: recognised by content, read by the one that recognises them, or by the one that is named."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from scalefit._registry import lookup
from scalefit.errors import DataError
from scalefit.io.formats._format import Format, Logged
from scalefit.io.formats.delimited import Csv, Tsv
from scalefit.io.formats.json_table import Json
from scalefit.io.formats.jsonl import JsonLines
from scalefit.io.formats.mlflow import Mlflow
from scalefit.io.formats.mlruns import Mlruns
from scalefit.io.formats.parquet import Parquet
from scalefit.io.formats.trackio import Trackio
from scalefit.io.formats.trainer_state import TrainerState
from scalefit.io.formats.wandb_chart import WandbChart
from scalefit.io.formats.wandb_runs import WandbRuns
from scalefit.io.formats.xlsx import Xlsx

__all__ = ["FORMATS", "Format", "Logged", "find_format", "read_file", "recognise_format"]

_TRACKERS = (WandbRuns(), Mlruns(), Mlflow(), Trackio(), TrainerState(), WandbChart())
_PLAIN = (Parquet(), Xlsx(), JsonLines(), Json(), Tsv(), Csv())
FORMATS: Mapping[str, Format] = MappingProxyType({each.name: each for each in (*_TRACKERS, *_PLAIN)})
"""Name -> format, in the order in which they are asked whether a file is theirs."""
BINARY = {".parquet": b"PAR1", ".pq": b"PAR1", ".xlsx": b"PK", ".xlsm": b"PK", ".db": b"SQLite", ".sqlite": b"SQLite"}
HEAD = 1 << 16  # bytes that a format sees before it is asked to read
_FOREIGN = {b"\x89HDF": "a netCDF file, as fits are", b"\x93NUM": "a NumPy array", b"\x1f\x8b": "compressed"}


def find_format(name: str) -> Format:
    """The format of a name; raises `OptionError` with the names there are."""
    return lookup(name, FORMATS, "format", loose=True)


def recognise_format(path: Path) -> Format | None:
    """The format that a file or folder is of by its content; None where it is of none."""
    head = b""
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(HEAD)
    if path.suffix.lower() in BINARY and not head.startswith(BINARY[path.suffix.lower()]):
        return None
    found = next((each for each in FORMATS.values() if each.recognises(path, head)), None)
    return found or (FORMATS["csv"] if path.suffix.lower() == ".csv" and head.strip() and b"\0" not in head else None)


def read_file(path: Path, name: str | None = None) -> Logged:
    """Read a file, or a folder that is one table of a tracker.

    Parameters
    ----------
    path
        The file or folder.
    name
        The format's name; None recognises it by content.

    Returns
    -------
    Logged
        Its rows.

    Raises
    ------
    DataError
        The file is absent, or not a readable table.
    OptionError
        The format is unknown.
    """
    chosen = find_format(name) if name is not None else None
    try:
        chosen = chosen or recognise_format(path)
        if chosen is None:
            raise DataError(
                f"{path.name} is not a readable table{_foreign(path)}. Give a file of the format {', '.join(FORMATS)}."
            )
        return chosen.read(path)
    except DataError:
        raise
    except Exception as problem:  # parsers of foreign formats raise what they like
        first = (str(problem).strip() or type(problem).__name__).splitlines()[0][:300]
        kind = chosen.name if chosen else "file"
        raise DataError(f"{path.name} is not a readable table ({kind}): {first}. Correct the file.") from None


def _foreign(path: Path) -> str:
    if path.is_dir():
        return ": no file in this folder is one"
    with path.open("rb") as file:
        head = file.read(4)
    return "".join(f": it is {what}" for magic, what in _FOREIGN.items() if head.startswith(magic)) or (
        ": it is empty" if not head else ""
    )
