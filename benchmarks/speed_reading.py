"""How long a table of a million runs takes to read: a part of speed.py. Each runs in a process of its own."""

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

import scalefit as sf

Table = tuple[list[str], list[list[object]]]
ROWS = 10**6
IN_A_PROCESS = """
import json, sys
sys.path.insert(0, {folder!r})
from speed_reading import seconds_of
print(json.dumps(seconds_of({path!r})))
"""


def reading() -> Table:
    """A million rows, numbers alone, and with run names, recipes, remarks and dates."""
    header = ["a million rows", "CPU s, the first time", "CPU s", "wall s", "peak memory, MB"]
    rng = np.random.default_rng(0)
    params, tokens = 10 ** rng.uniform(7, 10, ROWS), 10 ** rng.uniform(9, 12, ROWS)
    loss = (1.8 + 480 / params**0.35 + 2000 / tokens**0.37) * np.exp(0.01 * rng.standard_normal(ROWS))
    numbers = pd.DataFrame({"params": params, "tokens": tokens, "loss": loss})
    texts = numbers.assign(
        run=[f"run-{i:07d}" for i in range(ROWS)],
        recipe=rng.choice(["base", "filtered web", "code heavy"], ROWS),
        notes=[f"learning rate {x:.4f}, warm-up {x:.3f}" if x < 0.7 else None for x in rng.uniform(size=ROWS)],
        date=pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(0, 3 * 10**7, ROWS), unit="s"),
    )
    rows: list[list[object]] = []
    with TemporaryDirectory() as folder:
        for what, frame in (("numbers", numbers), ("numbers, three columns of texts, a date", texts)):
            for ending, write in (("csv", frame.to_csv), ("parquet", frame.to_parquet)):
                path = Path(folder) / f"runs.{ending}"
                write(path, index=False)
                code = IN_A_PROCESS.format(folder=str(Path(__file__).parent), path=str(path))
                out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
                rows.append([f"{ending}: {what}", *json.loads(out.splitlines()[-1])])
    return header, rows


def seconds_of(path: str) -> list[float]:
    """CPU seconds of the first reading, the least CPU and wall seconds of three more, and the peak memory in MB."""
    from speed import _peak_memory

    cpu, wall = [], []
    for _ in range(4):
        began, start = time.process_time(), time.perf_counter()
        sf.read_runs(path)
        cpu.append(time.process_time() - began)
        wall.append(time.perf_counter() - start)
    return [cpu[0], min(cpu[1:]), min(wall[1:]), _peak_memory()]
