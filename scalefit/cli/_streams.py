"""Standard streams that take every letter, and an output whose reader may leave before its end."""

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PLAIN = {
    "–": "-",
    "—": "-",
    "±": "+-",
    "×": "x",
    "−": "-",
    "…": "...",
    "“": '"',
    "”": '"',
    "’": "'",
    "≤": "<=",
    "≥": ">=",
}


class OutputError(Exception):
    """Standard output takes nothing more: a full disk, a closed descriptor."""


class Output:
    """A stream that goes on in silence when its reader has left: `scalefit fit RUNS | head -1` is no failure.

    Parameters
    ----------
    stream
        Where to.
    needed
        Raise `OutputError` where it takes nothing more for another reason; else that is silence too.
    """

    def __init__(self, stream: Any, needed: bool) -> None:
        self._stream, self._needed = stream, needed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, or drop it where nobody reads."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Hand on what was written."""
        self._try(self._stream.flush)

    def _try(self, call: Callable[[], Any]) -> None:
        try:
            call()
        except BrokenPipeError:
            self._end()
        except OSError as problem:
            self._end()  # or Python tries again when it exits, and ends with a status of its own
            if self._needed:
                raise OutputError(problem.strerror or str(problem)) from problem

    def _end(self) -> None:
        """Point the descriptor to nowhere, so that what is buffered, and whatever follows, is no error either."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


@contextlib.contextmanager
def standard_streams() -> Iterator[None]:
    """Both streams so prepared, as long as the context lasts."""
    before = sys.stdout, sys.stderr
    codecs.register_error("scalefit", _plain)
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="scalefit")
    with contextlib.ExitStack() as stack:
        if sys.stderr is None:
            sys.stderr = stack.enter_context(Path(os.devnull).open("w"))
        sys.stderr = Output(sys.stderr, needed=False)
        if sys.stdout is not None:
            sys.stdout = Output(sys.stdout, needed=True)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before


def _plain(problem: UnicodeError) -> tuple[str, int]:
    """In place of letters that an encoding lacks: the usual stand-in, or a question mark."""
    if not isinstance(problem, UnicodeEncodeError):
        raise problem
    letters = problem.object[problem.start : problem.end]
    return "".join(PLAIN.get(letter, "?") for letter in letters), problem.end
