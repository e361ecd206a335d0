"""trackio's store in one SQLite file a project: metrics of each step, and each run's configuration."""

import json
from pathlib import Path
from typing import Any, final

from scalefit.io.formats._format import Format, Logged, flat, need, of_records
from scalefit.io.formats._sqlite import MAGIC, columns_of, opened


@final
class Trackio(Format):
    """One row a step of a run."""

    name = "trackio"
    about = "trackio's SQLite store"

    def recognises(self, path: Path, head: bytes) -> bool:
        """A database with trackio's table of metrics."""
        return head.startswith(MAGIC) and {"run_name", "step", "metrics"} <= columns_of(path).get("metrics", set())

    def read(self, path: Path) -> Logged:
        """Metrics by step, with the configuration of their run."""
        tables = columns_of(path)
        with opened(path) as database:
            configs: dict[str, dict[str, Any]] = {}
            if {"run_name", "config"} <= tables.get("configs", set()):
                for run, config in database.execute("SELECT run_name, config FROM configs"):
                    configs[run] = {f"config.{key}": value for key, value in _content(config).items()}
            steps = database.execute("SELECT run_name, step, metrics FROM metrics ORDER BY run_name, step").fetchall()
        need(steps, path, "metrics")
        rows = [configs.get(run, {}) | _content(metrics) | {"run": run, "step": step} for run, step, metrics in steps]
        return Logged(of_records(rows), history=True)


def _content(text: Any) -> dict[str, Any]:
    """A JSON object, flat; empty where it is none."""
    try:
        content = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return {}
    return flat(content) if isinstance(content, dict) else {}
