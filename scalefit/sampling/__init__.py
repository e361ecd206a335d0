"""Numerical methods bound to a model: coordinates, starts, modes, and the posterior with discrepancy."""
