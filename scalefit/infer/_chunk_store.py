"""Where the chunks of a batch are kept: in memory, or each as a netCDF file in one folder."""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

from scalefit._netcdf import from_netcdf, reading, shown, write_file
from scalefit.errors import StorageError
from scalefit.fits.netcdf import FORMAT_VERSION
from scalefit.infer._chunk import Batch, Chunk

OLD_FILES = ("manifest.json", "chunk-*.npz")  # of format 1
REMEDY = "remove it, and call fit_many with the same arguments again"


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
        assert batch.attrs, "raises where the batch cannot be stored, before anything is computed"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            there = _numbers(self.folder)
        except (OSError, ValueError) as problem:
            reason = getattr(problem, "strerror", None) or problem
            raise StorageError(f"cannot use {shown(folder)}: {reason}. Choose another folder.") from problem
        if there:
            self._check(_read(self._path(there[0]), batch)[0])

    @classmethod
    def of_folder(cls, folder: str | Path) -> Self:
        """The store of a folder that `fit_many` filled; raises `StorageError` where it did not, or not to the end."""
        there = _numbers(Path(folder))
        if not there:
            raise StorageError(
                f"{shown(folder)} contains no fits. Give a folder that fit_many(..., folder=...) filled."
            )
        store = cls(folder, _read(Path(folder) / _name(there[0]))[0])
        chunks = store.batch.chunks
        if lacking := len(chunks) - sum(number in chunks for number in there):
            raise StorageError(
                f"{shown(folder)} lacks {lacking} of {len(chunks)} chunks. Call fit_many with the same arguments "
                "again, which computes them."
            )
        return store

    def read(self, number: int) -> Chunk | None:
        """The chunk of that number, if its file is there; raises `StorageError` where it is damaged or another's."""
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
        """Write a chunk's file, complete or not at all; raises `StorageError` where that fails."""
        write_file(self._path(number), chunk.encode(self.batch.attrs), FORMAT_VERSION)
        self._keep(number, chunk)

    def failures(self, number: int) -> dict[int, str]:
        """Those of a chunk that was written before."""
        if number not in self._failures:
            self.read(number)
        return self._failures[number]

    def _check(self, stored: Batch) -> None:
        """Raise `StorageError` where fits that are stored here are of another batch."""
        there, here = stored.attrs, self.batch.attrs
        for name in (name for name in here if there[name] != here[name]):
            differs = f"{name} {there[name]}, not {here[name]}"
            if name in ("model", "engine"):  # long
                differs = f"another {name}"
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
