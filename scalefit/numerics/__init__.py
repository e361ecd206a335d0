"""Numerical methods on arrays, named by the method: nothing here knows a model or a fit."""
