"""Stored fits read again: one, or a batch."""

import os
from functools import partial
from pathlib import Path
from typing import Any

from scalefit._netcdf import shown
from scalefit.errors import StorageError
from scalefit.fits.fit import Fit
from scalefit.fits.netcdf import read
from scalefit.infer._fits import load_fits
from scalefit.infer._stored_engine import fit_as


def load(path: str | Path) -> Any:
    """A stored fit, or a batch of them.

    Parameters
    ----------
    path
        A file that `Fit.save` wrote, or a folder that `fit_many` filled.

    Returns
    -------
    Fit or Fits
        The fit of a file; those of a folder, which needs no tables: it has them.

    Raises
    ------
    StorageError
        Nothing is there; a file is damaged, was edited, is foreign or of another format; or a folder is incomplete.
    """
    return load_fits(path) if os.path.isdir(path) else load_fit(path)


def load_fit(path: str | Path) -> Fit:
    """The one fit of a file; raises `StorageError` as `load` does, and on a folder."""
    if os.path.isdir(path):
        raise StorageError(
            f"{shown(path)} is a folder of fits, not one fit. Give a file, or sf.load(folder)[i].save(file)."
        )
    stored = read(path)
    return Fit(**stored, refit=partial(fit_as, model=stored["model"], engine=stored["engine"], seed=stored["seed"]))
