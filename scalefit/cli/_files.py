"""What a command is given: tables to read, fits to ask, files to write."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalefit import _interrupt
from scalefit.errors import OptionError, StorageError

if TYPE_CHECKING:
    from scalefit.fits.fit import Fit
    from scalefit.runs import Runs


def read(runs: str, outliers: str | None = None, **options: Any) -> "Runs":
    """The table in a file, a folder or files of a pattern if there is one, else a shipped table."""
    import scalefit as sf
    from scalefit.io.sources import is_table

    if not runs.strip():  # which would be this folder
        raise OptionError("the table has an empty name. Give a file, a folder or a shipped table.")
    given = {name: value for name, value in options.items() if value}
    path = Path(runs)
    shipped = {dataset.name for dataset in sf.datasets.CATALOGUE}
    if outliers == "show":
        raise OptionError("--outliers show is for `scalefit fit`. Leave it out.")
    on_disk = is_table(path) or bool(path.suffix) or (path.is_dir() and runs not in shipped)
    if on_disk and outliers:
        raise OptionError(f"--outliers is for shipped tables. Leave rows out of {runs} itself.")
    if on_disk:
        return sf.read_runs(runs, **given)
    if of_files := sorted({"format", "history", "keep_unfinished"} & set(given)):
        raise OptionError(f"--{of_files[0].replace('_', '-')} is for files, and {runs} is none. Correct the path.")
    return sf.datasets.load(runs, outliers or "drop", **given)


def say_notes(runs: "Runs", quiet: bool) -> None:
    """What was understood, left out or derived while reading, on standard error: results alone go to the output."""
    import sys

    for note in () if quiet else runs.notes:
        print(f"note: {note}", file=sys.stderr)


def open_fit(source: str | None, quiet: bool) -> "Fit":
    """The fit in a file, or that of a table of runs, fitted now; the shipped Chinchilla runs where none is given."""
    import sys

    import scalefit as sf
    from scalefit.infer.load import load_fit
    from scalefit.io.sources import is_table
    from scalefit.text.commands import fitting_note

    source = "chinchilla" if source is None else source
    path = Path(source)
    if not (is_table(path) or not (path.suffix or path.exists())):
        return load_fit(path)
    runs = read(source)
    if not quiet:
        print(fitting_note(source), file=sys.stderr)
    say_notes(runs, quiet)
    return sf.fit(runs, progress=False if quiet else None)


def save_fit(fit: "Fit", path: Path | None) -> None:
    """Write a fit where that is asked for."""
    if path is not None:
        fit.save(path)
        _interrupt.written.append(path)


def save_picture(figure: Any, path: Path) -> None:
    """Write a picture."""
    from scalefit import plots

    plots.save(figure, path)
    _interrupt.written.append(path)


def check_target(path: Path | None, source: str = "") -> None:
    """Refuse before the work what would fail after it, or would overwrite what is read."""
    if path is None:
        return
    folder = path.absolute().parent
    if not folder.is_dir():
        raise StorageError(f"cannot write {path}: there is no folder {path.parent}. Make it first.")
    if path.is_dir():
        raise StorageError(f"cannot write {path}: it is a folder. Name a file in it.")
    if path.exists() and not path.is_file():
        raise StorageError(f"cannot write {path}: it is not a file. Name another.")
    if not os.access(folder, os.W_OK) or (path.exists() and not path.stat().st_mode & 0o222):
        raise StorageError(f"cannot write {path}: it is read-only. Name another file.")
    if source and path.exists() and Path(source).exists() and path.samefile(source):
        raise StorageError(f"{path} is the file that is read. Write to another file.")


def check_picture(path: Path | None, source: str = "") -> None:
    """`check_target`, and that a picture can have that ending."""
    check_target(path, source)
    if path is not None:
        from scalefit.plots import check_ending

        check_ending(path)
