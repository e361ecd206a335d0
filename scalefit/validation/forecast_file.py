"""Forecasts as JSON files: every change is noticed, and a file that anyone may have sent is read with care."""

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn

from scalefit._atomic import atomic_write
from scalefit._netcdf import reading, shown
from scalefit.errors import StorageError
from scalefit.validation._schema import first_fault

FORMAT, FORMAT_VERSION = "scalefit forecast", 1
LARGEST_FILE = 200_000_000  # bytes
REMEDY = "give a file that `scalefit register` or Forecast.save wrote"


@cache
def schema() -> dict[str, Any]:
    """The JSON schema of the document."""
    return json.loads((files("scalefit.validation") / "forecast.schema.json").read_text(encoding="utf-8"))


def digest_of(document: dict[str, Any]) -> str:
    """The SHA-256 of all of a document but its digest.

    Parameters
    ----------
    document
        Made of what JSON has.

    Returns
    -------
    str
        In hexadecimal. It is that of the document as JSON with sorted keys, without blanks, in ASCII: how the file is
        laid out does not matter.
    """
    rest = {name: value for name, value in document.items() if name != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write(document: dict[str, Any], path: Path) -> None:
    """Write a document, an entry and a run a line, complete or not at all; raises `StorageError` where that fails."""
    lines = [f"{json.dumps(name)}: {_laid_out(value)}" for name, value in document.items()]
    try:
        atomic_write(path, ("{\n" + ",\n".join(lines) + "\n}\n").encode())
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise StorageError(
            f"cannot write {shown(path)}: {reason}. Choose a folder that exists and has room."
        ) from problem


def read(path: Path) -> dict[str, Any]:
    """The document of a file.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    dict
        As the schema describes it, its digest that of its contents.

    Raises
    ------
    StorageError
        The file is absent, no forecast, of another format, damaged, or was altered.
    """
    with reading(path, REMEDY) as file:
        if (size := path.stat().st_size) > LARGEST_FILE:
            raise StorageError(f"it has {size} bytes, and no forecast is that large")
        try:
            found = json.loads(file.read().decode(), parse_constant=_refuse_constant, object_pairs_hook=_unique)
        except (json.JSONDecodeError, UnicodeDecodeError) as problem:
            raise StorageError("it is not JSON, or was cut") from problem
        return _checked(found)


def refuse(path: str | Path, problem: object) -> NoReturn:
    """Raise `StorageError` about a file whose document is no forecast for that reason, a clause."""
    raise StorageError(f"cannot read {shown(path)}: {problem}; {REMEDY}.")


def is_forecast(path: Path) -> bool:
    """Whether a JSON file calls itself a forecast, altered or not; False where it is none or cannot be read."""
    try:
        with path.open("rb") as file:
            return f'"{FORMAT}"'.encode() in file.read(4096)
    except OSError:
        return False


def _checked(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise StorageError("it is not a forecast")
    if (found := document.get("format_version")) != FORMAT_VERSION:
        raise StorageError(f"it has format {str(found)[:20]}, and this scalefit reads format {FORMAT_VERSION}")
    if document.get("digest") != digest_of(document):
        raise StorageError("its contents do not match its digest, so it was altered or is damaged")
    if fault := first_fault(document, schema(), schema()):
        raise StorageError(fault)
    return document


def _laid_out(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(json.dumps(each, allow_nan=False) for each in value) + "\n]"
    return json.dumps(value, allow_nan=False)


def _refuse_constant(name: str) -> None:
    raise StorageError(f"it has {name} where a number belongs")


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    pairs = list(pairs)
    if len(found := dict(pairs)) < len(pairs):
        raise StorageError("it has an entry twice")
    return found
