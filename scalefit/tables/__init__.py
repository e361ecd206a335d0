"""The only place where draws become intervals and DataFrames. Intervals are equal-tailed, probability given."""
