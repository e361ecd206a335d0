"""MLflow's file store: `mlruns/<experiment>/<run>`, each with `meta.yaml` and a file for every parameter and metric."""

import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, final

from scalefit.io.formats._format import Format, Logged, decode, need, of_records
from scalefit.io.formats._yaml import read_mapping

FOLDER, META = "mlruns", "meta.yaml"
PARTS = ("params", "metrics", "tags")
MOST = 100_000  # folders, and files of a run, that are looked at
STATES = {1: "running", 2: "scheduled", 3: "finished", 4: "failed", 5: "killed"}  # as MLflow numbers them


@final
class Mlruns(Format):
    """One row a run: its status, its parameters and tags, and the last value of each metric."""

    name = "mlruns"
    about = "MLflow's folder of files"

    def recognises(self, path: Path, head: bytes) -> bool:
        """A store, an experiment or a run, or a folder with a store in it."""
        return path.is_dir() and next(_run_folders(path), None) is not None

    def read(self, path: Path) -> Logged:
        """Runs that were not deleted."""
        rows, deleted = [], 0
        for folder in _run_folders(path):
            meta = read_mapping(_text(folder / META))
            if meta.get("lifecycle_stage", "active") == "deleted":
                deleted += 1
                continue
            values = _values(folder)
            status, name = meta.get("status"), meta.get("run_name") or values.get("tags.mlflow.runName") or folder.name
            row = {"run_uuid": folder.name, "name": str(name), "status": STATES.get(status or 0, status)}
            rows.append(row | {key: value for key, value in values.items() if not key.startswith("tags.mlflow.")})
        need(rows, path, "runs")
        notes = (f"each metric of {path.name} is read at its last step",)
        return Logged(of_records(rows), (*notes, f"{deleted} deleted run(s) are left out") if deleted else notes)


def _run_folders(path: Path) -> Iterator[Path]:
    """The folders of runs, each once: MLflow hides what it deletes in `.trash`."""
    for top in (path, path / FOLDER):
        for pattern in (META, f"*/{META}", f"*/*/{META}"):
            for folder in sorted(found.parent for found in islice(top.glob(pattern), MOST)):
                hidden = any(part.startswith(".") for part in folder.relative_to(top).parts)
                if not hidden and any((folder / part).is_dir() for part in PARTS[:2]):
                    yield folder


def _values(folder: Path) -> dict[str, Any]:
    """Part and key -> value; a key with a slash is a file in a folder."""
    found: dict[str, Any] = {}
    for part in PARTS:
        for file in sorted(islice((p for p in (folder / part).rglob("*") if p.is_file()), MOST)):
            key = f"{part}.{file.relative_to(folder / part).as_posix()}"
            found[key] = _last(_text(file)) if part == "metrics" else _text(file).strip()
    return found


def _last(text: str) -> float | None:
    """The value of the last step of a metric; lines are time, value and step."""
    best: tuple[float, float, float] | None = None
    for words in map(str.split, text.splitlines()):
        try:
            time, value, step = float(words[0]), float(words[1]), float(words[2]) if len(words) > 2 else 0.0
        except (ValueError, IndexError):
            continue
        best = (step, time, value) if best is None or (step, time) >= best[:2] else best
    return best[2] if best and not math.isnan(best[2]) else None


def _text(path: Path) -> str:
    try:
        return decode(path.read_bytes())
    except OSError:
        return ""
