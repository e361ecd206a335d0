"""The part of YAML that trackers write: mappings by indentation, plain and quoted scalars."""

import re
from typing import Any

_LINE = re.compile(r"(?P<indent> *)(?P<key>\"[^\"]*\"|'[^']*'|[^\s#\-][^:]*|-[^\s:][^:]*)\s*:(?:\s+(?P<value>.*))?$")


def read_mapping(text: str) -> dict[str, Any]:
    """Read nested mappings.

    Parameters
    ----------
    text
        A document whose top is a mapping, as `config.yaml` and `hparams.yaml` are.

    Returns
    -------
    dict
        Key -> text, number, None or a mapping; lists and blocks of text are left out.
    """
    top: dict[str, Any] = {}
    open_levels: list[tuple[int, dict[str, Any]]] = [(-1, top)]
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        indent = len(match["indent"])
        while len(open_levels) > 1 and open_levels[-1][0] >= indent:
            open_levels.pop()
        key, value = match["key"].strip("\"' "), (match["value"] or "").strip()
        if value in ("", "|", ">", "|-", ">-") or value.startswith(("&", "!")):
            child: dict[str, Any] = {}
            open_levels[-1][1][key] = child
            open_levels.append((indent, child))
        elif not value.startswith(("[", "{", "- ")):
            open_levels[-1][1][key] = _scalar(value)
    return top


def _scalar(text: str) -> Any:
    if text[0] in "\"'" and text[-1] == text[0]:
        return text[1:-1]
    text = text.split(" #", 1)[0].strip()
    if text in ("null", "~"):
        return None
    try:
        return int(text) if re.fullmatch(r"[+-]?\d{1,18}", text) else float(text.replace("_", ""))
    except ValueError:
        return text
