"""What the benchmarks share: the machine and versions behind a figure, and tables that are generated, never typed."""

import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np


def describe(*packages: str) -> str:
    """One line: date, processor, cores, Python, versions of scalefit, jax, numpyro and `packages`."""
    found = ", ".join(f"{name} {_version(name)}" for name in ("scalefit", "jax", "numpyro", *packages))
    today = datetime.now(UTC).date().isoformat()
    return f"{today}; {_processor()}, {os.cpu_count()} cores; Python {sys.version.split()[0]}; {found}"


def write_table(path: Path, title: str, where: str, *tables: tuple[list[str], list[list[object]]]) -> None:
    """Write Markdown tables (header, rows) under a title and the line that says where they were measured."""
    parts = [f"# {title}", where]
    for header, rows in tables:
        lines = [header, ["---"] * len(header), *[[_cell(value) for value in row] for row in rows]]
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n\n".join(parts) + "\n")
    print(path.read_text())


def interval(draws: np.ndarray, prob: float) -> np.ndarray:
    """Median, lower and upper end of the equal-tailed interval of draws (draw,)."""
    return np.quantile(draws, [0.5, (1 - prob) / 2, (1 + prob) / 2])


def _cell(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = (
        [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.exists()
        else []
    )
    return names[0] if names else platform.processor() or platform.machine()
