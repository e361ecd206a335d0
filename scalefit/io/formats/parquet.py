"""Parquet files."""

from pathlib import Path
from typing import final

from scalefit.io.formats._format import Format, Logged


@final
class Parquet(Format):
    """A Parquet table, read by pyarrow."""

    name = "parquet"
    about = "Parquet"

    def recognises(self, path: Path, head: bytes) -> bool:
        """Its magic number."""
        return head[:4] == b"PAR1"

    def read(self, path: Path) -> Logged:
        """The table; one whose rows are a tracker's steps is a history."""
        import pandas as pd

        frame = pd.read_parquet(path, engine="pyarrow")
        return Logged(frame, history={"run_name", "step", "timestamp"} <= set(frame.columns))
