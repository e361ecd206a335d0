"""Points in an order in which neighbours are close: that of a balanced k-d tree."""

import numpy as np
from jaxtyping import Float, Int


def kd_order(points: Float[np.ndarray, "point dim"], levels: int) -> Int[np.ndarray, " point"]:
    """Indices in the order of the leaves of a tree that halves each cell across its widest coordinate, `levels` times.

    Of the points at places p of the order, those with equal p 2^levels // len(points) share a leaf.
    """
    order, position = np.arange(len(points)), np.arange(len(points))
    for level in range(min(levels, int(np.log2(len(points))))):
        cell = position * 2**level // len(points)
        starts = np.searchsorted(cell, np.arange(2**level))
        sizes = np.diff(np.append(starts, len(points)))[:, None]
        mean = np.add.reduceat(points[order], starts) / sizes
        widest = (np.add.reduceat(points[order] ** 2, starts) / sizes - mean**2).argmax(axis=1)
        order = order[np.lexsort((points[order, widest[cell]], cell))]
    return order
