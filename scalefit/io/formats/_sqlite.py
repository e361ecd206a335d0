"""SQLite files, read only and never executed: tables and their columns."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from scalefit.errors import DataError

MAGIC = b"SQLite format 3\0"


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write; a damaged file is a `DataError`."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2)) as database:
            database.text_factory = lambda raw: raw.decode("utf-8", errors="replace")
            yield database
    except (sqlite3.Error, UnicodeError) as problem:
        raise DataError(f"{path.name} is not a readable database: {str(problem)[:200]}. Give another file.") from None


def columns_of(path: Path) -> dict[str, set[str]]:
    """Table -> the names of its columns; empty where the file cannot be read."""
    try:
        with opened(path) as database:
            names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            quoted = {name: name.replace('"', '""') for name in names[:1000]}
            return {
                name: {row[1] for row in database.execute(f'PRAGMA table_info("{safe}")')}
                for name, safe in quoted.items()
            }
    except DataError:
        return {}
