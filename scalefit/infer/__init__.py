"""Engines, one file each: ways to turn a model and a table into draws."""

from scalefit.infer._engine import Engine, find_engine, fit
from scalefit.infer.bootstrap import Bootstrap
from scalefit.infer.huber import Huber
from scalefit.infer.least_squares import LeastSquares
from scalefit.infer.map import MAP
from scalefit.infer.nuts import NUTS
from scalefit.infer.vpnls import VPNLS

__all__ = ["MAP", "NUTS", "VPNLS", "Bootstrap", "Engine", "Huber", "LeastSquares", "find_engine", "fit"]
