"""Bins of numeric columns: half-open, the last one closed; declared or bought, hence public."""

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import CategoricalColumn, Column, FloatColumn, IntegerColumn

Numbers = NDArray[np.float64]


def integer_edges(column: IntegerColumn) -> NDArray[np.int64]:
    """Return where the bins start, and the first integer after the last bin.

    Bin `b` holds the integers from edge `b` up to but not including edge `b + 1`; no bin is empty,
    and unless the column has edges of its own, widths differ by one at most.
    """
    if column.edges is not None:
        return np.array(column.edges, dtype=np.int64)
    bins = column.size - column.missing
    # Python's integers: the product of a wide range and many bins exceeds 64 bits.
    starts = [column.lower + b * column.values // bins for b in range(bins + 1)]
    return np.array(starts, dtype=np.int64)


def float_edges(column: FloatColumn) -> NDArray[np.float64]:
    """Return the edges of the bins, `lower` first and `upper` last, strictly increasing.

    A constant column has one bin, whose two edges are equal.
    """
    if column.edges is not None:
        return np.array(column.edges)
    bins = column.size - column.missing
    return np.linspace(column.lower, column.upper, bins + 1)


def code_values(column: Column) -> tuple[Numbers, Numbers]:
    """Return the least and the largest value of each code, that of a missing value left out."""
    if isinstance(column, CategoricalColumn):
        positions = np.arange(len(column.categories), dtype=np.float64)
        return positions, positions
    if isinstance(column, FloatColumn):
        edges = float_edges(column)
        last = np.nextafter(edges[1:], edges[:-1])
        last[-1] = edges[-1]  # the last bin is closed
        return edges[:-1], np.maximum(last, edges[:-1])
    starts = integer_edges(column).astype(np.float64)
    return starts[:-1], starts[1:] - 1
