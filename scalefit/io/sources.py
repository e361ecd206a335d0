"""Where tables come from: a file, a folder, a pattern, several of them, or an object."""

import glob
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from scalefit.errors import DataError, listed, quoted
from scalefit.io.aliases import with_role
from scalefit.io.formats import FORMATS, Logged, find_format, read_file, recognise_format
from scalefit.io.formats._format import decode, flat
from scalefit.io.formats._yaml import read_mapping
from scalefit.io.formats.wandb_runs import SUMMARY
from scalefit.io.frames import of_object, plain
from scalefit.io.history import one_size

ENDINGS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".pq", ".xlsx", ".xlsm", ".db", ".sqlite",
           ".sqlite3")  # fmt: skip
MOST_FILES = 20_000
NO_TABLES = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "args.json")
GENERIC = ("metrics", "trainer_state", "tracker_metrics", "results", "log", "logs", "history", "train", "eval", "data")


@dataclass(frozen=True, eq=False)
class Opened:
    """A table before its columns are understood.

    Parameters
    ----------
    parts
        What each file has in it; one part for an object.
    name
        What the table is called in messages.
    """

    parts: tuple[Logged, ...]
    name: str


def open_table(source: Any, format: str | None = None) -> Opened:
    """Open a table of any kind.

    Parameters
    ----------
    source
        Path of a file or a folder, a pattern such as "logs/*.csv", or a list of them; a DataFrame of any library; a
        mapping of arrays (row,); a list of records.
    format
        The name of the files' format; None recognises it by their content.

    Returns
    -------
    Opened
        Its parts, each with plain columns.

    Raises
    ------
    DataError
        The source is absent or no table.
    OptionError
        The format is unknown.
    """
    if format is not None:
        find_format(format)
    if isinstance(source, list | tuple) and source and all(isinstance(each, str | os.PathLike) for each in source):
        found = [_files(_path(each)) for each in source]
        files = [file for some, _ in found for file in some]
        return _of_files(files, f"{len(files)} files", format, [note for _, notes in found for note in notes])
    if not isinstance(source, str | os.PathLike):
        return Opened((Logged(of_object(source)),), "the table")
    path = _path(source)
    files, notes = _files(path)
    if files == [path]:
        part = _named(_plain(read_file(path, format), path), path, lone=True)
        return Opened((replace(part, notes=(*notes, *part.notes)),), path.name)
    return _of_files(files, path.name or str(path), format, notes)


def _path(source: Any) -> Path:
    try:
        path = Path(source)
    except Exception as problem:  # a path-like object of another library
        raise DataError(
            f"a {quoted(type(source).__name__)} is no path ({type(problem).__name__}). Give a text."
        ) from None
    if isinstance(source, str) and not source.strip():
        raise DataError("the path is empty. Name a file or a folder.")
    return path


def is_table(path: Path) -> bool:
    """Whether a path, or a pattern, is for a table: an absent one that ends as tables do is, too."""
    if not _exists(path):
        return bool(path.suffix.lower() in ENDINGS or glob.has_magic(str(path)))
    if path.is_dir():
        return bool(_folder(path)[0])
    return path.suffix.lower() in ENDINGS or recognise_format(path) is not None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as problem:
        raise DataError(f"cannot open {quoted(path)}: {problem.strerror}. Correct the path.") from None


def _files(path: Path) -> tuple[list[Path], list[str]]:
    """The files of a path: itself, those in a folder, those of a pattern; and what is left out."""
    if _exists(path):
        if not path.is_dir():
            return [path], []
        files, others = _folder(path)
        if not files:
            raise DataError(f"the folder {quoted(path)} has no table in it. Name one with {listed(ENDINGS)} files.")
        left_out = f"{len(others)} other file(s) in {path.name} are left out: {listed([p.name for p in others], 3)}"
        return files, [left_out] if others else []
    if glob.has_magic(str(path)):
        matches = sorted(Path(name) for name in islice(glob.iglob(str(path), recursive=True), MOST_FILES))
        matches = [file for match in matches for file in (_folder(match)[0] if match.is_dir() else [match])]
        if matches := _latest_states(matches):
            return matches, []
        raise DataError(f"no file matches {quoted(path)}. Correct the pattern.")
    raise DataError(
        f"there is no file {quoted(path, 200)}. Correct the path, or choose a shipped table from `scalefit data`."
    )


