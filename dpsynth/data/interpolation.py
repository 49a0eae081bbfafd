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


def bare(column: IntegerColumn | FloatColumn) -> bool:
    """Return whether the column has bins in which nothing says where values lie."""
    edges = _edges(column)
    return column.binned and len(set(_given(column.pieces, edges)[1].tolist())) < len(edges) - 1


def interpolated(column: IntegerColumn | FloatColumn, counts: Array) -> IntegerColumn | FloatColumn:
    """Return the column with pieces in the bins that had none, along a smooth curve of all bins.

    Where counts are noise, or leap from one bin to the next (`curve_shares`), values stay uniform.

    Args:
        column: the specification.
        counts: of its codes, that of missing values included; post-processing of what was bought.
    """
    edges = _edges(column)
    bins = len(edges) - 1
    mass = np.maximum(np.asarray(counts, dtype=np.float64)[:bins], 0.0)
    given, home = _given(column.pieces, edges)
    open_bins = mass > 0
    open_bins[home] = False
    if not column.binned or not open_bins.any() or trust(edges, mass) == 0:
        return column
    ends = _ends(edges, _scale(column))
    shares, own = curve_shares(edges, mass, ends), bins_of(edges, ends)
    found = [*zip(home.tolist(), given, strict=True)]
    for k in np.flatnonzero(open_bins[own]).tolist():
        found.append((int(own[k]), (float(ends[k]), float(ends[k + 1]), float(shares[k]))))
    found.sort(key=lambda item: item[0])  # stable: pieces of one bin stay in order
    return replace(column, pieces=tuple(piece for _, piece in found))


def curve_shares(edges: Array, mass: Array, ends: Array) -> Array:
    """Return for each part of a bin the share of the bin's records that a smooth curve gives it.

    The curve interpolates the cumulative counts at the edges of bins and rises wherever they do, so
    that the records of each bin stay in it. It is believed as far as bins twice as wide predict
    what their halves hold (`trust`), and what is left falls to parts by width.

    Args:
        edges: of the bins, rising.
        mass: records of each, at least 0.
        ends: of the parts, rising, the edges of bins among them.

    Reference: Fritsch & Butland 1984, equation 5, for the slopes of the curve.
    """
    own, widths = bins_of(edges, ends), np.diff(ends)
    even = widths / np.diff(edges)[own]
    cumulative = np.concatenate([[0.0], np.cumsum(mass)])
    # Rounding may make a part of nothing negative.
    risen = np.maximum(np.diff(_curve(edges, cumulative, ends)), 0.0)
    total = np.bincount(own, weights=risen, minlength=len(mass))[own]
    curve = np.where(total > 0, risen / np.where(total > 0, total, 1.0), even)
    believed = trust(edges, mass)
    return believed * curve + (1 - believed) * even


def bins_of(edges: Array, ends: Array) -> NDArray[np.intp]:
    """Return the bin of each part that `ends` bound."""
    return np.searchsorted(edges[1:-1], ends[:-1], side="right")


def trust(edges: Array, mass: Array) -> float:
    """Return how far the curve is to be believed within bins, from 0 to 1.

    Bins are joined in pairs, and the curve through the joined ones guesses what the first of each
    pair holds beyond its share of the width. The slope of what it does hold on the guess, over all
    pairs and weighed by their records, is 1 on a smooth curve and 0 where guesses are of no use;
    one standard error less of it is certain enough. For what it lacks to 1 noise is at fault, which
    counts for more in the bins themselves (`_FINER`).

    Args:
        edges: of the bins, rising.
        mass: records of each, at least 0.
    """
    cumulative = np.concatenate([[0.0], np.cumsum(mass)])
    guesses: list[Array] = []
    holds: list[Array] = []
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
        guesses.append(guess / np.sqrt(records))
        holds.append(held / np.sqrt(records))
    guess, held = np.concatenate([[0.0], *guesses]), np.concatenate([[0.0], *holds])
    square = float(guess @ guess)
    if not square > 0:
        return 0.0
    slope = float(held @ guess) / square
    error = float(np.sqrt(np.sum((guess * (held - slope * guess)) ** 2))) / square
    slope = min(max(slope - error, 0.0), 1.0)
    return slope / (slope + _FINER * (1 - slope))


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
    """Return ends of the parts of all bins, rising, those of bins among them.

    Args:
        edges: of the bins.
        scale: values are whole multiples of its inverse, and so are ends within a bin; None: any.
    """
    parts = max(_LEAST_PARTS, -(-PARTS // (len(edges) - 1)))
    inner = edges[:-1, None] + np.diff(edges)[:, None] * (np.arange(1, parts) / parts)
    if scale is not None:
        inner = np.ceil(inner * scale - 1e-9) / scale
    inside = np.clip(inner, edges[:-1, None], edges[1:, None])
    return np.unique(np.concatenate([edges, inside.ravel()]))


def _edges(column: IntegerColumn | FloatColumn) -> Array:
    whole = isinstance(column, IntegerColumn)
    return (integer_edges(column) if whole else float_edges(column)).astype(np.float64)


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
