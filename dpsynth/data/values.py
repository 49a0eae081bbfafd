"""Values within the bins of a numeric column: how they spread, and drawing them."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.binning import float_edges, integer_edges
from dpsynth.data.columns import FloatColumn, IntegerColumn, Piece
from dpsynth.data.numeric import LARGEST_DECIMALS
from dpsynth.errors import InvalidValueError

DECIMAL_CELLS = LARGEST_DECIMALS + 3
"""Cells into which `decimals_needed` sorts numbers."""

Limits: TypeAlias = tuple[float, float]
"""The least and the largest value, both included."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class ValueLaw:
    """Pieces of all bins of a column, bin after bin; within a piece values are uniform.

    Args:
        lower, upper: ends of each piece. For whole numbers the upper end is one past the last.
        first: for each bin the position of its first piece; at the end, the number of pieces.
        before: weight of all pieces before each one, and of all at the end. Weights of a bin's
            pieces say how often values lie in each; those of different bins mean nothing.
    """

    lower: NDArray[Any]
    upper: NDArray[Any]
    first: NDArray[np.intp]
    before: NDArray[np.float64]

    @property
    def mass(self) -> NDArray[np.float64]:
        """Weight of each bin: 0 where limits leave none of it."""
        return np.diff(self.before[self.first])

    def pick(self, bins: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.intp]:
        """Return a piece for each of `bins`, drawn by weight."""
        start = self.before[self.first]
        wanted = start[bins] + rng.random(bins.size) * (start[bins + 1] - start[bins])
        found = np.searchsorted(self.before, wanted, side="right") - 1
        # Rounding can reach the next bin; a piece of weight 0 at a bin's end is passed over too.
        return np.clip(found, self.first[bins], self.first[bins + 1] - 1)


def value_law(column: IntegerColumn | FloatColumn, limits: Limits | None = None) -> ValueLaw:
    """Return how values spread within the bins of `column`, between `limits` where there are some.

    A bin without pieces, or whose pieces weigh nothing, is one piece. A bin's `mass` relative to
    that without limits is the share of its values that are within them.
    """
    return _value_law(column, column.pieces, limits)


@lru_cache(maxsize=256)
def _value_law(
    column: IntegerColumn | FloatColumn, pieces: tuple[Piece, ...], limits: Limits | None
) -> ValueLaw:
    # Pieces are an argument because columns are equal whatever theirs are.
    whole = isinstance(column, IntegerColumn)
    edges: NDArray[Any] = integer_edges(column) if whole else float_edges(column)
    bins = len(edges) - 1
    lower, upper, weight, home = _own_pieces(pieces, edges)
    if limits is not None:
        decimals = None if isinstance(column, IntegerColumn) else column.decimals
        cut_lower, cut_upper, share = (
            _cut(lower, upper, limits, whole=whole)
            if decimals is None
            else _cut_grid(lower, upper, limits, 10.0**decimals)
        )
        weight = weight * share
        lower = np.where(share > 0, cut_lower, lower).astype(edges.dtype)
        upper = np.where(share > 0, cut_upper, upper).astype(edges.dtype)
    first = np.searchsorted(home, np.arange(bins + 1))
    return ValueLaw(
        lower=lower, upper=upper, first=first, before=np.concatenate([[0.0], np.cumsum(weight)])
    )


def _cut(
    lower: NDArray[Any], upper: NDArray[Any], limits: Limits, *, whole: bool
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float64]]:
    """Return the ends of the part of each piece that is between limits, and its share."""
    low, high = limits
    ends = (np.ceil(low), np.floor(high) + 1) if whole else (low, high)
    width = (upper - lower).astype(np.float64)
    cut_lower, cut_upper = np.maximum(lower, ends[0]), np.minimum(upper, ends[1])
    inside = cut_lower < cut_upper if whole else cut_lower <= cut_upper
    share = np.where(width > 0, (cut_upper - cut_lower) / np.where(width > 0, width, 1), 1.0)
    return cut_lower, cut_upper, np.where(inside, np.clip(share, 0.0, 1.0), 0.0)


