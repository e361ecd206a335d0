"""Stored fits read again: one, a batch, or those of several recipes."""

import os
from pathlib import Path
from typing import Any

from scalefit._netcdf import Contents
from scalefit.fits.netcdf import FORMAT, read
from scalefit.infer.load import fit_of, load_fits
from scalefit.recipes._storage import RECIPES
from scalefit.recipes._stored import decoded
from scalefit.recipes.fit_recipes import RecipeFits


def load(path: str | Path) -> Any:
    """A stored fit, a batch of them, or those of several recipes.

    Parameters
    ----------
    path
        A file that `Fit.save` or `RecipeFits.save` wrote, or a folder that `fit_many` filled.

    Returns
    -------
    Fit, RecipeFits or Fits
        The fit or fits of a file; those of a folder, which needs no tables: it has them.

    Raises
    ------
    StorageError
        Nothing is there; a file is damaged, was edited, is foreign or of another format; or a folder is incomplete.
    """
    return load_fits(path) if os.path.isdir(path) else read(path, {FORMAT: fit_of, RECIPES: _recipe_fits_of})


def load_recipes(path: str | Path) -> RecipeFits:
    """The fits of several recipes; raises `StorageError` as `load` does, and on a file of anything else."""
    return read(path, {RECIPES: _recipe_fits_of}, "compare recipes")


def _recipe_fits_of(contents: Contents) -> RecipeFits:
    return RecipeFits(**decoded(contents))
