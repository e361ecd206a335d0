"""Where the chunks of a batch are kept: in memory, or in one folder, each as a row a fit, and as draws where asked.

Many processes may fill one folder. Each file is complete or absent, and whoever writes it writes the same; the batch is
in a file of its own, which the first process makes and all others compare with theirs.
"""

import json
import re
from collections.abc import Hashable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from scalefit._atomic import link_new
from scalefit._netcdf import from_netcdf, reading, shown, write_file
from scalefit.errors import StorageError
from scalefit.fits.netcdf import FORMAT_VERSION
from scalefit.infer._chunk import Batch, Chunk
from scalefit.infer._rows import Row, read_rows, write_rows

if TYPE_CHECKING:
    import pyarrow as pa

OLD_FILES = ("manifest.json", "chunk-*.npz")  # of format 1
BATCH_FILE = "batch.json"
REMEDY = "remove it, and call fit_many with the same arguments again"
AGAIN = "Make the same call again, for every shard that did not end"
LONG = {
    "model": "another model", "engine": "another engine", "names": "tables of other names", "draws": "or without draws",
    "rows": "other budgets in their rows, or health assessed in others",
}  # fmt: skip


@runtime_checkable
class ChunkStore(Hashable, Protocol):
    """Where chunks are kept, by number."""

    def read(self, number: int) -> Chunk | None:
        """The chunk of that number, if it was written before."""

    def write(self, number: int, chunk: Chunk) -> None:
        """Keep a chunk."""

    def failures(self, number: int) -> dict[int, str]:
        """Those of a chunk that was written before."""


class MemoryStore:
    """Chunks kept while the object lives."""

    def __init__(self) -> None:
        self.chunks: dict[int, Chunk] = {}

    def read(self, number: int) -> Chunk | None:
        """The chunk of that number, if it was written before."""
        return self.chunks.get(number)

    def write(self, number: int, chunk: Chunk) -> None:
        """Keep a chunk."""
        self.chunks[number] = chunk

    def failures(self, number: int) -> dict[int, str]:
        """Those of a chunk that was written before."""
        return self.chunks[number].failures


