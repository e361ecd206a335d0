"""Results of many fits, a chunk of tables at a time, in memory or on disk; nothing is ever pickled."""

import io
import json
from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from scalefit._atomic import atomic_write
from scalefit.diagnostics.checks import Check
from scalefit.errors import StorageError
from scalefit.infer._contracts import EngineResult

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Chunk:
    """Consecutive tables from `start`: a result or the reason of a failure for each, and what each table was."""

    start: int
    results: tuple[EngineResult | str, ...]
    fingerprints: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """As a .npz archive: arrays stacked over the tables that were fitted, the rest as JSON text."""
        fitted = [r for r in self.results if isinstance(r, EngineResult)]
        groups: dict[tuple, list[int]] = {}
        for row, result in enumerate(fitted):
            groups.setdefault(_layout(result), []).append(row)
        arrays: dict[str, Any] = {}
        layouts = []
        for number, (layout, rows) in enumerate(groups.items()):
            layouts.append({"rows": rows, "names": [list(names) for names in layout[0]]})
            for part, names in zip(("draws", "stats"), layout[0], strict=True):
                for name in names:
                    values = [np.asarray(getattr(fitted[row], part)[name]) for row in rows]
                    arrays[f"{number}/{part}/{name}"] = np.stack(values)
        about = {
            "start": self.start,
            "fingerprints": self.fingerprints,
            "failures": {i: r for i, r in enumerate(self.results) if isinstance(r, str)},
            "checks": [[asdict(check) for check in r.checks] for r in fitted],
            "layouts": layouts,
        }
        buffer = io.BytesIO()
        np.savez(buffer, about=np.asarray(json.dumps(about)), **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Chunk":
        """The inverse of `to_bytes`."""
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            about = json.loads(str(archive["about"]))
            fitted: dict[int, EngineResult] = {}
            for number, layout in enumerate(about["layouts"]):
                read = [{name: archive[f"{number}/{part}/{name}"] for name in names}
                        for part, names in zip(("draws", "stats"), layout["names"], strict=True)]  # fmt: skip
                for place, row in enumerate(layout["rows"]):
                    draws, stats = ({name: values[place] for name, values in part.items()} for part in read)
                    checks = tuple(Check(**check) for check in about["checks"][row])
                    fitted[row] = EngineResult(draws, stats, checks)
        order = iter(fitted[row] for row in range(len(fitted)))
        failures = about["failures"]
        results = tuple(failures.get(str(i)) or next(order) for i in range(len(about["fingerprints"])))
        return cls(about["start"], results, tuple(about["fingerprints"]))


def _layout(result: EngineResult) -> tuple:
    """What must agree for two results to be stacked: names, shapes and types."""
    parts = [{name: np.asarray(values) for name, values in part.items()} for part in (result.draws, result.stats)]
    return tuple(tuple(part) for part in parts), tuple((v.shape, str(v.dtype)) for part in parts for v in part.values())


class ChunkStore(Hashable, Protocol):
    """Where chunks are put, by number."""

    def get(self, number: int) -> Chunk | None:
        """The chunk of that number, if it was put here before."""

    def put(self, number: int, chunk: Chunk) -> None:
        """Keep a chunk."""


class Memory:
    """Chunks kept while the object lives."""

    def __init__(self) -> None:
        self.chunks: dict[int, Chunk] = {}

    def get(self, number: int) -> Chunk | None:
        """The chunk of that number, if it was put here before."""
        return self.chunks.get(number)

    def put(self, number: int, chunk: Chunk) -> None:
        """Keep a chunk."""
        self.chunks[number] = chunk


class Folder:
    """Chunks kept as files, and a manifest of what was asked for."""

    def __init__(self, folder: str | Path, order: Mapping[str, object]) -> None:
        """Open a folder for this order (model, engine, seed, ...); raises `FitError` where it holds another's."""
        self.folder = Path(folder)
        self._last: tuple[int, Chunk] | None = None  # fits are mostly asked for in their order
        asked, manifest = json.loads(json.dumps(order)), self.folder / MANIFEST
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not manifest.exists():
                atomic_write(manifest, json.dumps(asked, indent=1).encode())
            held = json.loads(manifest.read_text())
        except (OSError, ValueError) as problem:
            raise StorageError(f"cannot use {folder}: {problem}; choose another folder.") from problem
        if wrong := [name for name in asked if held.get(name) != asked[name]]:
            raise StorageError(
                f"{folder} holds fits with {wrong[0]} {held.get(wrong[0])}, not {asked[wrong[0]]}; "
                "choose another folder, or remove it."
            )

    def get(self, number: int) -> Chunk | None:
        """The chunk of that number, if its file is there; raises `FitError` where it is damaged."""
        if self._last and self._last[0] == number:
            return self._last[1]
        path = self._path(number)
        if not path.exists():
            return None
        try:
            self._last = number, Chunk.from_bytes(path.read_bytes())
            return self._last[1]
        except Exception as problem:  # zipfile and json raise anything on a damaged file
            raise StorageError(f"{path} is damaged ({problem}); remove it, and it will be computed again.") from problem

    def put(self, number: int, chunk: Chunk) -> None:
        """Write a chunk's file, complete or not at all."""
        atomic_write(self._path(number), chunk.to_bytes())
        self._last = number, chunk

    def _path(self, number: int) -> Path:
        return self.folder / f"chunk-{number:06d}.npz"
