"""Stored fits read again: one, or a batch."""

import os
from functools import partial
from pathlib import Path

from scalefit._netcdf import Contents, shown
from scalefit.errors import StorageError
from scalefit.fits.fit import Fit
from scalefit.fits.netcdf import FORMAT, fields_of, read
from scalefit.infer._fits import load_fits
from scalefit.infer._stored_engine import fit_as

__all__ = ["fit_of", "load_fit", "load_fits"]


def load_fit(path: str | Path) -> Fit:
    """The one fit of a file; raises `StorageError` as `load` does, and on a folder."""
    if os.path.isdir(path):
        raise StorageError(
            f"{shown(path)} is a folder of fits, not one fit. Give a file, or sf.load(folder)[i].save(file)."
        )
    return read(path, {FORMAT: fit_of})


def fit_of(contents: Contents) -> Fit:
    """The fit that a file contains, which can fit other tables as it was fitted."""
    stored = fields_of(contents)
    return Fit(**stored, refit=partial(fit_as, model=stored["model"], engine=stored["engine"], seed=stored["seed"]))