def _cut_grid(
    lower: NDArray[np.float64], upper: NDArray[np.float64], limits: Limits, scale: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return what `_cut` does of numbers of so many decimals, each with the same share of its
    piece; a piece that holds none of them is its lower end."""
    low, high = limits
    start, stop = _grid(lower, scale), _grid(upper, scale)
    held = (stop > start) & (lower < upper)
    first = np.maximum(start, _grid(np.array(low), scale))
    end = np.minimum(stop, _grid(np.nextafter(high, np.inf), scale))
    of_held = np.maximum(end - first, 0) / np.where(held, stop - start, 1)
    of_bare = (low <= lower) & (lower <= high)
    share = np.where(held, of_held, of_bare)
    return np.where(held, first / scale, lower), np.where(held, end / scale, lower), share


def _own_pieces(
    pieces: tuple[Piece, ...], edges: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float64], NDArray[np.intp]]:
    """Return ends, weight and bin of each piece, and of each bin that has none a piece."""
    bins = len(edges) - 1
    given = np.array(pieces, dtype=np.float64).reshape(-1, 3)
    home = np.clip(np.searchsorted(edges[1:-1], given[:, 0], side="right"), 0, bins - 1)
    mass = np.bincount(home, weights=given[:, 2], minlength=bins)
    kept = mass[home] > 0
    given, home = given[kept], home[kept]
    bare = np.flatnonzero(mass <= 0)
    lower = np.concatenate([given[:, 0].astype(edges.dtype), edges[:-1][bare]])
    upper = np.concatenate([given[:, 1].astype(edges.dtype), edges[1:][bare]])
    weight = np.concatenate([given[:, 2] / mass[home], np.ones(len(bare))])
    where = np.concatenate([home, bare])
    order = np.argsort(where, kind="stable")
    return lower[order], upper[order], weight[order], where[order]


def draw_values(
    column: IntegerColumn | FloatColumn,
    bins: NDArray[np.int64],
    *,
    limits: Limits | None,
    rng: np.random.Generator,
) -> NDArray[Any]:
    """Return a value of each of `bins`, integers or floats as the column has them.

    Args:
        column: the specification.
        bins: codes of bins, none of missing values.
        limits: the least and the largest value that may be drawn; None: any.
        rng: source of randomness.

    Raises:
        InvalidValueError: a bin that has no value within the limits.
    """
    law = value_law(column, limits)
    if limits is not None and bins.size and (law.mass[bins] <= 0).any():
        raise InvalidValueError(
            f"the range of {column.name!r}", limits, "part of each bin to decode"
        )
    # Bins of one piece each need no draw between pieces.
    single = limits is None and not column.pieces
    piece = bins if single else law.pick(bins, rng)
    lower, upper = law.lower[piece], law.upper[piece]
    if isinstance(column, IntegerColumn):
        return rng.integers(lower, upper)
    edges = float_edges(column)
    if column.decimals is not None:
        drawn = _decimal(lower, upper, column.decimals, rng)
    else:
        drawn = lower + rng.random(bins.size) * (upper - lower)
    if limits is not None:
        drawn = np.clip(drawn, *limits)
    # Rounding can reach the upper edge, which belongs to the next bin.
    last = np.nextafter(edges[bins + 1], edges[bins])
    return np.maximum(edges[bins], np.minimum(drawn, last))


def _decimal(
    lower: NDArray[np.float64], upper: NDArray[np.float64], decimals: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return numbers of so many decimals from `lower` to below `upper`, where there are any."""
    scale = 10.0**decimals
    start, stop = _grid(lower, scale), _grid(upper, scale)
    drawn = np.floor(start + rng.random(lower.size) * np.maximum(stop - start, 1)) / scale
    return np.where((stop > start) & (lower < upper), drawn, lower)


def _grid(ends: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """Return the least whole number that, divided by `scale`, is at least each of `ends`."""
    found = np.ceil(ends * scale)
    # The product was rounded, a quotient is the float that its decimals spell.
    found = np.where((found - 1) / scale >= ends, found - 1, found)
    return np.where(found / scale < ends, found + 1, found)


def decimals_needed(numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return how many decimals write each number in full, from 0 to `LARGEST_DECIMALS`; one more
    for a number that needs more, and two more for a missing one."""
    needed = np.full(len(numbers), LARGEST_DECIMALS + 1, dtype=np.int64)
    for decimals in range(LARGEST_DECIMALS, -1, -1):
        needed[np.round(numbers, decimals) == numbers] = decimals
    return np.where(np.isnan(numbers), LARGEST_DECIMALS + 2, needed)
