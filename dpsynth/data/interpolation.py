"""Values within bins, from the counts of the bins beside them: what no spread was bought for."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.binning import float_edges, integer_edges
from dpsynth.data.columns import FloatColumn, IntegerColumn, Piece

Array = NDArray[np.float64]

PARTS = 256
"""Parts of equal width into which all bins of a column are cut, about as many each."""

_LEAST_PARTS = 4
"""Parts of each bin of a column with very many bins."""

_FINER = 8.0
"""How much larger noise is, beside what a curve's slope contributes, where bins are half as wide.

Two neighbouring bins of width h differ by h**2 times the slope of the density, up to noise of
variance 2 v; two of width 2 h by 4 h**2 times it, and their noise has variance 4 v.
"""


def interpolated(column: IntegerColumn | FloatColumn, counts: Array) -> IntegerColumn | FloatColumn:
    """Return the column with pieces in the bins that had none, along a smooth curve of all bins.

    The curve interpolates the cumulative counts at the edges of bins and rises wherever they do, so
    that the records of each bin stay in it. It is believed as far as bins twice as wide predict
    what their halves hold (`trust`), and what is left is uniform: where counts are noise, or leap
    from one bin to the next, values stay uniform and the column may be returned as it is.

    Args:
        column: the specification.
        counts: of its codes, that of missing values included; post-processing of what was bought.

    Reference: Fritsch & Butland 1984, equation 5, for the slopes of the curve.
    """
    whole = isinstance(column, IntegerColumn)
    edges = (integer_edges(column) if whole else float_edges(column)).astype(np.float64)
    bins = len(edges) - 1
    mass = np.maximum(np.asarray(counts, dtype=np.float64)[:bins], 0.0)
    given, home = _given(column.pieces, edges)
    bare = mass > 0
    bare[home] = False
    if not column.binned or not bare.any():
        return column
    believed = trust(edges, mass)
    if believed == 0:
        return column
    ends = _ends(edges, _scale(column))
    law = _law(edges, mass, ends)
    widths = np.diff(ends, axis=1)
    even = widths / widths.sum(axis=1, keepdims=True)
    weights = believed * law + (1 - believed) * even
    found = [*zip(home.tolist(), given, strict=True)]
    for b, k in np.argwhere(bare[:, None] & (widths > 0)).tolist():
        found.append((b, (float(ends[b, k]), float(ends[b, k + 1]), float(weights[b, k]))))
    found.sort(key=lambda item: item[0])  # stable: pieces of one bin stay in order
    return replace(column, pieces=tuple(piece for _, piece in found))


def trust(edges: Array, mass: Array) -> float:
    """Return how far the curve is to be believed within bins, from 0 to 1.

    Bins are joined in pairs, and the curve through the joined ones guesses what the first of each
    pair holds beyond its share of the width. The slope of what it does hold on the guess, over all
    pairs and weighed by their records, is 1 on a smooth curve. It is 0 where guesses are of no use;
    for what lies between, noise is at fault, and counts for more in the bins themselves (`_FINER`).

    Args:
        edges: of the bins, rising.
        mass: records of each, at least 0.
    """
    cumulative = np.concatenate([[0.0], np.cumsum(mass)])
    explained = guessed = 0.0
    for start in (0, 1):
        joined = np.unique([0, *range(start, len(edges), 2), len(mass)])
        middle = np.setdiff1d(np.arange(1, len(mass)), joined)
        records = cumulative[middle + 1] - cumulative[middle - 1]
        middle, records = middle[records > 0], records[records > 0]
        if not len(middle):
            continue
        width = edges[middle + 1] - edges[middle - 1]
        even = (edges[middle] - edges[middle - 1]) / width * records
        curve = _curve(edges[joined], cumulative[joined], edges[middle])
        guess = curve - cumulative[middle - 1] - even
        held = cumulative[middle] - cumulative[middle - 1] - even
        explained += float(np.sum(held * guess / records))
        guessed += float(np.sum(guess**2 / records))
    if not explained > 0:
        return 0.0
    slope = min(explained / guessed, 1.0)
    return slope / (slope + _FINER * (1 - slope))


def _law(edges: Array, mass: Array, ends: Array) -> Array:
    """Return the share of each bin's records in each of its parts, as the curve has it."""
    cumulative = np.concatenate([[0.0], np.cumsum(mass)])
    # Rounding may make a part of nothing negative, and the curve end beside a bin's edge.
    law = np.maximum(np.diff(_curve(edges, cumulative, ends), axis=1), 0.0)
    total, widths = law.sum(axis=1, keepdims=True), np.diff(ends, axis=1)
    even = widths / widths.sum(axis=1, keepdims=True)
    return np.where(total > 0, law / np.where(total > 0, total, 1.0), even)


def _curve(edges: Array, cumulative: Array, at: Array) -> Array:
    """Return the monotone cubic through cumulative counts at the edges, evaluated anywhere."""
    from scipy.interpolate import PchipInterpolator  # pyright: ignore[reportMissingTypeStubs]

    # Widths relative to the whole: products of them neither overflow nor vanish.
    scale = edges[-1] - edges[0]
    places = (edges - edges[0]) / scale
    if not (np.diff(places) > 0).all():  # too unequal for floats to tell apart
        return np.interp(at, edges, cumulative)
    return np.asarray(PchipInterpolator(places, cumulative)((at - edges[0]) / scale))


def _ends(edges: Array, scale: float | None) -> Array:
    """Return ends of the parts of each bin, bins x (parts + 1); a part may be empty.

    Args:
        edges: of the bins.
        scale: values are whole multiples of its inverse, and so are ends within a bin; None: any.
    """
    bins = len(edges) - 1
    parts = max(_LEAST_PARTS, -(-PARTS // bins))
    lower, upper = edges[:-1, None], edges[1:, None]
    found = lower + (upper - lower) * (np.arange(parts + 1) / parts)
    if scale is not None:
        found = np.ceil(found * scale - 1e-9) / scale
    found[:, 0], found[:, -1] = edges[:-1], edges[1:]
    return np.clip(found, lower, upper)


def _scale(column: IntegerColumn | FloatColumn) -> float | None:
    if isinstance(column, IntegerColumn):
        return 1.0
    return None if column.decimals is None else 10.0**column.decimals


def _given(pieces: tuple[Piece, ...], edges: Array) -> tuple[list[Piece], NDArray[np.intp]]:
    """Return the pieces of bins in which they weigh anything, and their bins."""
    lower = np.array([piece[0] for piece in pieces])
    weight = np.array([piece[2] for piece in pieces])
    bins = len(edges) - 1
    home = np.clip(np.searchsorted(edges[1:-1], lower, side="right"), 0, bins - 1)
    kept = np.bincount(home, weights=weight, minlength=bins)[home] > 0
    return [piece for piece, own in zip(pieces, kept, strict=True) if own], home[kept]
