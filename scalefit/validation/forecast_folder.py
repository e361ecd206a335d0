"""Forecasts to be scored: those of files and folders, and the digest that was published."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scalefit.errors import OptionError, StorageError
from scalefit.validation.forecast import Forecast, read_forecast
from scalefit.validation.forecast_file import is_forecast


def open_forecasts(source: Any, digest: str | None = None) -> dict[str, Forecast]:
    """Forecasts by name: of a file, of all forecasts in a folder, or as they are given.

    Parameters
    ----------
    source
        A `Forecast`, a path, or a list of these.
    digest
        The published digest of a single forecast, or the first twelve letters of it or more.

    Raises
    ------
    StorageError
        A file is absent, damaged, altered or no forecast; a folder has none; the digest is another.
    """
    found: dict[str, Forecast] = {}
    for each in source if isinstance(source, list | tuple) else [source]:
        if isinstance(each, Forecast):
            found[f"forecast {len(found) + 1}"] = each
        else:
            found |= {path.stem: read_forecast(path) for path in _files(Path(each))}
    if not found:
        raise OptionError("there is no forecast to score. Give a forecast, a file or a folder.")
    if digest is not None:
        _check_digest(found, digest)
    return found


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    if not (found := sorted(each for each in path.glob("*.json") if is_forecast(each))):
        raise StorageError(f"{path} has no forecast. Give a folder with files that `scalefit register` wrote.")
    return found


def _check_digest(found: Mapping[str, Forecast], digest: str) -> None:
    published = digest.strip().lower().removeprefix("sha256:").strip()
    if len(found) > 1:
        raise OptionError(f"a digest is that of one forecast, and there are {len(found)}. Score them one by one.")
    if len(published) < 12:
        raise OptionError(f"the digest has {len(published)} letters, which is too few. Give at least 12 of them.")
    ((name, forecast),) = found.items()
    if not forecast.digest.startswith(published):
        raise StorageError(
            f"{name} has the digest {forecast.digest[:12]}, not {published[:12]}: it is not the forecast that was "
            "published. Give that file."
        )
