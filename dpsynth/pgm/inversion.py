"""Codes drawn from laws that differ from row to row, by inversion."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def drawn_from(cumulative: Array, *, uniform: Array) -> NDArray[np.int64]:
    """Return the code at which each row of rising sums passes its uniform number times the last.

    Args:
        cumulative: (rows, codes), weights summed along each row.
        uniform: (rows,), from 0 to below 1.
    """
    passed = cumulative[:, :-1] <= (uniform * cumulative[:, -1])[:, None]
    return passed.sum(axis=1)
