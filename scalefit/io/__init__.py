"""Tables in: from files, frames and mappings to `Runs`; the shipped tables; published models."""

from scalefit.io import datasets
from scalefit.io.read import read_runs

__all__ = ["datasets", "read_runs"]