def _folder(path: Path) -> tuple[list[Path], list[Path]]:
    """The tables in a folder: a tracker's store, trainer states, else its files, or those below it; and the others."""
    if recognise_format(path) is not None:  # which writes JSON of its own
        return [path], [p for p in sorted(path.iterdir()) if p.suffix.lower() in ENDINGS and p.suffix != ".json"]
    below = sorted(islice((p for p in path.rglob("*") if not _hidden(p, path)), MOST_FILES))
    files = [p for p in below if p.suffix.lower() in ENDINGS and p.suffix != ".txt" and p.name not in NO_TABLES]
    top = [p for p in files if p.parent == path]
    if states := _latest_states([p for p in below if p.name == "trainer_state.json"]):
        return states, [p for p in top if p not in states]
    if summaries := [p for p in below if p.name == SUMMARY]:
        return sorted({p.parents[2] if p.parent.name == "files" else p.parent for p in summaries}), top
    return (top, []) if top else (files, [])


def _hidden(path: Path, top: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(top).parts)


def _latest_states(files: list[Path]) -> list[Path]:
    """Trainer states without those of earlier checkpoints of the same run, and all other files."""
    latest: dict[Path, tuple[float, Path]] = {}
    others = []
    for file in files:
        if file.name != "trainer_state.json":
            others.append(file)
            continue
        folder = file.parent
        is_checkpoint = folder.name.startswith("checkpoint-")
        number = folder.name.removeprefix("checkpoint-")
        rank = float(number) if is_checkpoint and number.isdigit() else float("inf")
        run = folder.parent if is_checkpoint else folder
        latest[run] = max(latest.get(run, (-1.0, file)), (rank, file))
    return [*others, *(file for _, file in latest.values())]


def _of_files(files: list[Path], name: str, format: str | None, notes: list[str]) -> Opened:
    parts, unknown = [], []
    for file in files:
        if format is None and file.is_file() and recognise_format(file) is None:
            unknown.append(file.name)
        else:
            parts.append(_named(_plain(read_file(file, format), file), file, lone=False))
    if not parts:
        raise DataError(f"none of the files {listed(unknown)} is a table. Give {', '.join(FORMATS)}.")
    notes += [f"{len(unknown)} file(s) that are no tables are left out: {listed(unknown, 3)}"] if unknown else []
    notes += [f"{len(parts)} files were joined"] if len(parts) > 1 else []
    parts[0] = replace(parts[0], notes=(*notes, *parts[0].notes))
    return Opened(tuple(parts), name)


def _plain(logged: Logged, path: Path) -> Logged:
    frame = logged.frame
    if path.suffix.lower() == ".csv" and (beside := path.with_name("hparams.yaml")).is_file():  # Lightning's logger
        with suppress(OSError):
            constants = flat(read_mapping(decode(beside.read_bytes())))
            frame = frame.assign(**{f"hparams.{name}": value for name, value in constants.items()})
    try:
        return replace(logged, frame=plain(frame))
    except DataError as problem:
        raise DataError(f"{path.name}: {problem}") from None


def _named(logged: Logged, path: Path, lone: bool) -> Logged:
    """With a column for the run, where a file is the history of one; several files of steps are histories."""
    columns = list(logged.frame.columns)
    known = with_role(columns, "run")
    if known is not None and not (known in ("model", "id") and not lone):
        return logged
    history = logged.history or (not lone and with_role(columns, "step") is not None and len(logged.frame) > 1)
    if (not history and (lone or len(logged.frame) > 1)) or not one_size(logged.frame):
        return logged
    run = path.absolute().parent.name if path.stem in GENERIC else path.stem
    return replace(logged, frame=logged.frame.assign(run=run), history=history)
