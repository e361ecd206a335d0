"""What a command is given: tables to read, files to write."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from scalefit.errors import OptionError, StorageError

if TYPE_CHECKING:
    from scalefit.runs import Runs


def read(runs: str, outliers: str | None, **mapping: str | None) -> "Runs":
    """A file of that name if there is one, else a shipped table."""
    import scalefit as sf

    columns = {name: column for name, column in mapping.items() if column}
    is_file = Path(runs).is_file() or bool(Path(runs).suffix)
    if is_file and outliers:
        raise OptionError(f"--outliers is for shipped tables; leave rows out of {runs} itself.")
    if is_file:
        return sf.read_runs(runs, **columns)
    return sf.datasets.load(runs, outliers or "drop", **columns)  # type: ignore[arg-type]


def check_target(path: Path | None, source: str) -> None:
    """Refuse before the work what would fail after it, or would overwrite what is being read."""
    if path is None:
        return
    if not path.absolute().parent.is_dir():
        raise StorageError(f"cannot write {path}: there is no folder {path.parent}; make it first.")
    if path.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        raise StorageError(f"cannot write {path}: it is a folder, or its folder is read-only; name a file elsewhere.")
    if path.exists() and Path(source).exists() and path.samefile(source):
        raise StorageError(f"{path} is what is being read; write to another file.")


def check_picture(path: Path | None, source: str) -> None:
    """`check_target`, and that a picture can have that ending."""
    check_target(path, source)
    if path is not None:
        from scalefit.plots import check_ending

        check_ending(path)
