"""Fits: draws of a model's parameters, what they predict, and how they are stored."""

from scalefit.fits.fit import Fit

__all__ = ["Fit"]
