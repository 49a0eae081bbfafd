"""Bounds, bins and spread of a column of numbers or times, bought step by step."""

from collections.abc import Mapping
from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_columns import PrivateColumns
from dpsynth.data.binning import float_edges, integer_edges
from dpsynth.data.columns import INTEGER_CODES, FloatColumn, IntegerColumn
from dpsynth.data.numeric import LARGEST_DECIMALS, Piece
from dpsynth.data.open_columns import OpenNumber
from dpsynth.preparation.bounds import bought_bounds
from dpsynth.preparation.density import bought_spread
from dpsynth.preparation.spread import grouped

Array = NDArray[np.float64]

LEAVES = 256
"""Intervals of equal width whose counts say how values spread, where no tree makes them."""

_LEAST = 4.0
"""Two neighbouring bins hold at least so many standard deviations of the noise in a count."""

_CUT_OFF = 0.02
"""Part of the values that may have more decimals than drawn ones."""

_FIRM = 2.0
"""Standard deviations of noise that do not make a further decimal."""


def bought_number(
    private: PrivateColumns, column: OpenNumber, amounts: Mapping[str, float], selections: int
) -> IntegerColumn | FloatColumn:
    """Return the column with bounds, bins, and the spread of values within them.

    Args:
        private: the door to the raw columns.
        column: what is known of it.
        amounts: what each step may cost, in the accountant's currency.
        selections: how many columns look for frequent values.
    """
    if "bounds" in amounts:
        lower, upper = bought_bounds(private, column, amounts["bounds"])
    else:
        assert column.lower is not None
        assert column.upper is not None
        lower, upper = column.lower, column.upper
    if lower == upper or (column.whole and upper - lower < INTEGER_CODES):
        return _plain(column, lower, upper, decimals=column.decimals)
    stop = upper + 1 if column.whole else upper
    spread, sigma = bought_spread(
        private,
        column.name,
        (lower, upper),
        lambda: _leaves(private, column, lower, stop, amounts),
        whole=column.whole,
        amounts=amounts,
        selections=selections,
    )
    decimals = _bought_decimals(private, column, amounts)
    pieces = spread.pieces()
    if not pieces:
        return _plain(column, lower, upper, decimals=decimals)
    return _binned(column, (lower, upper), pieces, least=_LEAST * sigma, decimals=decimals)


def with_spread(
    private: PrivateColumns,
    column: IntegerColumn | FloatColumn,
    amounts: Mapping[str, float],
    selections: int,
) -> IntegerColumn | FloatColumn:
    """Return a closed column with the spread of values within its bins, of those that tell any.

    Args:
        private, amounts, selections: as of `bought_number`.
        column: one whose codes stand for several values.
    """
    whole = isinstance(column, IntegerColumn)
    edges = (integer_edges(column) if whole else float_edges(column)).astype(np.float64)
    spread, _ = bought_spread(
        private,
        column.name,
        (column.lower, column.upper),
        lambda: _divided(edges, whole=whole),
        whole=whole,
        amounts=amounts,
        selections=selections,
        bins=edges,
    )
    return replace(column, pieces=tuple(spread.pieces()))


def _divided(edges: Array, *, whole: bool) -> Array:
    """Return the edges of `LEAVES` intervals or a few more, about as many in each bin."""
    parts = -(-LEAVES // (len(edges) - 1))
    steps = np.arange(parts) / parts
    inner = edges[:-1, None] + (edges[1:] - edges[:-1])[:, None] * steps
    found = np.append(inner.ravel(), edges[-1])
    return np.unique(np.ceil(found)) if whole else np.unique(found)


def _plain(
    column: OpenNumber, lower: float, upper: float, *, decimals: int | None
) -> IntegerColumn | FloatColumn:
    """Return the column with bounds, and bins of equal width."""
    known = _known(column)
    if column.whole:
        return IntegerColumn(lower=int(lower), upper=int(upper), **known)
    return FloatColumn(lower=lower, upper=upper, bins=column.bins, decimals=decimals, **known)


def _known(column: OpenNumber) -> dict[str, Any]:
    """Return the fields that no purchase changes; values beyond bought bounds are clipped."""
    known = {"name": column.name, "missing": column.missing, "dtype": column.dtype}
    clock = {"clock": column.clock} if column.whole else {}
    return {**known, **clock, "on_invalid": "clip"}


def _leaves(
    private: PrivateColumns,
    column: OpenNumber,
    lower: float,
    stop: float,
    amounts: Mapping[str, float],
) -> Array:
    """Return the edges of the intervals whose records are counted."""
    if "tree" in amounts:
        narrowest = 1.0 if column.whole else (stop - lower) * 2.0**-90
        found = private.tree(column.name, lower, stop, amount=amounts["tree"], narrowest=narrowest)
        edges = np.array(found)
        return np.unique(np.ceil(edges)) if column.whole else edges
    if not column.whole:
        return np.linspace(lower, stop, LEAVES + 1)
    whole = IntegerColumn(
        name=column.name,
        lower=int(lower),
        upper=int(stop) - 1,
        bins=int(min(LEAVES, stop - lower)),
    )
    return integer_edges(whole).astype(np.float64)


def _bought_decimals(
    private: PrivateColumns, column: OpenNumber, amounts: Mapping[str, float]
) -> int | None:
    """Return how many decimals write nearly all values in full; None where they need too many."""
    if "decimals" not in amounts:
        return column.decimals
    sigma = private.sigma_for(amounts["decimals"])
    counts = private.decimals(column.name, sigma=sigma)[:-1]
    total = max(float(counts.sum()), 0.0)
    for decimals in range(LARGEST_DECIMALS + 1):
        beyond = counts[decimals + 1 :]
        if beyond.sum() <= _CUT_OFF * total + _FIRM * sigma * sqrt(len(beyond)):
            return decimals
    return None


def _binned(
    column: OpenNumber,
    bounds: tuple[float, float],
    pieces: list[Piece],
    *,
    least: float,
    decimals: int | None,
) -> IntegerColumn | FloatColumn:
    """Return the column with bins that are groups of pieces."""
    first = (
        _by_width(bounds, pieces, column.bins)
        if column.binning == "width"
        else grouped(pieces, bins=column.bins, least=least)
    )
    lower = pieces[0][0] if column.lower is None else bounds[0]
    starts = [lower, *(pieces[i][0] for i in first[1:])]
    if column.whole:
        upper = int(pieces[-1][1] if column.upper is None else bounds[1] + 1) - 1
        return IntegerColumn(
            lower=int(lower),
            upper=upper,
            edges=tuple(int(edge) for edge in (*starts, upper + 1)),
            pieces=tuple(pieces),
            **_known(column),
        )
    upper = max(pieces[-1][1] if column.upper is None else bounds[1], starts[-1])
    if upper == starts[-1]:  # a last value that has a bin of its own
        upper = float(np.nextafter(upper, np.inf))
    return FloatColumn(
        lower=lower,
        upper=upper,
        edges=(*starts, upper),
        pieces=tuple(pieces),
        decimals=decimals,
        **_known(column),
    )


def _by_width(bounds: tuple[float, float], pieces: list[Piece], bins: int) -> list[int]:
    """Return the first piece of each bin of equal width that holds any."""
    width = (bounds[1] - bounds[0]) / bins
    homes = [int((low - bounds[0]) / width) for low, _, _ in pieces]
    return [i for i, home in enumerate(homes) if i == 0 or home != homes[i - 1]]
