"""Compiled programs as files: each ends in a SHA-256 of its name and content, in a folder that no one else can write.

One wrong bit in a program crashes the interpreter or changes numbers, and whoever can write one can run anything.
"""

import glob
import hashlib
import os
import shlex
from pathlib import Path
from typing import Any

from scalefit._atomic import atomic_write

guarded: list[bool] = []
"""Not empty: this process is a command, whose whole compilation cache is checked, JAX's own programs included."""
DIGEST_BYTES = 32


def seal(name: str, content: bytes) -> bytes:
    """A program with its digest, for the file or key of that name."""
    return content + _digest(name, content)


def unsealed(name: str, stored: bytes) -> bytes | None:
    """What `seal` was given; None where one bit of it, or the name, is another."""
    content, digest = stored[:-DIGEST_BYTES], stored[-DIGEST_BYTES:]
    return content if digest == _digest(name, content) else None


def _digest(name: str, content: bytes) -> bytes:
    return hashlib.sha256(f"{name}\n".encode() + content).digest()


def read_program(path: Path) -> bytes | None:
    """The content of a program's file; None where it is absent, unreadable or damaged."""
    try:
        return unsealed(path.name, path.read_bytes())
    except OSError:
        return None


def write_program(path: Path, content: bytes) -> None:
    """Write a program's file; one that cannot be written costs time only, as with JAX's own cache."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, seal(path.name, content))
    except OSError:
        pass


def why_unsafe(folder: str) -> str:
    """Why programs of a folder are not used, in one sentence: others can write it. Empty where all is well.

    A folder that is not there yet, one elsewhere than in a file system, and Windows, which has no such modes, are well.
    """
    try:
        about = os.stat(folder)
        others = hasattr(os, "geteuid") and (about.st_uid not in (0, os.geteuid()) or about.st_mode & 0o022)
    except (OSError, ValueError):
        return ""
    if not others:
        return ""
    return (
        f"others can write to the cache folder {folder}, so scalefit reads no programs from it and keeps none there. "
        f"Set JAX_COMPILATION_CACHE_DIR to a folder of your own, or run `chmod go-w {shlex.quote(folder)}`."
    )


class _Guarded:
    """JAX's own cache of compiled programs, with a digest for each: its files have none, and it never replaces one.

    Parameters
    ----------
    cache
        JAX's, which keeps bytes by key in files of one folder.
    """

    def __init__(self, cache: Any) -> None:
        self._cache, self._path = cache, cache._path

    def get(self, key: str) -> bytes | None:
        """A program as it was kept; a damaged file is removed."""
        name = self._name(key)
        stored = self._cache.get(name)
        content = None if stored is None else unsealed(name, stored)
        if stored is not None and content is None:
            for path in self._path.glob(f"{glob.escape(name)}-*"):
                path.unlink(missing_ok=True)
        return content

    def put(self, key: str, content: bytes) -> None:
        """Keep a program."""
        self._cache.put(name := self._name(key), seal(name, content))

    def _name(self, key: str) -> str:
        """Of a sealed file: JAX elsewhere could not read it."""
        return f"{key}-sealed"


def guard_jax_cache() -> None:
    """Have JAX use `_Guarded`. It offers no way to: where its insides are others, its cache stays as it is."""
    try:
        from jax._src import compilation_cache

        made = compilation_cache.get_file_cache
    except (ImportError, AttributeError):
        return

    def get_file_cache(path: str) -> tuple | None:
        found = made(path)
        return found and (_Guarded(found[0]), *found[1:])

    compilation_cache.get_file_cache = get_file_cache
