"""Engines, one file each: ways to turn a model and a table into draws."""

from scalefit.infer._contracts import Engine, EngineResult, Report, attempt, find_engine
from scalefit.infer._fit import checked_engine, fit
from scalefit.infer._progress import progress_report
from scalefit.infer._shard import Shard
from scalefit.infer.ais import AIS
from scalefit.infer.auto import Auto
from scalefit.infer.batch import usual_chunk
from scalefit.infer.bootstrap import Bootstrap
from scalefit.infer.huber import Huber
from scalefit.infer.least_squares import LeastSquares
from scalefit.infer.many import Fits, fit_many
from scalefit.infer.map import MAP
from scalefit.infer.merge import merge
from scalefit.infer.nuts import NUTS
from scalefit.infer.tables_in import tables_in
from scalefit.infer.vpnls import VPNLS

__all__ = [
    "AIS", "MAP", "NUTS", "VPNLS", "Auto", "Bootstrap", "Engine", "EngineResult", "Fits", "Huber",
    "LeastSquares", "Report", "Shard", "attempt", "checked_engine", "find_engine", "fit", "fit_many", "merge",
    "progress_report", "tables_in", "usual_chunk",
]  # fmt: skip
