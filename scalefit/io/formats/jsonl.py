"""JSON lines: one run a line, or one step a line as loggers write them."""

import json
from pathlib import Path
from typing import Any, final

from scalefit.errors import DataError
from scalefit.io.aliases import with_role
from scalefit.io.formats._format import Format, Logged, decode, flat, need, of_records


@final
class JsonLines(Format):
    """One JSON object a line."""

    name = "jsonl"
    about = "JSON lines: one run a line, or one step a line"

    def recognises(self, path: Path, head: bytes) -> bool:
        """A first line that is an object of its own."""
        line = decode(head).lstrip().split("\n", 1)
        if not line[0].startswith("{") or (len(line) == 1 and path.suffix.lower() not in (".jsonl", ".ndjson")):
            return False
        try:
            return isinstance(json.loads(line[0]), dict) and (
                path.suffix.lower() in (".jsonl", ".ndjson") or line[1].lstrip().startswith("{")
            )
        except (ValueError, RecursionError):
            return False

    def read(self, path: Path) -> Logged:
        """Records; a line that a crash cut off at the end is left out."""
        records: list[dict[str, Any]] = []
        notes: tuple[str, ...] = ()
        lines = [(n, line) for n, line in enumerate(decode(path.read_bytes()).split("\n"), 1) if line.strip()]
        for number, line in lines:
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                if number == lines[-1][0] and records:
                    notes = (f"the last line of {path.name} is cut off and left out",)
                    continue
                raise DataError(f"line {number} of {path.name} is not readable JSON. Correct or remove it.") from None
            if isinstance(record, dict):
                records.append(flat(record))
        need(records, path, "records")
        steps = with_role(list(dict.fromkeys(name for record in records for name in record)), "step")
        return Logged(of_records(records), notes, history=steps is not None)
