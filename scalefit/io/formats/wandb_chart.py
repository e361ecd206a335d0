"""W&B chart exports: one x axis, and for each run a metric with its `__MIN` and `__MAX`."""

import re
from pathlib import Path
from typing import final

from scalefit.errors import DataError
from scalefit.io.formats._format import Format, Logged, decode
from scalefit.io.formats.delimited import Csv

_SERIES = re.compile(r"(?P<run>.+) - (?P<metric>.+)")


@final
class WandbChart(Format):
    """The CSV that a chart's menu exports: long, one row a step of a run."""

    name = "wandb-chart"
    about = "W&B chart export: `RUN - METRIC` columns"

    def recognises(self, path: Path, head: bytes) -> bool:
        """A header of series, each with its extremes."""
        header = decode(head).lstrip().split("\n", 1)[0]
        return "__MIN" in header and "__MAX" in header and " - " in header

    def read(self, path: Path) -> Logged:
        """One row for each run and step, with the x axis and the metric as columns."""
        import pandas as pd

        wide = Csv().read(path).frame
        axis = str(wide.columns[0])
        parts = []
        for column in wide.columns[1:]:
            found = _SERIES.fullmatch(str(column))
            if found is None or column.endswith(("__MIN", "__MAX")):
                continue
            series = pd.DataFrame({"run": found["run"], axis: wide[axis], found["metric"]: wide[column]})
            parts.append(series.dropna(subset=[found["metric"]]))
        if not parts:
            raise DataError(f"{path.name} has no column `RUN - METRIC`. Export the chart of one metric as CSV.")
        long = pd.concat(parts, ignore_index=True)
        if with_axis_of_steps := axis.strip('"').lower() in ("step", "_step"):
            long = long.rename(columns={axis: "step"})
        return Logged(long if with_axis_of_steps else long.assign(step=long.groupby("run").cumcount()), history=True)
