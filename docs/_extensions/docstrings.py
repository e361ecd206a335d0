"""Docstrings as they stand in the sources, for reStructuredText: plurals of code, and stars that mean no emphasis."""

import re
from typing import Any

from sphinx.application import Sphinx

PLURAL = re.compile(r"(`[^`\n]+`)(?=\w)")
PARAMETERS = re.compile(r"\*{0,2}\w+(, \*{0,2}\w+)*")  # numpydoc escapes these by itself
STAR = re.compile(r"(?<![\w`*\\])(\*{1,2})(?=\w)")


def escape(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """In place, before numpydoc reads the lines."""
    for i, line in enumerate(lines):
        if PARAMETERS.fullmatch(line):
            continue
        parts = re.split(r"(`[^`]*`)", PLURAL.sub(r"\1\\ ", line))
        lines[i] = "".join(
            part if part.startswith("`") else STAR.sub(lambda found: "\\*" * len(found[0]), part) for part in parts
        )


def setup(app: Sphinx) -> dict[str, bool]:
    """Before numpydoc, whose priority is the default, 500."""
    app.connect("autodoc-process-docstring", escape, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
