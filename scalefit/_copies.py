"""Rows of a table that are copies of others."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int, Shaped


def first_alike(columns: Mapping[str, Shaped[np.ndarray, " run"]]) -> Int[np.ndarray, " run"]:
    """The first row with the same numbers as each row: its own place, where no earlier row is the same.

    Parameters
    ----------
    columns
        Name -> values (run,), with at least one of floats; texts are not compared, and missing numbers are alike.

    Returns
    -------
    array
        Places from 0, (run,).
    """
    numbers = [np.where(np.isnan(v), np.nan, v + 0.0).view(np.uint64) for v in columns.values() if v.dtype.kind == "f"]
    hashes = _hashes(numbers)
    rows = np.arange(len(hashes))
    ordered = np.sort(hashes)
    if not (ordered[1:] == ordered[:-1]).any():
        return rows
    order = np.argsort(hashes, kind="stable")
    starts = np.append(True, hashes[order][1:] != hashes[order][:-1])
    first = np.empty_like(rows)
    first[order] = order[starts][np.cumsum(starts) - 1]
    return np.where(np.all([bits == bits[first] for bits in numbers], axis=0), first, rows)


def _hashes(numbers: list[Shaped[np.ndarray, " run"]]) -> Shaped[np.ndarray, " run"]:
    """A number of the bits of each row; a sort of these finds copies faster than one of rows."""
    total = np.zeros(len(numbers[0]), dtype=np.uint64)
    for bits in numbers:
        total = (total * np.uint64(0x9E3779B97F4A7C15)) ^ (bits * np.uint64(0xC2B2AE3D27D4EB4F))
        total ^= total >> np.uint64(29)
    return total