class FolderStore:
    """Chunks kept as files of one folder, each of which says of which batch it is.

    Parameters
    ----------
    folder
        Made if it is not there.
    batch
        Whose chunks these are.

    Raises
    ------
    StorageError
        The folder cannot be made or read, or contains fits of another batch or format; or the batch cannot be stored.
    """

    def __init__(self, folder: str | Path, batch: Batch) -> None:
        self.folder, self.batch = Path(folder), batch
        self._last: tuple[int, Chunk] | None = None  # fits are mostly asked for in their order
        self._failures: dict[int, dict[int, str]] = {}
        content = json.dumps({**batch.attrs, "format_version": FORMAT_VERSION}, indent=1)  # raises before any work
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if (there := stored_batch(self.folder, batch)) is None:
                with suppress(FileExistsError):
                    link_new(self.folder / BATCH_FILE, content.encode())
                there = stored_batch(self.folder, batch)
        except (OSError, ValueError) as problem:
            if isinstance(problem, StorageError):
                raise
            reason = getattr(problem, "strerror", None) or problem
            raise StorageError(f"cannot use {shown(folder)}: {reason}. Choose another folder.") from problem
        self._check(there or batch)

    @classmethod
    def of_folder(cls, folder: str | Path) -> Self:
        """The store of a folder that `fit_many` filled; raises `StorageError` where it did not, or not to the end."""
        batch = stored_batch(Path(folder))
        if batch is None:
            raise StorageError(
                f"{shown(folder)} contains no fits. Give a folder that fit_many(..., folder=...) filled."
            )
        store = cls(folder, batch)
        if lacking := [number for number in batch.chunks if not store.holds(number)]:
            raise StorageError(
                f"{shown(folder)} lacks {len(lacking)} of {len(batch.chunks)} chunks, the first with tables "
                f"{batch.indices(lacking[0])[0]} to {batch.indices(lacking[0])[-1]}. {AGAIN}."
            )
        return store

    def holds(self, number: int) -> bool:
        """Whether a chunk was written, to the last of its files; rows can be made of draws."""
        return (self._path(number) if self.batch.draws else self.rows_path(number)).exists()

    def read(self, number: int) -> Chunk | None:
        """The chunk of that number, if its draws are there; raises `StorageError` where they are damaged or others'."""
        if self._last and self._last[0] == number:
            return self._last[1]
        if not (path := self._path(number)).exists():
            return None
        batch, chunk = _read(path, self.batch)
        self._check(batch)
        if (chunk.start, len(chunk.tables)) != (number * self.batch.chunk, len(self.batch.indices(number))):
            raise StorageError(f"{shown(path)} contains other tables than those of its number; {REMEDY}.")
        return self._keep(number, chunk)

    def write(self, number: int, chunk: Chunk) -> None:
        """Write a chunk's draws, complete or not at all; raises `StorageError` where that fails."""
        if self.batch.draws:
            write_file(self._path(number), chunk.encode(self.batch.attrs), FORMAT_VERSION)
            self._keep(number, chunk)

    def rows(self, number: int) -> "pa.Table | None":
        """The rows of a chunk, if they are there; raises `StorageError` where they are damaged or another's."""
        if not (path := self.rows_path(number)).exists():
            return None
        return read_rows(path, self.batch, number, REMEDY)

    def write_rows(self, number: int, rows: list[Row]) -> None:
        """Write a chunk's rows, complete or not at all; raises `StorageError` where that fails."""
        write_rows(self.rows_path(number), self.batch, number, rows)

    def failures(self, number: int) -> dict[int, str]:
        """Those of a chunk that was written before; raises `StorageError` where it was not."""
        if number not in self._failures:
            if (rows := self.rows(number)) is not None:
                found = rows.select(["table", "failure"]).to_pylist()
                self._failures[number] = {row["table"]: row["failure"] for row in found if row["failure"] is not None}
            elif self.read(number) is None:
                raise StorageError(f"{shown(self.folder)} lacks chunk {number}. {AGAIN}.")
        return self._failures[number]

    def rows_path(self, number: int) -> Path:
        """The file of a chunk's rows."""
        return self.folder / f"rows-{number:06d}.parquet"

    def _check(self, stored: Batch) -> None:
        """Raise `StorageError` where fits that are stored here are of another batch."""
        there, here = stored.attrs, self.batch.attrs
        for name in (name for name in here if there[name] != here[name]):
            differs = LONG.get(name, f"{name} {there[name]}, not {here[name]}")
            if name == "versions":
                changed = dict(self.batch.versions.items() - stored.versions.items())
                differs = f"another version of {' and '.join(sorted(changed))}"
            raise StorageError(
                f"{shown(self.folder)} contains fits with {differs}. Choose another folder, or remove it."
            )

    def _keep(self, number: int, chunk: Chunk) -> Chunk:
        self._last, self._failures[number] = (number, chunk), chunk.failures
        return chunk

    def _path(self, number: int) -> Path:
        return self.folder / _name(number)


def stored_batch(folder: Path, known: Batch | None = None) -> Batch | None:
    """The batch of a folder, that of its first chunk where an older version filled it; None where nothing is there.

    Raises
    ------
    StorageError
        It cannot be read, or is of an older format.
    """
    there = _numbers(folder)
    if (path := folder / BATCH_FILE).exists():
        with reading(path, REMEDY) as file:
            attrs = json.load(file)
            if (found := attrs["format_version"]) != FORMAT_VERSION:
                raise StorageError(f"it has format {found}, and this scalefit reads format {FORMAT_VERSION}")
            return Batch.of(attrs, known)
    return _read(folder / _name(there[0]), known)[0] if there else None


def _name(number: int) -> str:
    return f"chunk-{number:06d}.nc"


def _numbers(folder: Path) -> list[int]:
    """The chunks in a folder; raises `StorageError` where they are of an older format."""
    if any(True for pattern in OLD_FILES for _ in folder.glob(pattern)):
        raise StorageError(f"{shown(folder)} contains fits of an older format. Fit again, into another folder.")
    found = (re.fullmatch(r"chunk-(\d{6,})", path.stem) for path in folder.glob("chunk-*.nc"))
    return sorted(int(name[1]) for name in found if name)


def _read(path: Path, known: Batch | None = None) -> tuple[Batch, Chunk]:
    with reading(path, REMEDY) as file:
        contents = from_netcdf(file, FORMAT_VERSION)
        return Batch.of(contents.attrs, known), Chunk.decode(contents)
