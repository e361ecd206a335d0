"""Atomic writes: files that are complete or absent."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from scalefit import _interrupt


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which replaces it when the block ends without an error.

    Parameters
    ----------
    path
        Where the file shall be.

    Yields
    ------
    pathlib.Path
        Where to write.

    Raises
    ------
    OSError
        The file cannot be written or moved.
    """
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
    """Write all of a file or nothing.

    Parameters
    ----------
    path
        Where the file shall be.
    content
        All of it.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    with atomic_path(path) as unfinished:
        unfinished.write_bytes(content)
