"""Engines, one file each: ways to turn a model and a table into draws."""

from scalefit.infer._engine import Engine, find_engine, fit
from scalefit.infer.nuts import NUTS

__all__ = ["NUTS", "Engine", "find_engine", "fit"]
