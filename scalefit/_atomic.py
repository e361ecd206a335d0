"""Atomic writes: files that are complete or absent."""

import errno
import os
import stat
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
        Where the file shall be. A link is followed; a file there gives the new one its mode.

    Yields
    ------
    pathlib.Path
        Where to write.

    Raises
    ------
    OSError
        The file cannot be written or moved, is read-only, or is a device or a pipe.
    """
    path = Path(os.path.realpath(path))
    mode = _mode_of(path)
    unfinished = path.with_name(f".{uuid4().hex}{path.suffix}")
    _interrupt.unfinished.add(unfinished)
    try:
        unfinished.touch()
        if mode is not None:
            unfinished.chmod(mode)
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


def link_new(path: Path, content: bytes) -> None:
    """Write all of a file where there is none; of several processes, one succeeds.

    Raises
    ------
    FileExistsError
        A file is there.
    OSError
        The file cannot be written.
    """
    unfinished = path.with_name(f".{uuid4().hex}{path.suffix}")
    _interrupt.unfinished.add(unfinished)
    try:
        unfinished.write_bytes(content)
        try:
            os.link(unfinished, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
        _interrupt.unfinished.discard(unfinished)


def _mode_of(path: Path) -> int | None:
    """Of a file that may be replaced, which the system would do to any; None where there is none."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is not a file", str(path))
    if not mode & 0o222:
        raise OSError(errno.EACCES, "it is read-only", str(path))
    return stat.S_IMODE(mode)
