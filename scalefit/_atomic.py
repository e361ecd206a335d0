"""Files that are there whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from scalefit import _interrupt


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, put in its place when all went well; raises `OSError` where it cannot be."""
    unfinished = path.with_name(f".{uuid4().hex}{path.suffix}")
    _interrupt.unfinished.add(unfinished)
    try:
        unfinished.touch()
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
        _interrupt.unfinished.discard(unfinished)


def atomic_write(path: Path, content: bytes | bytearray | memoryview) -> None:
    """Write all of `path`; raises `OSError` where that fails."""
    with atomic_path(path) as unfinished:
        unfinished.write_bytes(content)
