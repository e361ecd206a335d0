"""W&B's local folders: `wandb/run-*/files`, each with a configuration and a summary."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, final

from scalefit.io.formats._format import Format, Logged, decode, flat, need, of_records
from scalefit.io.formats._yaml import read_mapping

SUMMARY, CONFIG = "wandb-summary.json", "config.yaml"
MOST = 100_000  # folders that are looked at


@final
class WandbRuns(Format):
    """One row a run: its configuration and its summary."""

    name = "wandb"
    about = "W&B's local run folders: config.yaml and wandb-summary.json"

    def recognises(self, path: Path, head: bytes) -> bool:
        """A run's folder, or one of run folders."""
        return path.is_dir() and next(_summaries(path), None) is not None

    def read(self, path: Path) -> Logged:
        """Configuration under `config.`, summary under `summary.`; a run that stopped early has no summary."""
        rows, broken = [], 0
        for summary in _summaries(path):
            content = _summary(summary)
            broken += content is None
            folder = summary.parent.parent if summary.parent.name == "files" else summary.parent
            row: dict[str, Any] = {"run": folder.name.rsplit("-", 1)[-1] if "-" in folder.name else folder.name}
            row |= {f"config.{key}": value for key, value in _config(summary.parent / CONFIG).items()}
            rows.append(row | {f"summary.{key}": value for key, value in (content or {}).items()})
        need(rows, path, f"run with a {SUMMARY}")
        return Logged(of_records(rows), (f"{broken} run(s) have an unreadable {SUMMARY}",) if broken else ())


def _summaries(path: Path) -> Iterator[Path]:
    """The summaries of the runs below a folder, each once: `latest-run` is a link to one of them."""
    folders = [path, path / "files", *(path / "wandb").glob("*run-*"), *path.glob("*run-*")]
    for folder in islice(sorted(set(folders)), MOST):
        if folder.name.startswith("latest-run") or (folder.is_symlink() and folder != path):
            continue
        for candidate in (folder / SUMMARY, folder / "files" / SUMMARY):
            if candidate.is_file() and not (candidate.parent == path / "files" and folder == path):
                yield candidate
                break


def _summary(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(decode(path.read_bytes()))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    return flat({key: value for key, value in content.items() if key != "_wandb"})


def _config(path: Path) -> dict[str, Any]:
    """The configuration without W&B's own entries; each value stands under `value`."""
    try:
        content = read_mapping(decode(path.read_bytes()))
    except OSError:
        return {}
    own = {key: entry.get("value") for key, entry in content.items() if isinstance(entry, dict) and key != "_wandb"}
    return flat(own)
