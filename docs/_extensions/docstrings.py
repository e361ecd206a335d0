"""Docstrings as they stand in the sources, for reStructuredText: plurals of code, and stars that mean no emphasis."""

import re
from typing import Any

from sphinx.application import Sphinx

CODE = re.compile(r"(`[^`]*`)")
STAR = re.compile(r"(?<![\w*\\])(\*{1,2})(?=\S)")
ALONE = re.compile(r"\*{0,2}\w+")  # the name of one parameter, whose stars numpydoc escapes


def escaped(line: str) -> str:
    """A line whose code may be followed by letters, and whose stars are stars."""
    parts = CODE.split(line)
    for i, part in enumerate(parts):
        if i % 2:
            parts[i] = part + "\\ " * bool(re.match(r"\w", parts[i + 1]))
        else:
            parts[i] = STAR.sub(lambda found: "\\*" * len(found[0]), part)
    return "".join(parts)


def escape(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """In place, before numpydoc reads the lines."""
    lines[:] = [line if ALONE.fullmatch(line) else escaped(line) for line in lines]


def setup(app: Sphinx) -> dict[str, bool]:
    """Before numpydoc, whose priority is the default, 500."""
    app.connect("autodoc-process-docstring", escape, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
