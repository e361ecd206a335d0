"""JSON: a list of records, columns of values, records by name, or either under one key."""

import json
from pathlib import Path
from typing import Any, final

from scalefit.errors import DataError
from scalefit.io.formats._format import Format, Logged, decode, flat, need, of_records


@final
class Json(Format):
    """One JSON document."""

    name = "json"
    about = "JSON: a list of records, or columns"

    def recognises(self, path: Path, head: bytes) -> bool:
        """Text that opens a list or an object."""
        return decode(head[:4096]).lstrip()[:1] in ("[", "{")

    def read(self, path: Path) -> Logged:
        """Records, one a run; nested objects become names with dots."""
        try:
            content = json.loads(decode(path.read_bytes()))
        except (json.JSONDecodeError, RecursionError) as problem:
            raise DataError(f"{path.name} is not readable JSON: {str(problem)[:200]}. Correct the file.") from None
        records = _records(content)
        need(records, path, "records")
        return Logged(of_records([flat(record) for record in records]))


def _records(content: Any) -> list[dict[str, Any]]:
    """The records of a document, whichever way it is arranged; none where it is no table."""
    if isinstance(content, list):
        return [record for record in content if isinstance(record, dict)]
    if not isinstance(content, dict):
        return []
    if {"columns", "data"} <= set(content) and isinstance(content["data"], list):  # pandas' orient="split"
        names = [str(name) for name in content["columns"]]
        return [dict(zip(names, row, strict=False)) for row in content["data"] if isinstance(row, list)]
    lists = {key: value for key, value in content.items() if isinstance(value, list)}
    tables = [value for value in lists.values() if value and all(isinstance(item, dict) for item in value)]
    if len(tables) == 1:  # {"runs": [{...}, ...]}
        return tables[0]
    lengths = {len(value) for value in lists.values()}
    if lists and len(lengths) == 1 and not any(isinstance(item, dict | list) for v in lists.values() for item in v):
        constants = {key: value for key, value in content.items() if not isinstance(value, list | dict)}
        return [constants | {key: value[row] for key, value in lists.items()} for row in range(lengths.pop())]
    children = [value for value in content.values() if isinstance(value, dict)]
    if children and len(children) == len(content):
        if all(_is_column(child, children[0]) for child in children):  # {"params": {"0": 1e8, ...}, ...}
            return [{name: column[row] for name, column in content.items()} for row in children[0]]
        numbered = all(name.isdigit() for name in content)
        return children if numbered else [{"run": name} | record for name, record in content.items()]
    return [content] if content else []


def _is_column(child: dict[str, Any], first: dict[str, Any]) -> bool:
    return list(child) == list(first) and all(key.isdigit() for key in child)
