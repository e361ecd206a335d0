"""Fits: draws of a model's parameters, what they predict, and how they are stored."""

from scalefit.fits.fit import Fit
from scalefit.fits.update import Update

__all__ = ["Fit", "Update"]
